/** The question of a receiver as a file, which a person carries to where the freshness key is. It is no secret. */

import { decodeBase64, encodeBase64, utf8 } from '@sallyport/crypto';
import { formatInstant, isArea, isRing } from '@sallyport/model';
import type { Area, Instant, Ring } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { API_VERSION } from './kinds.ts';

/** Whom a live proof is for, and what it has to answer. */
export interface WrittenChallenge {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  /** SPIFFE id of the receiver. */
  readonly identity: string;
  readonly area: Area;
  readonly ring: Ring;
}

export const CHALLENGE_BYTES_MAX = 4_096;
const NONCE_BYTES = 32;
const IDENTITY_LENGTH_MAX = 2_048;

/** One line; `writtenAt` is for people. */
export function encodeChallenge({ nonce, identity, area, ring }: WrittenChallenge, writtenAt: Instant): Uint8Array {
  const file = {
    api_version: API_VERSION,
    kind: 'Challenge',
    identity,
    area,
    ring,
    nonce: encodeBase64(nonce),
    written_at: formatInstant(writtenAt),
  };
  return utf8(`${JSON.stringify(file)}\n`);
}

/** `undefined` for what no receiver wrote. */
export function readChallenge(bytes: Uint8Array): WrittenChallenge | undefined {
  const judged = judge(bytes, { limits: { bytesMax: CHALLENGE_BYTES_MAX } });
  const tree: unknown = judged.ok ? judged.value.tree : undefined;
  if (typeof tree !== 'object' || tree === null) return undefined;
  const { api_version: version, kind, identity, area, ring, nonce } = tree as Readonly<Record<string, unknown>>;
  const bytesOf = typeof nonce === 'string' ? decodeBase64(nonce) : undefined;
  if (version !== API_VERSION || kind !== 'Challenge' || bytesOf?.byteLength !== NONCE_BYTES) return undefined;
  if (typeof identity !== 'string' || identity.length > IDENTITY_LENGTH_MAX || !identity.startsWith('spiffe://')) return undefined;
  if (typeof area !== 'string' || !isArea(area) || typeof ring !== 'string' || !isRing(ring)) return undefined;
  return { nonce: bytesOf, identity, area, ring };
}
