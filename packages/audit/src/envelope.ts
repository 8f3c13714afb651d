/**
 * DSSE v1 envelopes of audit statements: exactly one signature, by an Ed25519 audit key, over exact payload bytes. Every
 * member is held to its one spelling, so that no bit of an envelope can change unnoticed, a key's name included.
 */

import { decodeBase64, encodeBase64, keyIdOf, pae, verify } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Json, Result } from '@sallyport/model';

/** As it stands in JSON. */
export interface Envelope {
  readonly payloadType: string;
  /** Standard base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** Signs with the audit key, wherever it lives; `Signer` of `@sallyport/crypto/keys` fits. */
export interface AuditSigner {
  /** First 32 hex digits of the SHA-256 of the raw public key. */
  readonly keyId: string;
  /** 64 bytes, Ed25519. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Why a signed audit statement is refused. */
export type EnvelopeProblem = 'malformed' | 'wrong_type' | 'wrong_key' | 'signature_invalid';

const PAYLOAD_CHARS_MAX = 1_400_000;

export async function signEnvelope(payloadType: string, payload: Uint8Array, signer: AuditSigner): Promise<Envelope> {
  const signature = await signer.sign(pae(payloadType, payload));
  return {
    payloadType,
    payload: encodeBase64(payload),
    signatures: [{ keyid: signer.keyId, sig: encodeBase64(signature) }],
  };
}

/** The payload, if this key signed it as this type. */
export function openEnvelope(envelope: Envelope, payloadType: string, key: VerifyKey): Result<Uint8Array, EnvelopeProblem> {
  if (envelope.payloadType !== payloadType) return fail('wrong_type');
  const [signature, ...more] = envelope.signatures;
  if (signature === undefined || more.length > 0 || envelope.payload.length > PAYLOAD_CHARS_MAX) return fail('malformed');
  const [payload, bytes] = [decodeBase64(envelope.payload), decodeBase64(signature.sig)];
  if (payload === undefined || bytes === undefined) return fail('malformed');
  if (key.alg !== 'ed25519' || signature.keyid !== keyIdOf(key.raw)) return fail('wrong_key');
  return verify(key, pae(payloadType, payload), bytes) ? ok(payload) : fail('signature_invalid');
}

/** An envelope by its shape alone: these members and no other; `undefined` for anything else. */
export function readEnvelope(json: Json | undefined): Envelope | undefined {
  if (!isObjectOf(json, ['payloadType', 'payload', 'signatures'])) return undefined;
  const { payloadType, payload, signatures } = json;
  if (typeof payloadType !== 'string' || typeof payload !== 'string' || !Array.isArray(signatures)) return undefined;
  const read = (signatures as readonly Json[]).map((signature) => {
    if (!isObjectOf(signature, ['keyid', 'sig'])) return undefined;
    const { keyid, sig } = signature;
    return typeof keyid === 'string' && typeof sig === 'string' ? { keyid, sig } : undefined;
  });
  return read.length === 1 && read.every((signature) => signature !== undefined) ? { payloadType, payload, signatures: read } : undefined;
}

function isObjectOf<K extends string>(json: Json | undefined, names: readonly K[]): json is { readonly [name in K]: Json } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return false;
  const keys = Object.keys(json);
  return keys.length === names.length && names.every((name) => Object.hasOwn(json, name));
}
