/**
 * A control plane in an attacker's hands: it holds every key that the real one held, and says whatever it is made to say.
 * It has no key of a publisher, a registrar or the release role, as the real one had none.
 */

import { BundleOfferSchema, create, FreshnessEntrySchema, FreshnessSchema } from '@sallyport/contract';
import type { Freshness as FreshnessMessage, PartDelta } from '@sallyport/contract';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { Area, Digest, Instant, ReleaseSeq, Ring } from '@sallyport/model';
import { encodeFreshness, encodeLiveProof, freshnessTree, signEnvelope } from '@sallyport/trust';
import type { Freshness, FreshnessEntry, FreshnessLeaf, RevocationHead, StatementOffer } from '@sallyport/trust';
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

/** What an offer of a bundle brings beside it. */
export interface OfferedBeside {
  readonly deltas?: readonly PartDelta[];
  readonly delegation?: Uint8Array;
}

export interface Rogue extends Pick<RogueServer, 'port' | 'streams' | 'hello' | 'offer' | 'serveParts' | 'close'> {
  /** What was stolen with it. */
  readonly keys: Stolen;
  /** Offers a bundle and gives the verdict, such as `REJECTED SIGNATURE`. */
  offerBundle(envelope: Uint8Array, parts?: readonly Uint8Array[], more?: OfferedBeside): Promise<string>;
  offerRelease(envelope: Uint8Array): Promise<string>;
  /** Answers the sidecar's question under the stolen freshness key. */
  prove(forged: Forged): Promise<void>;
  /** A statement under the stolen freshness key, or another, to be played now or later. */
  sign(forged: Forged, signer?: LocalSigner): Promise<StatementOffer>;
  /** As `play` of a freshness statement, and gives the verdict; under other certified keys where these are given. */
  offerStatement(statement: StatementOffer, onlineKeys?: Uint8Array): Promise<string>;
  play(kind: 'liveProof' | 'freshness', offer: StatementOffer): Promise<void>;
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
    offer: (message) => server.offer(message),
    offerStatement: (statement, onlineKeys = keys.onlineKeys) =>
      server.offer({ case: 'freshness', value: messageOf(statement, { onlineKeys }) }),
    serveParts: (serve) => server.serveParts(serve),
    close: () => server.close(),
    play,
    offerBundle(envelope, parts = [], { deltas = [], delegation = keys.delegation } = {}) {
      server.bring(parts);
      const value = create(BundleOfferSchema, { envelope, delegation, deltas: [...deltas] });
      return server.offer({ case: 'bundle', value });
    },
    offerRelease: (envelope) => server.offer({ case: 'release', value: { $typeName: 'sallyport.policy.v1.ReleaseOffer', envelope } }),
    async prove(forged) {
      const { nonce } = await server.hello();
      const proof = encodeLiveProof({ ...(await payloadOf(forged)), nonce, identity: forged.identity ?? '' });
      const envelope = await signEnvelope('LiveProof', proof, [keys.freshness]);
      await play('liveProof', { envelope, entries: freshnessTree(forged.leaves).entries });
    },
    async sign(forged, signer = keys.freshness) {
      const envelope = await signEnvelope('Freshness', encodeFreshness(await payloadOf(forged)), [signer]);
      return { envelope, entries: freshnessTree(forged.leaves).entries };
    },
  };
}

function messageOf({ envelope, entries }: StatementOffer, { onlineKeys }: Pick<Stolen, 'onlineKeys'>): FreshnessMessage {
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
