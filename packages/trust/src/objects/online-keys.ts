/** OnlineKeys: which freshness key each replica uses, and when. Rotation needs no root key. Spec section 4.5. */

import { formatInstant } from '@sallyport/model';
import type { Instant, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { KEYS_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { head, instant, positive, publicKey } from '../shapes.ts';
import { keyId, keyRecordToWire } from './keys.ts';
import type { KeyRecord } from './keys.ts';

export interface OnlineKey extends KeyRecord {
  readonly role: 'freshness';
  /** Which instance of the control plane holds it; for people. */
  readonly replica: string;
  /** Both inclusive, compared with a statement's `issued_at`. */
  readonly notBefore: Instant;
  readonly notAfter: Instant;
}

export interface OnlineKeys {
  /** Rises with every change. */
  readonly number: number;
  readonly keys: readonly OnlineKey[];
}

const onlineKey = z.pipe(
  z.strictObject({
    keyid: keyId,
    alg: z.literal('ed25519'),
    public: publicKey,
    role: z.literal('freshness'),
    replica: z.string().check(z.minLength(1), z.maxLength(64)),
    not_before: instant,
    not_after: instant,
  }),
  z.transform((wire): OnlineKey => ({
    keyId: wire.keyid,
    alg: wire.alg,
    publicRaw: wire.public,
    role: wire.role,
    replica: wire.replica,
    notBefore: wire.not_before,
    notAfter: wire.not_after,
  })),
);

const shape: z.ZodMiniType<OnlineKeys> = z.pipe(
  z.strictObject({ ...head('OnlineKeys'), number: positive, keys: z.array(onlineKey).check(z.minLength(1), z.maxLength(KEYS_MAX)) }),
  z.transform((wire): OnlineKeys => ({ number: wire.number, keys: wire.keys })),
);

export function readOnlineKeys(payload: Uint8Array): Result<OnlineKeys, Rejection> {
  return readPayload('OnlineKeys', payload, shape);
}

/** The payload bytes to sign. */
export function encodeOnlineKeys(online: OnlineKeys): Uint8Array {
  return encodePayload('OnlineKeys', {
    number: online.number,
    keys: online.keys.map((key) => ({
      ...keyRecordToWire(key),
      role: key.role,
      replica: key.replica,
      not_before: formatInstant(key.notBefore),
      not_after: formatInstant(key.notAfter),
    })),
  });
}
