/**
 * Sidecars as the control plane sees them, without the sidecar: a raw HTTP/2 connection each, under a certificate of its
 * own, that says Hello, fetches the parts it lacks, answers every offer, beats as often as a real one, and comes again when
 * its stream ends. They verify nothing, so that two thousand fit beside what is measured; when what came is noted.
 */

import {
  BeatSchema,
  ClientMessageSchema,
  EnrolRequestSchema,
  Enrolment,
  GetPartRequestSchema,
  HelloSchema,
  PartChunkSchema,
  ServerMessageSchema,
  VerdictSchema,
  Verdict_Outcome,
  create,
  fromBinary,
  toBinary,
} from '@sallyport/contract';
import type { ClientMessage, HeldReleaseSchema, MessageInitShape, ServerMessage } from '@sallyport/contract';
import { decodeHex } from '@sallyport/crypto';
import { certificatePem, createCsr, generateKey, randomBytes } from '@sallyport/crypto/keys';
import { createClient, openChannel } from '@sallyport/net';
import { backoff, type Backoff, systemRandom } from '@sallyport/runtime';
import { FEATURES } from '@sallyport/policy';
import { digestOfPayload, parseEnvelope, parseJoinToken } from '@sallyport/trust';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect as connectTls, type SecureContext, createSecureContext } from 'node:tls';
import { AGENT } from './policy.ts';
import type { Plane } from './plane.ts';

const SERVICE = '/sallyport.policy.v1.PolicyPlane';
const BEAT_MS = 5_000;
const RETRY_MS = { minMs: 250, maxMs: 30_000 } as const;
const QUIET_MS = 500;
/** Enrolments under way at once. */
const ENROLLING = 16;

/** When what came to whom, since the last `watch`, by `performance.now()`: the last release, revocation, live proof. */
export class Fleet {
  readonly members: readonly Subscriber[];
  // Owner of what follows: this fleet.
  releases = new Map<Subscriber, number>();
  revocations = new Map<Subscriber, number>();
  proofs = new Map<Subscriber, number>();
  #beats: NodeJS.Timeout | undefined;

  constructor(port: number, identities: readonly Identity[]) {
    this.members = identities.map((identity) => new Subscriber(port, identity, this));
  }

  /** Everybody dials at once, as after an outage. */
  connect(): void {
    for (const member of this.members) member.dial();
    // As many beats a second as so many sidecars have, spread as theirs are.
    let turn = 0;
    const slices = 50;
    this.#beats = setInterval(() => {
      turn = (turn + 1) % slices;
      for (let index = turn; index < this.members.length; index += slices) this.members[index]?.beat();
    }, BEAT_MS / slices);
  }

  /** Forgets what came. */
  watch(): void {
    [this.releases, this.revocations, this.proofs] = [new Map(), new Map(), new Map()];
  }

  /** Whether nobody has been sent anything for a moment. */
  async isQuiet(): Promise<boolean> {
    const sum = (): number => this.members.reduce((total, { bytes }) => total + bytes, 0);
    const before = sum();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    return sum() === before;
  }

  /** Bytes of messages that one subscriber has received so far, the most of any. */
  get bytesMax(): number {
    return this.members.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  }

  close(): void {
    clearInterval(this.#beats);
    for (const member of this.members) member.close();
  }
}

/** One message as everybody gets it, read once. */
interface Read {
  readonly bytes: Buffer;
  readonly message: ServerMessage;
  /** The verdict that answers it, framed. */
  readonly verdict: Buffer | undefined;
  readonly parts: readonly { readonly digest: string; readonly bytes: number }[];
  /** Of a bundle: what each part that came as a difference was made from. */
  readonly bases: ReadonlyMap<string, string>;
  /** Of a release: what a Hello says of it from then on. */
  readonly held: HeldRelease | undefined;
}

type HeldRelease = MessageInitShape<typeof HeldReleaseSchema>;

export class Subscriber {
  readonly #port: number;
  readonly #identity: Identity;
  readonly #fleet: Fleet;
  readonly #backoff: Backoff = backoff({ ...RETRY_MS, random: systemRandom });
  // Owner of what follows: this subscriber.
  readonly #parts = new Set<string>();
  #held: HeldRelease | undefined;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #isOver = false;
  bytes = 0;

