/**
 * The policy stream as a source of candidates: says Hello, hands every message to the activator in order (bundles beside it), and answers
 * with its verdict. It verifies nothing and swaps nothing; when the stream is lost it comes back, for ever, with jitter.
 */

import {
  BeatSchema,
  ClientMessageSchema,
  create,
  HelloSchema,
  PolicyPlane,
  Verdict_Outcome,
  VerdictSchema,
  type ClientMessage,
  type Freshness,
  type HeldReleaseSchema,
  type MessageInitShape,
  type ServerMessage,
} from '@sallyport/contract';
import { isArea, isDigest, isRing, type Clock, type Isolation, type ReleaseSeq, type Result } from '@sallyport/model';
import type { Client, IncomingStream, StreamWriter } from '@sallyport/net';
import { FEATURES } from '@sallyport/policy';
import { delay, latest, type Backoff, type Latest } from '@sallyport/runtime';
import type { FreshnessEntry, Rejection, StatementOffer } from '@sallyport/trust';
import type { Activator } from './activator.ts';
import type { Candidate, Verdict } from './candidate.ts';
import { fromDeltas } from './from-deltas.ts';
import type { Position } from './position.ts';
import { contentFetcher, partFetcher, type ContentFetcher, type PartFetcher } from './part-fetcher.ts';

export interface StreamSourceOptions {
  readonly activator: Activator;
  readonly client: () => Client<typeof PolicyPlane>;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly build: string;
  /** What beats report besides the position. */
  readonly vitals: () => Vitals;
  readonly onConnection: (state: 'connected' | 'lost', detail: string) => void;
}

export interface Vitals {
  readonly auditStream: string;
  readonly auditSeq: number;
  readonly auditHead: Uint8Array;
  readonly decisions: number;
  readonly denials: number;
  readonly policyAgeMs: number;
  readonly state: 'absent' | 'fresh' | 'stale';
  readonly isolation: Isolation;
}

const BEAT_MS = 5_000;

/** Follows the stream until the signal aborts. */
export async function followStream(options: StreamSourceOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { clock, backoff } = options;
  const [parts, contents] = [partFetcher({ clock }), contentFetcher({ clock })];
  while (!signal.aborted) {
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    let wait: number | undefined;
    let why = 'ended';
    try {
      wait = await followOnce({ ...options, parts, contents }, over);
    } catch (thrown) {
      why = thrown instanceof Error ? thrown.message : String(thrown);
    } finally {
      signal.removeEventListener('abort', stop);
      over.abort();
    }
    options.onConnection('lost', why);
    await delay(clock, wait ?? backoff.next(), { signal });
  }
}

/** What every connection of one source shares. */
interface Following extends StreamSourceOptions {
  readonly parts: PartFetcher;
  readonly contents: ContentFetcher;
}

interface Connection {
  readonly out: StreamWriter<ClientMessage>;
  readonly options: Following;
  readonly signal: AbortSignal;
}

/** One connection; resolves with how long the server asked to wait before the next, if it did. */
async function followOnce(options: Following, over: AbortController): Promise<number | undefined> {
  const { activator } = options;
  const { out, incoming } = options.client().subscribe({ signal: over.signal });
  const connection = { out, options, signal: over.signal };
  const { nonce } = activator.ask();
  say(out, { case: 'hello', value: helloOf(nonce, options) });
  const beating = beat(out, options, over.signal);
  // Bundles are staged beside the stream, since parts may be long in coming, and so is a release that joins what has to be
  // tried first: one at a time, and of those that wait the newest. A revocation waits for neither.
  const offers = latest<ServerMessage>();
  // The directory in a line of its own: it neither waits for bundles nor takes their place.
  const directories = latest<ServerMessage>();
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  const staging = take(offers, connection).catch(fail);
  const learning = take(directories, connection).catch(fail);
  try {
    return await Promise.race([failed, listen(incoming, { connection, offers, directories })]);
  } finally {
    out.end();
    over.abort();
    await Promise.all([beating, staging, learning]);
  }
}

async function listen(
  incoming: IncomingStream<ServerMessage>,
  { connection, offers, directories }: { connection: Connection; offers: Latest<ServerMessage>; directories: Latest<ServerMessage> },
): Promise<number> {
  const { options } = connection;
  for await (const message of incoming) {
    options.backoff.reset();
    if (message.message.case === 'reconnect') return message.message.value.afterMs + jitter(message.message.value.jitterMs, options);
    if (message.message.case === 'liveProof') options.onConnection('connected', '');
    if (await isLong(message, options)) offers.put(message);
    else if (message.message.case === 'directory') directories.put(message);
    else await answer(message, connection);
  }
  const status = await incoming.status;
  throw new Error(`${status.code}: ${status.message}`);
}

/** Any other release is taken in its place: a statement that names the next one must not overtake it. */
async function isLong({ message }: ServerMessage, { activator }: Following): Promise<boolean> {
  return message.case === 'bundle' || (message.case === 'release' && (await activator.needsVetting(message.value.envelope)));
}

async function take(offers: Latest<ServerMessage>, connection: Connection): Promise<void> {
  const { signal } = connection;
  for (let offer = await offers.take({ signal }); offer !== undefined; offer = await offers.take({ signal }))
    await answer(offer, connection);
}

