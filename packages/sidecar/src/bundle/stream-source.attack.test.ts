/** A control plane in an attacker's hands, and a bad line to an honest one: what either can do to a sidecar through the stream. Real gRPC over TLS. */

import {
  BundleOfferSchema,
  PartDeltaSchema,
  create,
  FreshnessEntrySchema,
  FreshnessSchema,
  PartChunkSchema,
  PolicyPlane,
  ServerMessageSchema,
  Verdict_Outcome,
  type ClientMessage,
  type PartChunk,
  type ServerMessage,
} from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { fail, ok, PART_NAMES, type Digest, type Result } from '@sallyport/model';
import {
  createClient,
  makeDelta,
  grpcStatus,
  openChannel,
  serve,
  startGrpcServer,
  tlsHolder,
  type GrpcServer,
  type GrpcStatus,
  type StreamWriter,
  type TlsMaterial,
} from '@sallyport/net';
import { backoff } from '@sallyport/runtime';
import {
  simulatedDisk,
  testAuthority,
  trustSimulator,
  type PublishedBundle,
  type PublishedStatement,
  type TrustSimulator,
} from '@sallyport/testkit';
import type { Freshness } from '@sallyport/trust';
import { randomBytes } from '@sallyport/crypto/keys';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishPolicy, startBundleSide, type BundleSide } from '../testing/bundle-side.ts';
import { followStream } from './stream-source.ts';

interface PartCall {
  readonly digest: string;
  readonly offset: number;
  readonly out: StreamWriter<PartChunk>;
  readonly signal: AbortSignal;
}
interface Delta {
  readonly digest: string;
  readonly base: string;
  readonly frame: Uint8Array;
}
type ServePart = (call: PartCall) => Promise<Result<void, GrpcStatus>>;

const CHUNK_BYTES = 65_536;
const IDENTITY = 'spiffe://test.sallyport.dev/sidecar/support-triage/one';

