/**
 * A control plane in an attacker's hands: it holds every key that the real one held, and says whatever it is made to say.
 * It has no key of a publisher, a registrar or the release role, as the real one had none.
 */

import { BundleOfferSchema, create, FreshnessEntrySchema, FreshnessSchema } from '@sallyport/contract';
import type { Freshness as FreshnessMessage, PartDelta } from '@sallyport/contract';
import type { Area, Digest, Instant, ReleaseSeq, Ring } from '@sallyport/model';
import { encodeFreshness, encodeLiveProof, encodeRevocation, freshnessTree, signEnvelope } from '@sallyport/trust';
import type { Freshness, FreshnessEntry, FreshnessLeaf, Revocation, RevocationHead, StatementOffer } from '@sallyport/trust';
import { startRogueServer } from './rogue-server.ts';
import type { RogueServer, RogueServerOptions } from './rogue-server.ts';
import { readStolen } from './stolen.ts';
import type { Stolen } from './stolen.ts';

export interface RogueOptions extends RogueServerOptions {
  /** The number before the first statement's, where it is not to go on from the sidecar's own. */
  readonly seqBefore?: number;
}

/** What a forged statement says; what is left out is as an honest one would have it. */
export interface Forged {
  readonly leaves: readonly FreshnessLeaf[];
  readonly seq?: number;
  readonly ttlMs?: number;
  readonly issuedAt?: Instant;
  readonly revocation?: RevocationHead;
  /** Of a live proof. */
  readonly identity?: string;
}

export interface Rogue extends Pick<RogueServer, 'port' | 'streams' | 'hello' | 'serveParts' | 'close'> {
  /** What was stolen with it. */
  readonly keys: Stolen;
  /** Offers a bundle and gives the verdict, such as `REJECTED SIGNATURE`. */
  offerBundle(envelope: Uint8Array, parts?: readonly Uint8Array[], deltas?: readonly PartDelta[]): Promise<string>;
  offerRelease(envelope: Uint8Array): Promise<string>;
  /** Answers the sidecar's question under the stolen freshness key. */
  prove(forged: Forged): Promise<void>;
  /** A statement under the stolen freshness key, to be played now or later. */
  sign(forged: Forged): Promise<StatementOffer>;
  play(kind: 'liveProof' | 'freshness', offer: StatementOffer): Promise<void>;
  /** An entry of the revocation log under the stolen revocation key; gives its envelope's payload. */
  revoke(entry: Revocation): Promise<Uint8Array>;
}

const TTL_MS = 60_000;
const NOTHING_REVOKED: RevocationHead = { seq: 0, head: null };

/** Listens until closed. */
export async function startRogue(options: RogueOptions): Promise<Rogue> {
  const { clock, seqBefore } = options;
  const keys = readStolen(options.home);
  const server = await startRogueServer(options);
  // Owner: this control plane.
  let lastSeq = seqBefore ?? 0;
  const nextSeq = async (): Promise<number> => {
    lastSeq = Math.max(lastSeq, seqBefore ?? Number((await server.hello()).freshnessSeq)) + 1;
    return lastSeq;
  };
  const payloadOf = async ({ leaves, seq, ttlMs = TTL_MS, issuedAt = clock.wall(), revocation }: Forged): Promise<Freshness> => ({
    seq: seq ?? (await nextSeq()),
    rootNumber: 1,
    merkleRoot: freshnessTree(leaves).merkleRoot,
    revocation: revocation ?? NOTHING_REVOKED,
    issuedAt,
    ttlMs,
  });
  const play: Rogue['play'] = (kind, statement) => server.say({ case: kind, value: messageOf(statement, keys) });
  return {
    keys,
    port: server.port,
    get streams() {
      return server.streams;
    },
    hello: () => server.hello(),
    serveParts: (serve) => server.serveParts(serve),
    close: () => server.close(),
    play,
    offerBundle(envelope, parts = [], deltas = []) {
      server.bring(parts);
      const value = create(BundleOfferSchema, { envelope, delegation: keys.delegation, deltas: [...deltas] });
      return server.offer({ case: 'bundle', value });
    },
    offerRelease: (envelope) => server.offer({ case: 'release', value: { $typeName: 'sallyport.policy.v1.ReleaseOffer', envelope } }),
    async prove(forged) {
      const { nonce } = await server.hello();
      const proof = encodeLiveProof({ ...(await payloadOf(forged)), nonce, identity: forged.identity ?? '' });
      const envelope = await signEnvelope('LiveProof', proof, [keys.freshness]);
      await play('liveProof', { envelope, entries: freshnessTree(forged.leaves).entries });
    },
    async sign(forged) {
      const envelope = await signEnvelope('Freshness', encodeFreshness(await payloadOf(forged)), [keys.freshness]);
      return { envelope, entries: freshnessTree(forged.leaves).entries };
    },
    async revoke(entry) {
      const payload = encodeRevocation(entry);
      await server.say({ case: 'revocation', value: await signEnvelope('Revocation', payload, [keys.revocation]) });
      return payload;
    },
  };
}

function messageOf({ envelope, entries }: StatementOffer, { onlineKeys }: Stolen): FreshnessMessage {
  const wire = ({ releaseSeq, leafIndex, treeSize, proof, ...rest }: FreshnessEntry): FreshnessMessage['entries'][number] =>
    create(FreshnessEntrySchema, {
      ...rest,
      releaseSeq: BigInt(releaseSeq),
      leafIndex: BigInt(leafIndex),
      treeSize: BigInt(treeSize),
      proof: [...proof],
    });
  return create(FreshnessSchema, { envelope, onlineKeys, entries: entries.map(wire) });
}

/** What a statement says of one release. */
export function leafOf(release: {
  readonly digest: string;
  readonly releaseSeq: number;
  readonly area: string;
  readonly ring: string;
}): FreshnessLeaf {
  return {
    area: release.area as Area,
    ring: release.ring as Ring,
    release: release.digest as Digest,
    releaseSeq: release.releaseSeq as ReleaseSeq,
  };
}