  constructor(port: number, identity: Identity, fleet: Fleet) {
    this.#port = port;
    this.#identity = identity;
    this.#fleet = fleet;
  }

  dial(): void {
    if (this.#isOver) return;
    const session = connect(`https://127.0.0.1:${this.#port}`, {
      createConnection: () =>
        connectTls({
          host: '127.0.0.1',
          port: this.#port,
          secureContext: this.#identity.context,
          ALPNProtocols: ['h2'],
          checkServerIdentity: () => undefined,
        }),
    });
    this.#session = session;
    session.on('error', () => undefined);
    session.once('close', () => this.#again());
    const stream = session.request(headersOf('Subscribe'));
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.once('close', () => session.destroy());
    stream.on(
      'data',
      framesOf((bytes) => this.#take(bytes)),
    );
    stream.write(helloFrame(this.#held));
  }

  beat(): void {
    this.#stream?.write(BEAT);
  }

  close(): void {
    this.#isOver = true;
    this.#session?.destroy();
  }

  #again(): void {
    this.#stream = undefined;
    if (this.#isOver) return;
    setTimeout(() => this.dial(), this.#backoff.next()).unref();
  }

  #take(bytes: Buffer): void {
    this.bytes += bytes.length;
    const read = readOnce(bytes);
    const { releases, revocations, proofs } = this.#fleet;
    const now = performance.now();
    switch (read.message.message.case) {
      case 'liveProof':
        this.#backoff.reset();
        proofs.set(this, now);
        return;
      case 'revocation':
      case 'revocationSnapshot':
        revocations.set(this, now);
        return;
      case 'bundle':
        void this.#stage(read);
        return;
      case 'release':
        releases.set(this, now);
        this.#held = read.held;
        this.#answer(read);
        return;
      case 'reconnect':
        this.#session?.destroy();
        return;
      case 'root':
      case 'directory':
      case 'freshness':
      case undefined:
    }
  }

  #answer({ verdict }: Read): void {
    if (verdict !== undefined && this.#stream?.destroyed === false) this.#stream.write(verdict);
  }

  async #stage(read: Read): Promise<void> {
    for (const { digest, bytes } of read.parts) {
      if (this.#parts.has(digest)) continue;
      if (this.#parts.has(read.bases.get(digest) ?? '')) {
        this.#parts.add(digest);
        continue;
      }
      const came = await this.#fetch(digest);
      // As a real one does when a part is cut short: the connection is of no use, and another is made.
      if (came !== bytes) {
        this.#session?.destroy();
        return;
      }
      this.#parts.add(digest);
    }
    this.#answer(read);
  }

  /** How many bytes of the part came. */
  async #fetch(digest: string): Promise<number> {
    const session = this.#session;
    if (session === undefined || session.destroyed) return 0;
    const stream = session.request(headersOf('GetPart'));
    let length = 0;
    stream.on('error', () => undefined);
    stream.on(
      'data',
      framesOf((bytes) => {
        this.bytes += bytes.length;
        length += chunkLength(bytes);
      }),
    );
    stream.end(framed(toBinary(GetPartRequestSchema, create(GetPartRequestSchema, { digest }))));
    await new Promise((resolve) => stream.once('close', resolve));
    return length;
  }
}

function headersOf(method: string): Record<string, string> {
  return { ':method': 'POST', ':path': `${SERVICE}/${method}`, 'content-type': 'application/grpc', te: 'trailers' };
}

/** gRPC's frame: no compression, the length, the message. */
function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** Puts frames together from what a stream brings; gives each message's bytes. */
function framesOf(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
      const end = 5 + held.readUInt32BE(1);
      take(held.subarray(5, end));
      held = held.subarray(end);
    }
  };
}

const say = (message: ClientMessage['message']): Buffer => framed(toBinary(ClientMessageSchema, create(ClientMessageSchema, { message })));
const BEAT = say({ case: 'beat', value: create(BeatSchema, { state: 'fresh' }) });

function helloFrame(held: HeldRelease | undefined): Buffer {
  const of = { nonce: randomBytes(32), build: 'bench/1', features: [...FEATURES], isolation: 'advisory' };
  return say({ case: 'hello', value: create(HelloSchema, { ...of, held: held === undefined ? [] : [held] }) });
}

const READ_MAX = 16;
// Owner: `readOnce`. What came last, the newest first: what goes to all is the same to the byte.
const reads: Read[] = [];

function readOnce(bytes: Buffer): Read {
  const known = reads.find((read) => read.bytes.equals(bytes));
  if (known !== undefined) return known;
  const message = fromBinary(ServerMessageSchema, bytes);
  const outcome = { bundle: Verdict_Outcome.STAGED, release: Verdict_Outcome.ACTIVE }[message.message.case as 'bundle'];
  const verdict =
    outcome === undefined ? undefined : say({ case: 'verdict', value: create(VerdictSchema, { nonce: message.nonce, outcome }) });
  const read = { bytes: Buffer.from(bytes), message, verdict, parts: partsOf(message), bases: basesOf(message), held: heldOf(message) };
  // A proof is one subscriber's own.
  if (message.message.case !== 'liveProof') reads.unshift(read);
  if (reads.length > READ_MAX) reads.pop();
  return read;
}

function partsOf({ message }: ServerMessage): Read['parts'] {
  if (message.case !== 'bundle') return [];
  const envelope = parseEnvelope('Bundle', message.value.envelope);
  if (!envelope.ok) throw new Error('the bundle that is offered cannot be read');
  const { parts } = JSON.parse(new TextDecoder().decode(envelope.value.payload)) as {
    parts: Record<string, { digest: string; bytes: number }>;
  };
  return Object.values(parts);
}

function basesOf({ message }: ServerMessage): Read['bases'] {
  return new Map(message.case === 'bundle' ? message.value.deltas.map(({ digest, base }) => [digest, base]) : []);
}

function heldOf({ message }: ServerMessage): HeldRelease | undefined {
  if (message.case !== 'release') return undefined;
  const envelope = parseEnvelope('Release', message.value.envelope);
  if (!envelope.ok) throw new Error('the release that is offered cannot be read');
  const { payload } = envelope.value;
  const { area, ring, release_seq } = JSON.parse(new TextDecoder().decode(payload)) as { area: string; ring: string; release_seq: number };
  return { area, ring, releaseSeq: BigInt(release_seq), release: digestOfPayload(payload), activeSinceMs: 0n };
}

function chunkLength(bytes: Uint8Array): number {
  return fromBinary(PartChunkSchema, bytes).data.length;
}

/** What a sidecar gets by enrolling. */
export interface Identity {
  readonly context: SecureContext;
}

/** Enrols so many with one-time tokens, as real ones do, a few at a time. */
export async function enrolMany(plane: Plane, count: number, onProgress: (done: number) => void): Promise<readonly Identity[]> {
  const first = parseJoinToken(await plane.admin.joinToken(AGENT));
  if (!first.ok) throw new Error('the join token cannot be read');
  const digest = decodeHex(first.value.caDigest.slice('sha256:'.length)) ?? new Uint8Array();
  const trust = { kind: 'ca_digest', digest, trustDomain: 'demo.local', purpose: 'control_plane' } as const;
  const channel = openChannel({ host: '127.0.0.1', port: plane.enrolment, trust, clock: plane.clock });
  const client = createClient(Enrolment, channel);
  const identities: Identity[] = [];
  let begun = 0;
  const work = async (): Promise<void> => {
    for (let index = begun++; index < count; index = begun++) {
      const token = parseJoinToken(await plane.admin.joinToken(AGENT));
      if (!token.ok) throw new Error('the join token cannot be read');
      const [tls, audit] = [generateKey('es256'), generateKey('ed25519')];
      const request = create(EnrolRequestSchema, {
        tokenSecret: token.value.secret,
        instance: `simulated-${index}`,
        tlsCsr: createCsr(tls.privatePem),
        auditCsr: createCsr(audit.privatePem),
      });
      const answer = await client.enrol(request, { deadlineMs: 20_000 });
      if (!answer.ok) throw new Error(`enrolling: ${answer.error.code}: ${answer.error.message}`);
      const { tlsChain } = answer.value;
      const ca = tlsChain.at(-1) ?? new Uint8Array();
      identities.push({
        context: createSecureContext({ cert: tlsChain.map(certificatePem).join(''), key: tls.privatePem, ca: certificatePem(ca) }),
      });
      if (identities.length % 250 === 0) onProgress(identities.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: ENROLLING }, work));
  } finally {
    channel.close();
  }
  return identities;
}
