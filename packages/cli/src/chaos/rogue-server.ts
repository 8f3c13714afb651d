/** The server of a rogue control plane: takes the streams of sidecars, says to the last of them what it is told, and serves parts as it likes. */

import { create, PartChunkSchema, PolicyPlane, ServerMessageSchema, Verdict_Outcome } from '@sallyport/contract';
import type { ClientMessage, Hello, PartChunk, ServerMessage } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { randomBytes } from '@sallyport/crypto/keys';
import { Fault, fail, invariant, ok } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import type { ServedService, StreamWriter } from '@sallyport/net';
import { waitUntil } from '../demo/scratch.ts';
import { stolenCertificate } from './stolen.ts';

export interface RogueServerOptions {
  /** The administrator's folder, of which it takes what the control plane may hold. */
  readonly home: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly host: string;
  /** 0: whichever is free. */
  readonly port: number;
}

export type ServePart = (digest: string, out: StreamWriter<PartChunk>) => Promise<void>;

export interface RogueServer {
  readonly port: number;
  /** Streams that sidecars have begun here, of which the last one is spoken to. */
  readonly streams: number;
  /** What the sidecar on the last stream has said of itself, once there is one. */
  hello(): Promise<Hello>;
  say(message: ServerMessage['message']): Promise<void>;
  /** Says it and gives the verdict, such as `REJECTED SIGNATURE`. */
  offer(message: ServerMessage['message']): Promise<string>;
  /** Parts that are asked for later, by their digest. */
  bring(parts: readonly Uint8Array[]): void;
  /** How parts are served from now on; as they were brought unless told otherwise. */
  serveParts(serve: ServePart): void;
  close(): Promise<void>;
}

interface Stream {
  readonly out: StreamWriter<ServerMessage>;
  readonly received: ClientMessage['message'][];
}

/** What it has heard and has to give. Owner: the one server. */
interface Held {
  readonly streams: Stream[];
  readonly parts: Map<string, Uint8Array>;
  begun: number;
  serve: ServePart | undefined;
}

const POLL_MS = 10;

/** Listens until closed, as `/control-plane` under a certificate of the stolen CA. */
export async function startRogueServer(options: RogueServerOptions): Promise<RogueServer> {
  const { home, clock, trustDomain, host, port } = options;
  const { startGrpcServer } = await import('@sallyport/net');
  const held: Held = { streams: [], parts: new Map(), begun: 0, serve: undefined };
  const tls = await stolenCertificate({ home, clock, spiffeId: `spiffe://${trustDomain}/control-plane`, usage: 'tls-both' });
  const services = [await policyPlane(held)];
  const server = await startGrpcServer({ host, port, tls, trustDomain, clients: 'verified', clock, onBug: () => undefined, services });
  const joined = (): Promise<Stream> =>
    eventually(() => held.streams.findLast((one) => helloIn(one) !== undefined), 'a sidecar at the rogue control plane', options);
  return {
    port: server.port,
    get streams() {
      return held.begun;
    },
    async hello() {
      const said = helloIn(await joined());
      invariant(said !== undefined, 'a stream has joined with its Hello');
      return said;
    },
    async say(message) {
      const { out } = await joined();
      out.write(create(ServerMessageSchema, { message }), { priority: true });
    },
    async offer(message) {
      const stream = await joined();
      const nonce = randomBytes(16);
      stream.out.write(create(ServerMessageSchema, { nonce, message }), { priority: true });
      return eventually(() => verdictIn(stream, nonce), 'a verdict', options);
    },
    bring(parts) {
      for (const part of parts) held.parts.set(digestOf(part), part);
    },
    serveParts(serve) {
      held.serve = serve;
    },
    close: () => server.drain({ graceMs: 0 }),
  };
}

async function policyPlane(held: Held): Promise<ServedService> {
  const { grpcStatus, serve } = await import('@sallyport/net');
  return serve(PolicyPlane, {
    purposes: ['sidecar'],
    handlers: {
      async subscribe(incoming, out) {
        const stream: Stream = { out, received: [] };
        held.streams.push(stream);
        held.begun += 1;
        for await (const { message } of incoming) stream.received.push(message);
        held.streams.splice(held.streams.indexOf(stream), 1);
        return ok(undefined);
      },
      async getPart({ digest }, out) {
        if (held.serve !== undefined) {
          await held.serve(digest, out);
          return ok(undefined);
        }
        const part = held.parts.get(digest);
        if (part === undefined) return fail(grpcStatus('not_found', 'no such part'));
        out.write(create(PartChunkSchema, { offset: 0n, total: BigInt(part.length), data: part }));
        await out.drained();
        return ok(undefined);
      },
      export: async () => fail(grpcStatus('unimplemented', 'not here')),
      prove: async () => fail(grpcStatus('unimplemented', 'not here')),
    },
  });
}

function helloIn({ received }: Stream): Hello | undefined {
  return received.flatMap((one) => (one.case === 'hello' ? [one.value] : []))[0];
}

function verdictIn({ received }: Stream, nonce: Uint8Array): string | undefined {
  const [verdict] = received.flatMap((one) => (one.case === 'verdict' && Buffer.from(one.value.nonce).equals(nonce) ? [one.value] : []));
  if (verdict === undefined) return undefined;
  const name = Object.entries(Verdict_Outcome).find(([, number]) => number === verdict.outcome)?.[0] ?? '';
  return verdict.code === '' ? name : `${name} ${verdict.code}`;
}

/** Waits for what `look` finds. */
async function eventually<T>(look: () => T | undefined, what: string, io: Pick<RogueServerOptions, 'clock' | 'signal'>): Promise<T> {
  let found: T | undefined;
  await waitUntil(async () => (found = look()) !== undefined, POLL_MS, io);
  if (found === undefined) throw new Fault('control_plane_unreachable', 'control_plane', `never came: ${what}`);
  return found;
}
