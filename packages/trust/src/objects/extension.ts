/**
 * Extension: the release role itself says, with offline keys, that a release is still the one. For outages in which nobody
 * can issue freshness; a signed statement, never a local switch. Shape only. Spec section 4.11.
 */

import { formatInstant } from '@sallyport/model';
import type { Area, Digest, Instant, ReleaseSeq, Result, Ring } from '@sallyport/model';
import * as z from 'zod/mini';
import { REASON_LENGTH_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { area, count, digest, head, instant, positive, ring } from '../shapes.ts';
import type { RevocationHead } from './freshness.ts';

export interface Extension {
  readonly area: Area;
  readonly ring: Ring;
  readonly release: Digest;
  readonly releaseSeq: ReleaseSeq;
  readonly rootNumber: number;
  /** How far the log had come, as its signers know: every revocation up to there has to be applied. */
  readonly revocation: RevocationHead;
  readonly issuedAt: Instant;
  readonly ttlMs: number;
  /** Why nobody else could say so; for whoever looks at the outage afterwards. */
  readonly reason: string;
}

const extension: z.ZodMiniType<Extension> = z.pipe(
  z.strictObject({
    ...head('Extension'),
    area,
    ring,
    release: digest,
    release_seq: positive,
    root_number: positive,
    revocation: z.strictObject({ seq: count, head: z.nullable(digest) }),
    issued_at: instant,
    ttl_ms: positive,
    reason: z.string().check(z.minLength(1), z.maxLength(REASON_LENGTH_MAX)),
  }),
  z.transform((wire): Extension => ({
    area: wire.area,
    ring: wire.ring,
    release: wire.release,
    releaseSeq: wire.release_seq as ReleaseSeq,
    rootNumber: wire.root_number,
    revocation: wire.revocation,
    issuedAt: wire.issued_at,
    ttlMs: wire.ttl_ms,
    reason: wire.reason,
  })),
);

export function readExtension(payload: Uint8Array): Result<Extension, Rejection> {
  return readPayload('Extension', payload, extension);
}

/** The payload bytes to sign. */
export function encodeExtension(of: Extension): Uint8Array {
  return encodePayload('Extension', {
    area: of.area,
    ring: of.ring,
    release: of.release,
    release_seq: of.releaseSeq,
    root_number: of.rootNumber,
    revocation: { seq: of.revocation.seq, head: of.revocation.head },
    issued_at: formatInstant(of.issuedAt),
    ttl_ms: of.ttlMs,
    reason: of.reason,
  });
}
