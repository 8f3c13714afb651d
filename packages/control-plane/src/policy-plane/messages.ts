/** Messages of the policy stream, encoded once however many sidecars they go to. */

import {
  BundleOfferSchema,
  FreshnessEntrySchema,
  FreshnessSchema,
  PartDeltaSchema,
  ReconnectSchema,
  ReleaseOfferSchema,
  ServerMessageSchema,
  create,
} from '@sallyport/contract';
import type { ServerMessage } from '@sallyport/contract';
import type { Digest, Random } from '@sallyport/model';
import { encode } from '@sallyport/net';
import type { Encoded } from '@sallyport/net';
import type { IssuedStatement } from '../freshness/api.ts';
import type { Place } from '../publish/api.ts';

export type Message = Encoded<ServerMessage>;

/** An offer, and the nonce by which its verdict names it. */
export interface Offer {
  readonly kind: 'bundle' | 'release';
  readonly digest: Digest;
  readonly nonce: Uint8Array;
  readonly message: Message;
}

const NONCE_BYTES = 16;
const OFFERS_MAX = 256;

/** A part as its difference from another one. */
export interface Delta {
  readonly digest: Digest;
  readonly base: Digest;
  readonly frame: Uint8Array;
}

interface BundleToOffer {
  readonly envelope: Uint8Array;
  readonly delegation: Uint8Array;
  readonly deltas: readonly Delta[];
}

export interface OfferBook {
  /** The offer that was made before, while it is remembered. */
  known(digest: Digest): Offer | undefined;
  bundle(digest: Digest, of: BundleToOffer): Offer;
  release(digest: Digest, envelope: Uint8Array): Offer;
}

/** Offers by digest. One nonce serves all receivers: it counts on a stream only while that stream's offer is outstanding. */
export function offerBook(random: Random): OfferBook {
  // Owner: this book; the oldest goes when it is full.
  const offers = new Map<Digest, Offer>();
  const remember = (offer: Offer): Offer => {
    const [oldest] = offers.keys();
    if (offers.size >= OFFERS_MAX && oldest !== undefined) offers.delete(oldest);
    offers.set(offer.digest, offer);
    return offer;
  };
  return {
    known: (digest) => offers.get(digest),
    bundle(digest, of) {
      const nonce = random(NONCE_BYTES);
      const value = create(BundleOfferSchema, { ...of, deltas: of.deltas.map((delta) => create(PartDeltaSchema, delta)) });
      const message = encode(ServerMessageSchema, { nonce, message: { case: 'bundle', value } });
      return remember({ kind: 'bundle', digest, nonce, message });
    },
    release(digest, envelope) {
      const nonce = random(NONCE_BYTES);
      const message = encode(ServerMessageSchema, { nonce, message: { case: 'release', value: create(ReleaseOfferSchema, { envelope }) } });
      return remember({ kind: 'release', digest, nonce, message });
    },
  };
}

export function rootMessage(envelope: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'root', value: envelope } });
}

export function revocationMessage(envelope: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'revocation', value: envelope } });
}

export function snapshotMessage(envelope: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'revocationSnapshot', value: envelope } });
}

export function directoryMessage(envelope: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'directory', value: envelope } });
}

/** A live proof, with the keys that certify its signer: the receiver may have none yet. */
export function proofMessage(statement: IssuedStatement, place: Place, onlineKeys: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'liveProof', value: freshness(statement, place, onlineKeys) } });
}

/** A statement, for every receiver of one place; with the online keys where they are newer than what receivers may hold. */
export function statementMessage(statement: IssuedStatement, place: Place, onlineKeys?: Uint8Array): Message {
  return encode(ServerMessageSchema, { message: { case: 'freshness', value: freshness(statement, place, onlineKeys) } });
}

export function reconnectMessage(of: { readonly afterMs: number; readonly jitterMs: number; readonly reason: string }): Message {
  return encode(ServerMessageSchema, { message: { case: 'reconnect', value: create(ReconnectSchema, of) } });
}

function freshness(
  statement: IssuedStatement,
  { area, ring }: Place,
  onlineKeys?: Uint8Array,
): ReturnType<typeof create<typeof FreshnessSchema>> {
  return create(FreshnessSchema, {
    envelope: statement.envelope,
    entries: statement.entriesFor(area, ring).map((entry) =>
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
    ...(onlineKeys === undefined ? {} : { onlineKeys }),
  });
}
