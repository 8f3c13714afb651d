/**
 * What people need while an object is being signed at several machines: whose signatures are there, whose are missing,
 * and one envelope out of several. Nothing is trusted on the strength of it; receivers count for themselves.
 * docs/spec/ceremonies.md section 3.
 */

import { equalBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { encodeEnvelope } from './envelope.ts';
import type { Envelope, EnvelopeSignature } from './envelope.ts';
import { refusalCodeOf } from './kinds.ts';
import type { SignedKind } from './kinds.ts';
import type { KeyRecord } from './objects/keys.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { distinctSigners, identityOf } from './threshold.ts';
import type { RoleKeys } from './threshold.ts';

/** How far a role has come: each key once, under its first id. */
export interface Tally {
  readonly threshold: number;
  readonly signed: readonly KeyRecord[];
  readonly missing: readonly KeyRecord[];
}

/** Who of a role signed this payload as `kind`, and who did not. */
export function tallySignatures(kind: SignedKind, envelope: Envelope, role: RoleKeys): Tally {
  const signed = distinctSigners(kind, envelope, role.keys);
  const counted = new Set(signed.map(identityOf));
  const missing = new Map(role.keys.filter((key) => !counted.has(identityOf(key))).map((key) => [identityOf(key), key]));
  return { threshold: role.threshold, signed, missing: [...missing.values()] };
}

/**
 * One envelope with the signatures of several over the same payload: of each of `keys` that signed, one signature that
 * verifies. What verifies under none of them is left out, so that nobody crowds out a signature with garbage under its id.
 */
export function joinEnvelopes(
  kind: SignedKind,
  envelopes: readonly [Envelope, ...Envelope[]],
  keys: readonly KeyRecord[],
): Result<Uint8Array, Rejection> {
  const [first] = envelopes;
  const other = envelopes.find(({ payload }) => !equalBytes(payload, first.payload));
  if (other !== undefined) return fail(reject(refusalCodeOf(kind), 'these are signatures over different objects'));
  const kept = new Map<string, EnvelopeSignature>();
  for (const signature of envelopes.flatMap(({ signatures }) => signatures)) {
    for (const signer of distinctSigners(kind, { ...first, signatures: [signature] }, keys))
      kept.set(identityOf(signer), { keyId: signer.keyId, signature: signature.signature });
  }
  if (kept.size === 0) return fail(reject(refusalCodeOf(kind), 'none of the signatures is of a key that counts'));
  return ok(encodeEnvelope({ ...first, signatures: [...kept.values()] }));
}
