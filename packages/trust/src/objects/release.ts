/** Release: which bundles are enforced in one area and ring. `release_seq` alone orders what is enforced. Spec section 4.4. */

import { encodeBase64 } from '@sallyport/crypto';
import { formatInstant } from '@sallyport/model';
import type { Area, Digest, Instant, ReleaseSeq, Result, Revision, Ring } from '@sallyport/model';
import * as z from 'zod/mini';
import { FALLBACKS_MAX, REASON_LENGTH_MAX, RELEASE_BUNDLES_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { area, bytes, digest, head, instant, positive, ring } from '../shapes.ts';

export interface ReleasedBundle {
  readonly area: Area;
  readonly digest: Digest;
  readonly revision: Revision;
}

export interface Release {
  readonly area: Area;
  readonly ring: Ring;
  readonly releaseSeq: ReleaseSeq;
  /** The joined set, broadest area first. */
  readonly bundles: readonly ReleasedBundle[];
  readonly freshnessTtlMsMax: number;
  /** The signers mean to go back; needs the rollback threshold. */
  readonly rollback: boolean;
  readonly reason: string | null;
  /** Bundles that one key may return to, in the release after this one. */
  readonly fallbacks: readonly Digest[];
  readonly createdAt: Instant;
  /** Envelope of the release whose `fallbacks` name where this one goes back to: then one key is enough. */
  readonly fallbackOf?: Uint8Array;
}

const FALLBACK_OF_BYTES_MAX = 8_192;

const shape: z.ZodMiniType<Release> = z.pipe(
  z.strictObject({
    ...head('Release'),
    area,
    ring,
    release_seq: positive,
    bundles: z.array(z.strictObject({ area, digest, revision: positive })).check(z.minLength(1), z.maxLength(RELEASE_BUNDLES_MAX)),
    freshness_ttl_ms_max: positive,
    rollback: z.boolean(),
    reason: z.nullable(z.string().check(z.minLength(1), z.maxLength(REASON_LENGTH_MAX))),
    fallbacks: z.array(digest).check(z.maxLength(FALLBACKS_MAX)),
    created_at: instant,
    fallback_of: z.optional(bytes(1, FALLBACK_OF_BYTES_MAX)),
  }),
  z.transform((wire): Release => ({
    area: wire.area,
    ring: wire.ring,
    releaseSeq: wire.release_seq as ReleaseSeq,
    bundles: wire.bundles.map((bundle) => ({ ...bundle, revision: bundle.revision as Revision })),
    freshnessTtlMsMax: wire.freshness_ttl_ms_max,
    rollback: wire.rollback,
    reason: wire.reason,
    fallbacks: wire.fallbacks,
    createdAt: wire.created_at,
    ...(wire.fallback_of === undefined ? {} : { fallbackOf: wire.fallback_of }),
  })),
);

export function readRelease(payload: Uint8Array): Result<Release, Rejection> {
  return readPayload('Release', payload, shape);
}

/** The payload bytes to sign. */
export function encodeRelease(release: Release): Uint8Array {
  return encodePayload('Release', {
    area: release.area,
    ring: release.ring,
    release_seq: release.releaseSeq,
    bundles: release.bundles.map((bundle) => ({ area: bundle.area, digest: bundle.digest, revision: bundle.revision })),
    freshness_ttl_ms_max: release.freshnessTtlMsMax,
    rollback: release.rollback,
    reason: release.reason,
    fallbacks: release.fallbacks,
    created_at: formatInstant(release.createdAt),
    ...(release.fallbackOf === undefined ? {} : { fallback_of: encodeBase64(release.fallbackOf) }),
  });
}