describe('attacks over the policy stream', () => {
  let sim: TrustSimulator;
  let side: BundleSide;
  let server: GrpcServer;
  let bundle: PublishedBundle;
  let tls: TlsMaterial;
  /** Streams as they were begun; the last one is open. */
  let streams: { out: StreamWriter<ServerMessage>; received: ClientMessage['message'][]; cut: () => void }[];
  let asked: PartCall[];
  let servePart: ServePart;
  let over: AbortController;
  let following: Promise<void>;
  let close: () => void;

  beforeEach(async () => {
    sim = await trustSimulator({ trustDomain: 'test.sallyport.dev' });
    bundle = await publishPolicy(sim, { tools: 110 });
    [streams, asked, over] = [[], [], new AbortController()];
    servePart = honest;
    const authority = await testAuthority();
    tls = await authority.issue('/control-plane');
    const holder = tlsHolder(tls);
    const own = tlsHolder(await authority.issue('/sidecar/support-triage/one'));
    if (!holder.ok || !own.ok) throw new Error('a test identity is complete');
    side = await startBundleSide({ simulator: sim, fs: simulatedDisk().fs });
    const { clock } = side;
    server = await startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      tls: holder.value,
      trustDomain: authority.trustDomain,
      clients: 'verified',
      clock,
      onBug: () => undefined,
      services: [
        serve(PolicyPlane, {
          purposes: ['sidecar'],
          handlers: {
            async subscribe(incoming, out, call) {
              const received: ClientMessage['message'][] = [];
              const { promise: cut, resolve } = Promise.withResolvers<void>();
              streams.push({ out, received, cut: resolve });
              call.signal.addEventListener('abort', () => resolve(), { once: true });
              const read = async (): Promise<void> => {
                for await (const { message } of incoming) received.push(message);
              };
              // Cut from this side, reading ends with the status that was given.
              void read().then(resolve, resolve);
              await cut;
              return fail(grpcStatus('unavailable', 'the stream is cut'));
            },
            async getPart({ digest, offset }, out, call) {
              const part = { digest, offset: Number(offset), out, signal: call.signal };
              asked.push(part);
              return servePart(part);
            },
            export: async () => fail(grpcStatus('unimplemented', 'not here')),
            prove: async () => fail(grpcStatus('unimplemented', 'not here')),
          },
        }),
      ],
    });
    const trust = { kind: 'peer', tls: own.value, trustDomain: authority.trustDomain, purpose: 'control_plane' } as const;
    const channel = openChannel({ host: server.host, port: server.port, trust, clock });
    close = () => channel.close();
    following = followStream(
      {
        activator: side.activator,
        client: () => createClient(PolicyPlane, channel),
        clock,
        backoff: backoff({ minMs: 100, maxMs: 1_000, random: randomBytes }),
        build: 'test',
        vitals: () => ({
          isolation: 'advisory',
          auditStream: '',
          auditSeq: 0,
          auditHead: new Uint8Array(),
          decisions: 0,
          denials: 0,
          policyAgeMs: 0,
          state: side.holder.read().state,
        }),
        onConnection: () => undefined,
      },
      { signal: over.signal },
    );
    await begun(1);
    send({ case: 'root', value: sim.root.envelope });
    await proveLive();
  });
  afterEach(async () => {
    over.abort();
    close();
    await following;
    await server.drain({ graceMs: 0 });
  });

  const honest: ServePart = async ({ digest, offset, out }) => {
    const part = Object.values(bundle.parts).find((bytes) => digestOf(bytes) === digest);
    if (part === undefined) return fail(grpcStatus('not_found', 'no such part'));
    for (let from = offset; from < part.length; from += CHUNK_BYTES) {
      out.write(chunk(part.subarray(from, from + CHUNK_BYTES), from));
      await out.drained();
    }
    return ok(undefined);
  };
  const chunk = (data: Uint8Array, offset: number): PartChunk =>
    create(PartChunkSchema, { offset: BigInt(offset), total: BigInt(data.length), data });
  const stream = (): (typeof streams)[number] => streams.at(-1)!;
  const send = (message: ServerMessage['message'], nonce: Uint8Array = new Uint8Array()): void => {
    stream().out.write(create(ServerMessageSchema, { nonce, message }), { priority: true });
  };
  const offer = (of = bundle, deltas: readonly Delta[] = []): void =>
    send(
      {
        case: 'bundle',
        value: create(BundleOfferSchema, {
          envelope: of.envelope,
          delegation: of.delegation,
          deltas: [...deltas].map((delta) => create(PartDeltaSchema, delta)),
        }),
      },
      randomBytes(16),
    );
  const proveLive = async (): Promise<void> => {
    const hello = await eventually(() => stream().received.find((message) => message.case === 'hello'));
    const proof = await sim.proveLive(side.clock.wall(), { nonce: hello.value.nonce, identity: IDENTITY });
    send({ case: 'liveProof', value: wire(proof, sim.onlineKeys.envelope) });
    await eventually(() => side.activator.position.freshnessSeq === proof.payload.seq);
  };
  /** The n-th connection. Time passes meanwhile, since the sidecar waits between two. */
  const begun = async (count: number): Promise<void> => {
    await eventually(async () => {
      await side.clock.advance(200);
      return streams.length >= count;
    });
  };
  const verdicts = (): string[] =>
    stream().received.flatMap((message) =>
      message.case === 'verdict' ? [`${nameOf(message.value.outcome)}${message.value.code === '' ? '' : ` ${message.value.code}`}`] : [],
    );
  const verdict = (): Promise<string> => eventually(() => verdicts().at(-1));
  const catalog = (): { bytes: Uint8Array; digest: Digest } => {
    const bytes = bundle.parts.catalog;
    return { bytes, digest: digestOf(bytes) as Digest };
  };

  it('an honest control plane’s bundle is staged', async () => {
    offer();
    expect(await verdict()).toBe('STAGED');
    expect(catalog().bytes.length).toBeGreaterThan(2 * CHUNK_BYTES);
  });

  describe('parts as differences', () => {
    /** The second bundle, with what differs from the first one, which is staged by then. */
    const second = async (): Promise<{ next: PublishedBundle; deltas: Delta[] }> => {
      offer();
      expect(await verdict()).toBe('STAGED');
      const [first, next] = [bundle, await publishPolicy(sim, { version: 2, tools: 110 })];
      [bundle, asked] = [next, []];
      const deltas = PART_NAMES.filter((name) => digestOf(first.parts[name]) !== digestOf(next.parts[name])).map((name) => ({
        digest: digestOf(next.parts[name]),
        base: digestOf(first.parts[name]),
        frame: makeDelta(next.parts[name], first.parts[name]),
      }));
      return { next, deltas };
    };
    const both = async (): Promise<string[]> => eventually(() => (verdicts().length === 2 ? verdicts() : undefined));

    it('all that changed came with the offer: nothing is fetched', async () => {
      const { next, deltas } = await second();
      expect(deltas.length).toBeGreaterThan(0);
      offer(next, deltas);
      expect([await both(), asked.length]).toEqual([['STAGED', 'STAGED'], 0]);
    });

    const other = new TextEncoder().encode('{"of":"another"}');
    it.each<[string, (delta: Delta) => Delta]>([
      ['cut', (delta) => ({ ...delta, frame: delta.frame.subarray(0, -1) })],
      ['no frame at all', (delta) => ({ ...delta, frame: other })],
      ['of another part', (delta) => ({ ...delta, frame: makeDelta(other, new Uint8Array()) })],
      ['over a base that is not held', (delta) => ({ ...delta, base: digestOf(other) })],
      ['over another base than it says', (delta) => ({ ...delta, base: digestOf(bundle.parts.detectors) })],
      ['decompression bomb', (delta) => ({ ...delta, frame: zstdCompressSync(Buffer.alloc(64_000_000)) })],
    ])('%s: that part is fetched whole, and the others are not', async (_, bend) => {
      const { next, deltas } = await second();
      const [bent, ...rest] = deltas;
      if (bent === undefined) throw new Error('something changed');
      offer(next, [bend(bent), ...rest]);
      expect(await both()).toEqual(['STAGED', 'STAGED']);
      expect(asked.map(({ digest }) => digest)).toEqual([bent.digest]);
    });

    it('a part that nobody signed: refused, wherever it came from', async () => {
      const { next, deltas } = await second();
      servePart = async () => fail(grpcStatus('not_found', 'no such part'));
      offer(
        next,
        deltas.map((delta) => ({ ...delta, frame: makeDelta(other, new Uint8Array()) })),
      );
      expect(await both()).toEqual(['STAGED', 'REJECTED DIGEST']);
    });
  });

  it('endless part: reading stops at the signed length, and the call is ended', async () => {
    let sent = 0;
    let wasEnded = false;
    servePart = async (call) => {
      if (call.digest !== catalog().digest) return honest(call);
      while (!call.signal.aborted && !call.out.isOver && sent < 50_000_000) {
        call.out.write(chunk(new Uint8Array(CHUNK_BYTES), sent));
        sent += CHUNK_BYTES;
        await call.out.drained();
      }
      wasEnded = true;
      return ok(undefined);
    };
    offer();
    expect(await verdict()).toBe('REJECTED DIGEST');
    await eventually(() => wasEnded);
    // What the connection itself had taken in already, and no more.
    expect(sent).toBeLessThan(catalog().bytes.length + 2_000_000);
  });

  it.each([
    ['pieces out of order', [CHUNK_BYTES, 0]],
    ['a piece twice', [0, 0]],
    ['a piece from beyond the end', [1_000_000_000]],
  ])('%s: refused', async (_, offsets) => {
    servePart = async (call) => {
      if (call.digest !== catalog().digest) return honest(call);
      for (const at of offsets) call.out.write(chunk(catalog().bytes.subarray(0, CHUNK_BYTES), at));
      return ok(undefined);
    };
    offer();
    expect(await verdict()).toBe('REJECTED DIGEST');
  });

  it('a part that is not the one that was signed, and one that is refused: nothing is staged', async () => {
    servePart = async (call) => {
      if (call.digest !== catalog().digest) return honest(call);
      call.out.write(chunk(new Uint8Array(CHUNK_BYTES), 0));
      return ok(undefined);
    };
    offer();
    expect(await verdict()).toBe('REJECTED DIGEST');
    servePart = async () => fail(grpcStatus('permission_denied', 'not for you'));
    offer();
    await eventually(() => verdicts().length === 2);
    expect(verdicts()).toEqual(['REJECTED DIGEST', 'REJECTED DIGEST']);
  });

  it('a part cut half-way goes on where it was, over the next connection', async () => {
    servePart = async (call) => {
      if (call.digest !== catalog().digest) return honest(call);
      call.out.write(chunk(catalog().bytes.subarray(0, CHUNK_BYTES), 0));
      await call.out.drained();
      return fail(grpcStatus('unavailable', 'the line is cut'));
    };
    offer();
    await begun(2);
    servePart = honest;
    await proveLive();
    offer();
    expect(await verdict()).toBe('STAGED');
    expect(asked.filter(({ digest }) => digest === catalog().digest).map(({ offset }) => offset)).toEqual([0, CHUNK_BYTES]);
  });

  it('a part poisoned before the cut is found out, and begins anew', async () => {
    servePart = async (call) => {
      if (call.digest !== catalog().digest) return honest(call);
      call.out.write(chunk(new Uint8Array(CHUNK_BYTES), 0));
      await call.out.drained();
      return fail(grpcStatus('unavailable', 'the line is cut'));
    };
    offer();
    await begun(2);
    servePart = honest;
    await proveLive();
    offer();
    expect(await verdict()).toBe('REJECTED DIGEST');
    offer();
    await eventually(() => verdicts().includes('STAGED'));
    expect(asked.filter(({ digest }) => digest === catalog().digest).map(({ offset }) => offset)).toEqual([0, CHUNK_BYTES, 0]);
  });

  it('slow drip: a part that never ends holds up no revocation, and is given up in time', async () => {
    servePart = async ({ out, signal }) => {
      out.write(chunk(new Uint8Array(1), 0));
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      return ok(undefined);
    };
    offer();
    await eventually(() => asked.length === 1);
    send({ case: 'revocation', value: (await sim.revoke({ selector: { type: 'principal', value: 'mallory' } })).envelope });
    await eventually(() => side.activator.position.revocationSeq === 1);
    await side.clock.advance(90_000);
    await begun(2);
    expect(asked.every(({ signal }) => signal.aborted)).toBe(true);
  });

  it('a flood of offers: one is staged at a time, and of those that wait only the newest', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    servePart = async (call) => {
      await released;
      return honest(call);
    };
    const flood: PublishedBundle[] = [];
    for (let version = 2; version < 12; version++) flood.push(await publishPolicy(sim, { version }));
    offer(flood[0]);
    await eventually(() => asked.length === 1);
    for (const one of flood.slice(1)) offer(one);
    // The stream is read on meanwhile; what the flood displaced is not kept.
    send({ case: 'revocation', value: (await sim.revoke({ selector: { type: 'principal', value: 'mallory' } })).envelope });
    await eventually(() => side.activator.position.revocationSeq === 1);
    release();
    await eventually(() => verdicts().length >= 2);
    expect(verdicts()).toHaveLength(2);
  });

  it('a stream that is cut is begun again: with what is held, a new question, and no answer to the old one', async () => {
    const [first] = streams;
    const said = await sim.stateFreshness(side.clock.wall());
    send({ case: 'freshness', value: wire(said) });
    await eventually(() => side.activator.position.freshnessSeq === said.payload.seq);
    first!.cut();
    await begun(2);
    const hello = await eventually(() => stream().received.find((message) => message.case === 'hello'));
    const before = first!.received.find((message) => message.case === 'hello')!;
    expect([hello.value.rootNumber, hello.value.freshnessSeq]).toEqual([1n, BigInt(said.payload.seq)]);
    expect(hello.value.nonce).not.toEqual(before.value.nonce);
    const late = await sim.proveLive(side.clock.wall(), { nonce: before.value.nonce, identity: IDENTITY });
    send({ case: 'liveProof', value: wire(late, sim.onlineKeys.envelope) });
    await proveLive();
    expect(side.refusals).toContain('live_proof ROLLBACK');
  });

  it('entries that are no names renew nothing and break nothing', async () => {
    const said = await sim.stateFreshness(side.clock.wall());
    const bent = wire(said);
    for (const entry of bent.entries) entry.area = '../../etc';
    send({ case: 'freshness', value: bent });
    await eventually(() => side.activator.position.freshnessSeq === said.payload.seq);
    expect(side.serves()).toBe('denies (absent)');
  });
});

function nameOf(outcome: Verdict_Outcome): string {
  return Object.entries(Verdict_Outcome).find(([, number]) => number === outcome)?.[0] ?? String(outcome);
}

function wire(
  { offer }: PublishedStatement<Freshness>,
  onlineKeys: Uint8Array = new Uint8Array(),
): ReturnType<typeof create<typeof FreshnessSchema>> {
  return create(FreshnessSchema, {
    envelope: offer.envelope,
    onlineKeys,
    entries: offer.entries.map((entry) =>
      create(FreshnessEntrySchema, {
        area: entry.area,
        ring: entry.ring,
        release: entry.release,
        releaseSeq: BigInt(entry.releaseSeq),
        leafIndex: BigInt(entry.leafIndex),
        treeSize: BigInt(entry.treeSize),
        proof: [...entry.proof],
      }),
    ),
  });
}

/** Waits for what real sockets bring; the ceiling is for what never comes. */
async function eventually<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const until = performance.now() + 10_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > until) throw new Error(`never came: ${look.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
