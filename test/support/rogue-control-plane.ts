/**
 * A control plane in an attacker's hands: it listens where the real one did, holds every key that the real one held, and
 * says whatever a test makes it say. It has no key of a publisher, a registrar or the release role, as the real one had none.
 */

import {
  BundleOfferSchema,
  create,
  FreshnessEntrySchema,
  FreshnessSchema,
  PartChunkSchema,
  PolicyPlane,
  ServerMessageSchema,
  Verdict_Outcome,
  type ClientMessage,
  type ServerMessage,
} from '@sallyport/contract';
import { digestOf, readVerifyKey } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import { fail, ok, type Digest, type Instant, type ReleaseSeq } from '@sallyport/model';
import { grpcStatus, serve, startGrpcServer, tlsHolder, type StreamWriter } from '@sallyport/net';
import { encodeLiveProof, freshnessTree, signEnvelope } from '@sallyport/trust';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AREA, RING } from './administrator.ts';
import { eventually, type World } from './world.ts';

export interface Rogue {
  /** Streams that sidecars have begun here. */
  readonly streams: number;
  /** Offers a bundle and gives the verdict, such as `REJECTED SIGNATURE`. */
  offerBundle(envelope: Uint8Array, parts?: readonly Uint8Array[]): Promise<string>;
  offerRelease(envelope: Uint8Array): Promise<string>;
  /** Answers the sidecar's question under the stolen freshness key, naming this release as the current one. */
  prove(release: { readonly digest: string; readonly releaseSeq: number }): Promise<void>;
  close(): Promise<void>;
}

interface Stream {
  readonly out: StreamWriter<ServerMessage>;
  readonly received: ClientMessage['message'][];
}

/** Takes the place of a control plane that has been stopped. Statements have numbers from a million on. */
export async function rogueControlPlane(world: World, { host, port }: { readonly host: string; readonly port: number }): Promise<Rogue> {
  const { dir, clock } = world;
  const read = (...path: readonly string[]): string => readFileSync(join(dir, ...path), 'utf8');
  const freshness = signerFromPem(read('control-plane', 'freshness.pem'));
  const onlineKeys = readFileSync(join(dir, 'online-keys.json'));
  const delegation = readFileSync(join(dir, 'delegations', 'default.json'));
  const parts = new Map<string, Uint8Array>();
  const streams: Stream[] = [];
  let seq = 1_000_000;
  const server = await startGrpcServer({
    host,
    port,
    tls: await stolenIdentity(read, clock.wall()),
    trustDomain: 'demo.local',
    clients: 'verified',
    clock,
    onBug: () => undefined,
    services: [
      serve(PolicyPlane, {
        purposes: ['sidecar'],
        handlers: {
          async subscribe(incoming, out) {
            const stream: Stream = { out, received: [] };
            streams.push(stream);
            for await (const { message } of incoming) stream.received.push(message);
            return ok(undefined);
          },
          async getPart({ digest }, out) {
            const part = parts.get(digest);
            if (part === undefined) return fail(grpcStatus('not_found', 'no such part'));
            out.write(create(PartChunkSchema, { offset: 0n, total: BigInt(part.length), data: part }));
            await out.drained();
            return ok(undefined);
          },
          export: async () => fail(grpcStatus('unimplemented', 'not here')),
          prove: async () => fail(grpcStatus('unimplemented', 'not here')),
        },
      }),
    ],
  });
  const joined = (): Promise<Stream> => eventually(() => streams.at(-1), 'a sidecar at the rogue control plane');
  const offer = async (message: ServerMessage['message']): Promise<string> => {
    const { out, received } = await joined();
    const nonce = randomBytes(16);
    out.write(create(ServerMessageSchema, { nonce, message }), { priority: true });
    const verdict = await eventually(
      () => received.flatMap((one) => (one.case === 'verdict' && Buffer.from(one.value.nonce).equals(nonce) ? [one.value] : []))[0],
      'a verdict',
    );
    const outcome = Object.entries(Verdict_Outcome).find(([, number]) => number === verdict.outcome)?.[0] ?? '';
    return verdict.code === '' ? outcome : `${outcome} ${verdict.code}`;
  };
  return {
    get streams() {
      return streams.length;
    },
    offerBundle(envelope, brought = []) {
      for (const part of brought) parts.set(digestOf(part), part);
      return offer({ case: 'bundle', value: create(BundleOfferSchema, { envelope, delegation }) });
    },
    offerRelease: (envelope) => offer({ case: 'release', value: { $typeName: 'sallyport.policy.v1.ReleaseOffer', envelope } }),
    async prove({ digest, releaseSeq }) {
      const { out, received } = await joined();
      const hello = await eventually(() => received.find((message) => message.case === 'hello'), 'a Hello');
      const leaf = { area: AREA, ring: RING, release: digest as Digest, releaseSeq: releaseSeq as ReleaseSeq };
      const { merkleRoot, entries } = freshnessTree([leaf]);
      const payload = encodeLiveProof({
        seq: ++seq,
        rootNumber: 1,
        merkleRoot,
        revocation: { seq: 0, head: null },
        issuedAt: clock.wall(),
        ttlMs: 60_000,
        nonce: hello.value.nonce,
        identity: 'spiffe://demo.local/sidecar/support-triage/one',
      });
      const envelope = await signEnvelope('LiveProof', payload, [freshness]);
      const proof = create(FreshnessSchema, {
        envelope,
        onlineKeys,
        entries: entries.map((entry) =>
          create(FreshnessEntrySchema, {
            ...entry,
            releaseSeq: BigInt(entry.releaseSeq),
            leafIndex: BigInt(entry.leafIndex),
            treeSize: BigInt(entry.treeSize),
            proof: [...entry.proof],
          }),
        ),
      });
      out.write(create(ServerMessageSchema, { message: { case: 'liveProof', value: proof } }), { priority: true });
    },
    close: () => server.drain({ graceMs: 0 }),
  };
}

/** A certificate for `/control-plane`, by the workload CA whose key the real one held. */
async function stolenIdentity(
  read: (...path: readonly string[]) => string,
  now: Instant,
): Promise<NonNullable<ReturnType<typeof holderOf>>> {
  const pem = read('control-plane', 'workload-ca.crt');
  const certificate = new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  const key = generateKey('es256');
  const subjectPublicKey = readVerifyKey('es256', key.publicRaw);
  if (subjectPublicKey === undefined) throw new Error('a new key can be read');
  const second = Math.floor(now / 1_000) * 1_000;
  const leaf = await issueCertificate({
    ca: { certificate, privatePem: read('control-plane', 'workload-ca.pem') },
    subjectPublicKey,
    spiffeId: 'spiffe://demo.local/control-plane',
    usage: 'tls-both',
    serial: randomBytes(16),
    notBefore: second - 60_000,
    notAfter: second + 3_600_000,
  });
  const holder = holderOf([leaf, certificate], key.privatePem);
  if (holder === undefined) throw new Error('a stolen identity is complete');
  return holder;
}

function holderOf(
  chain: readonly Uint8Array[],
  privatePem: string,
): Extract<ReturnType<typeof tlsHolder>, { ok: true }>['value'] | undefined {
  const holder = tlsHolder({ chain, privatePem, authorities: chain.slice(-1) });
  return holder.ok ? holder.value : undefined;
}
