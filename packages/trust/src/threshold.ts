/**
 * Counting signatures. A threshold counts distinct public keys of one role, never key ids and never signatures: a key
 * listed twice, or signing twice, is one. docs/spec/trust-v1.md section 2.3.
 */

import { encodeHex, pae, verify } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { KeyId, Result } from '@sallyport/model';
import type { Envelope } from './envelope.ts';
import { payloadTypeOf, refusalCodeOf } from './kinds.ts';
import type { SignedKind } from './kinds.ts';
import type { KeyRecord, RoleRecord } from './objects/keys.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';

/** A role's keys in full. */
export interface RoleKeys {
  readonly keys: readonly KeyRecord[];
  readonly threshold: number;
}

/** A key's identity: its public bytes in hex. */
export function identityOf(key: { readonly publicRaw: Uint8Array }): string {
  return encodeHex(key.publicRaw);
}

/** Joins a role with the key records of its object. What does not add up is a list of sentences; empty means sound. */
export function resolveRole(name: string, role: RoleRecord, keys: readonly KeyRecord[]): { role: RoleKeys; problems: string[] } {
  const problems: string[] = [];
  const found: KeyRecord[] = [];
  for (const keyId of role.keyIds) {
    const records = keys.filter((key) => key.keyId === keyId);
    if (records.length !== 1) problems.push(`role \`${name}\` names key \`${keyId}\`, which is listed ${records.length} times`);
    found.push(...records);
  }
  const distinct = new Set(found.map(identityOf)).size;
  // One key under two ids: the role would look stronger than it is.
  if (role.threshold > distinct) problems.push(`role \`${name}\` asks for ${role.threshold} keys and has ${distinct} distinct ones`);
  return { role: { keys: found, threshold: role.threshold }, problems };
}

/** The keys among `keys` that signed this envelope as `kind`, each once. */
export function distinctSigners<K extends KeyRecord>(kind: SignedKind, envelope: Envelope, keys: readonly K[]): K[] {
  // The type is the one asked for, not the one that the envelope claims.
  const message = pae(payloadTypeOf(kind), envelope.payload);
  const signers = new Map<string, K>();
  for (const { keyId, signature } of envelope.signatures) {
    const signer = candidates(keys, keyId).find((key) => verify({ alg: key.alg, raw: key.publicRaw }, message, signature));
    if (signer !== undefined) signers.set(identityOf(signer), signer);
  }
  return [...signers.values()];
}

/** An id narrows the search; an unknown one narrows nothing, since it is only a hint. */
function candidates<K extends KeyRecord>(keys: readonly K[], keyId: string): readonly K[] {
  const named = keys.filter((key) => key.keyId === (keyId as KeyId));
  return named.length === 0 ? keys : named;
}

/** Whether enough distinct keys of the role signed exactly this payload as `kind`. */
export function countThreshold(kind: SignedKind, envelope: Envelope, role: RoleKeys): Result<number, Rejection> {
  const signed = distinctSigners(kind, envelope, role.keys).length;
  if (signed >= role.threshold) return ok(signed);
  return fail(reject(refusalCodeOf(kind), `the ${kind} is signed by ${signed} of the ${role.threshold} distinct keys that it needs`));
}