/** Offers what a message carries, and answers it where the server asked for a verdict. */
async function answer({ nonce, message }: ServerMessage, connection: Connection): Promise<void> {
  const { out, options } = connection;
  const { activator, clock, vitals } = options;
  const began = clock.boot();
  const { state } = vitals();
  let judged: Result<Verdict, Rejection> | undefined;
  for (const candidate of candidatesOf(message, connection)) judged = await activator.offer(candidate);
  // The fleet view should not say `absent` of a sidecar that has just begun to enforce.
  if (vitals().state !== state) say(out, { case: 'beat', value: beatOf(options) });
  if (nonce.byteLength === 0 || judged === undefined) return;
  const outcome = judged.ok ? OUTCOMES[judged.value] : Verdict_Outcome.REJECTED;
  const rejection = judged.ok ? {} : { code: judged.error.code, detail: judged.error.detail };
  const value = { nonce, outcome, ...rejection, tookMs: Math.round(clock.boot() - began), active: heldOf(activator.position) };
  say(out, { case: 'verdict', value: create(VerdictSchema, value) });
}

const OUTCOMES: Readonly<Record<Verdict, Verdict_Outcome>> = {
  staged: Verdict_Outcome.STAGED,
  active: Verdict_Outcome.ACTIVE,
  taken: Verdict_Outcome.ACTIVE,
  already: Verdict_Outcome.ALREADY,
  held_back: Verdict_Outcome.ALREADY,
};

function candidatesOf(message: ServerMessage['message'], { options, signal }: Connection): readonly Candidate[] {
  switch (message.case) {
    case 'root':
      return [{ kind: 'root', envelope: message.value }];
    case 'bundle':
      return [
        {
          kind: 'bundle',
          envelope: message.value.envelope,
          delegation: message.value.delegation,
          fetch: async (missing, held) => {
            const brought = fromDeltas(message.value.deltas, { missing, held });
            const rest = missing.filter(({ name }) => brought[name] === undefined);
            return rest.length === 0 ? brought : { ...brought, ...(await options.parts.fetch(rest, { client: options.client(), signal })) };
          },
        },
      ];
    case 'release':
      return [{ kind: 'release', envelope: message.value.envelope }];
    case 'liveProof':
      return [...onlineKeysOf(message.value), { kind: 'live_proof', offer: offerOf(message.value) }];
    case 'freshness':
      return [...onlineKeysOf(message.value), { kind: 'freshness', offer: offerOf(message.value) }];
    case 'revocation':
      return [{ kind: 'revocation', envelope: message.value }];
    case 'revocationSnapshot':
      return [{ kind: 'revocation_snapshot', envelope: message.value }];
    case 'directory':
      return [
        {
          kind: 'directory',
          envelope: message.value,
          fetch: (content) => options.contents.fetch(content, { client: options.client(), signal }),
        },
      ];
    case 'reconnect':
    case undefined:
      return [];
  }
}

function onlineKeysOf({ onlineKeys }: Freshness): readonly Candidate[] {
  return onlineKeys.byteLength === 0 ? [] : [{ kind: 'online_keys', envelope: onlineKeys }];
}

/** Entries that are not even names are left out: what they would have renewed is then not renewed. */
function offerOf({ envelope, entries }: Freshness): StatementOffer {
  const read = entries.flatMap(({ area, ring, release, releaseSeq, leafIndex, treeSize, proof }): FreshnessEntry[] =>
    isArea(area) && isRing(ring) && isDigest(release)
      ? [
          {
            area,
            ring,
            release,
            releaseSeq: Number(releaseSeq) as ReleaseSeq,
            leafIndex: Number(leafIndex),
            treeSize: Number(treeSize),
            proof,
          },
        ]
      : [],
  );
  return { envelope, entries: read };
}

async function beat(out: StreamWriter<ClientMessage>, options: StreamSourceOptions, signal: AbortSignal): Promise<void> {
  while (await delay(options.clock, BEAT_MS, { signal })) say(out, { case: 'beat', value: beatOf(options) });
}

function helloOf(
  nonce: Uint8Array,
  { activator, build, vitals }: StreamSourceOptions,
): NonNullable<Extract<ClientMessage['message'], { case: 'hello' }>['value']> {
  const { rootNumber, freshnessSeq, revocationSeq, directorySeq } = activator.position;
  const now = vitals();
  return create(HelloSchema, {
    nonce,
    build,
    features: [...FEATURES],
    rootNumber: BigInt(rootNumber),
    freshnessSeq: BigInt(freshnessSeq),
    revocationSeq: BigInt(revocationSeq),
    directorySeq: BigInt(directorySeq),
    held: heldOf(activator.position),
    auditHead: headOf(now),
    isolation: now.isolation,
  });
}

function beatOf({ activator, vitals }: StreamSourceOptions): Extract<ClientMessage['message'], { case: 'beat' }>['value'] {
  const { freshnessSeq, revocationSeq } = activator.position;
  const now = vitals();
  return create(BeatSchema, {
    freshnessSeq: BigInt(freshnessSeq),
    revocationSeq: BigInt(revocationSeq),
    active: heldOf(activator.position),
    auditHead: headOf(now),
    decisions: BigInt(now.decisions),
    denials: BigInt(now.denials),
    policyAgeMs: BigInt(Math.max(0, Math.round(now.policyAgeMs))),
    state: now.state,
    isolation: now.isolation,
  });
}

function headOf({ auditStream, auditSeq, auditHead }: Vitals): { stream: string; seq: bigint; hash: Uint8Array } {
  return { stream: auditStream, seq: BigInt(auditSeq), hash: auditHead };
}

function heldOf({ active }: Position): MessageInitShape<typeof HeldReleaseSchema>[] {
  if (active === undefined) return [];
  const { area, ring, releaseSeq, release, activeSinceMs } = active;
  return [{ area, ring, releaseSeq: BigInt(releaseSeq), release, activeSinceMs: BigInt(activeSinceMs) }];
}

function say(out: StreamWriter<ClientMessage>, message: ClientMessage['message']): void {
  out.write(create(ClientMessageSchema, { message }));
}

function jitter(jitterMs: number, { backoff }: StreamSourceOptions): number {
  return Math.min(jitterMs, backoff.next());
}
