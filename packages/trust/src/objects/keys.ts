/** Key records and the roles that name them, as Root, AreaDelegation and OnlineKeys spell them. */

import { encodeBase64, keyIdOf } from '@sallyport/crypto';
import type { KeyId } from '@sallyport/model';
import * as z from 'zod/mini';
import { KEYS_MAX, ROLE_KEYS_MAX } from '../limits.ts';
import { positive, publicKey, textOf } from '../shapes.ts';

/** A public key under a name. The name is a hint; only the key itself has an identity. */
export interface KeyRecord {
  readonly keyId: KeyId;
  readonly alg: 'ed25519';
  readonly publicRaw: Uint8Array;
}

/** Who may sign for a role, by key id, and how many distinct keys it takes. */
export interface RoleRecord {
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
}

const KEY_ID = /^[0-9a-f]{32}$/;
export const keyId: z.ZodMiniType<KeyId> = textOf((text) => (KEY_ID.test(text) ? (text as KeyId) : undefined), '32 hex digits');

export const keyRecord: z.ZodMiniType<KeyRecord> = z.pipe(
  z.strictObject({ keyid: keyId, alg: z.literal('ed25519'), public: publicKey }),
  z.transform((wire): KeyRecord => ({ keyId: wire.keyid, alg: wire.alg, publicRaw: wire.public })),
);

export const keyRecords: z.ZodMiniType<KeyRecord[]> = z.array(keyRecord).check(z.minLength(1), z.maxLength(KEYS_MAX));

export const roleFields: { keyids: z.ZodMiniType<KeyId[]>; threshold: z.ZodMiniType<number> } = {
  keyids: z.array(keyId).check(z.minLength(1), z.maxLength(ROLE_KEYS_MAX)),
  threshold: positive,
};

export const roleRecord: z.ZodMiniType<RoleRecord> = z.pipe(
  z.strictObject(roleFields),
  z.transform((wire): RoleRecord => ({ keyIds: wire.keyids, threshold: wire.threshold })),
);

/** The record of a key that signs, under its own name. */
export function keyRecordOf(publicRaw: Uint8Array): KeyRecord {
  return { keyId: keyIdOf(publicRaw) as KeyId, alg: 'ed25519', publicRaw };
}

export function keyRecordToWire(key: KeyRecord): object {
  return { keyid: key.keyId, alg: key.alg, public: encodeBase64(key.publicRaw) };
}

export function roleRecordToWire(role: RoleRecord): object {
  return { keyids: role.keyIds, threshold: role.threshold };
}
