/**
 * DSSE v1 envelopes: who signed exactly which bytes, under which type. The envelope itself is untrusted text; only the
 * payload under a counted signature means anything, and `threshold.ts` counts. docs/spec/trust-v1.md section 2.
 */

import { decodeBase64, digestOf, encodeBase64, pae, utf8 } from '@sallyport/crypto';
import { invariant, ok, fail } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { payloadTypeOf, refusalCodeOf } from './kinds.ts';
import type { SignedKind } from './kinds.ts';
import { ENVELOPE_BYTES_MAX, SIGNATURES_MAX } from './limits.ts';
import { readJson } from './payload.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';

/**
 * One key that signs: a file, a command, a KMS or a token may stand behind it. Structurally the `Signer` of
 * `@sallyport/crypto/keys`, which pure packages may not import.
 */
export interface Signer {
  readonly alg: 'ed25519' | 'es256';
  readonly keyId: string;
  readonly publicRaw: Uint8Array;
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

export interface EnvelopeSignature {
  /** A hint, unauthenticated: it narrows the search for a key and proves nothing. May be empty. */
  readonly keyId: string;
  readonly signature: Uint8Array;
}

/** A parsed envelope; nothing in it is verified. */
export interface Envelope {
  readonly payloadType: string;
  /** The exact bytes that were signed. */
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** The digest of a signed object is the digest of its payload: the same whoever signed it, and in which order. */
export function digestOfPayload(payload: Uint8Array): Digest {
  return digestOf(payload) as Digest;
}

const wireEnvelope = z.strictObject({
  payloadType: z.string().check(z.maxLength(128)),
  payload: z.string(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().check(z.maxLength(128)), sig: z.string().check(z.maxLength(128)) }))
    .check(z.minLength(1), z.maxLength(SIGNATURES_MAX)),
});

/** Reads an envelope that claims to be of `kind`; SIZE before anything is parsed, SIGNATURE for any other shape or type. */
export function parseEnvelope(kind: SignedKind, bytes: Uint8Array): Result<Envelope, Rejection> {
  const bytesMax = ENVELOPE_BYTES_MAX[kind];
  // Endless data: the length is known before any work is done on it.
  if (bytes.byteLength > bytesMax)
    return fail(reject('SIZE', `the ${kind} envelope has ${bytes.byteLength} bytes, at most ${bytesMax} are read`));
  const malformed = (detail: string): Result<never, Rejection> => fail(reject(refusalCodeOf(kind), `the ${kind} envelope ${detail}`));
  const json = readJson(bytes, bytesMax);
  if (!json.ok) return malformed(`is not strict JSON: ${json.error[0]?.message ?? 'unreadable'}`);
  const wire = wireEnvelope.safeParse(json.value);
  if (!wire.success) return malformed('is not a DSSE envelope');
  // A payload of one kind never passes for another (payload type confusion).
  if (wire.data.payloadType !== payloadTypeOf(kind)) return malformed(`says \`${wire.data.payloadType}\``);
  const payload = decodeBase64(wire.data.payload);
  if (payload === undefined) return malformed('holds a payload that is not standard base64');
  const signatures: EnvelopeSignature[] = [];
  for (const { keyid, sig } of wire.data.signatures) {
    const signature = decodeBase64(sig);
    if (signature === undefined) return malformed('holds a signature that is not standard base64');
    signatures.push({ keyId: keyid, signature });
  }
  return ok({ payloadType: wire.data.payloadType, payload, signatures });
}

/** The bytes of an envelope as they travel and are stored. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return utf8(
    JSON.stringify({
      payloadType: envelope.payloadType,
      payload: encodeBase64(envelope.payload),
      signatures: envelope.signatures.map(({ keyId, signature }) => ({ keyid: keyId, sig: encodeBase64(signature) })),
    }),
  );
}

/** Signs payload bytes as `kind` with each signer in turn. A signer's own failure is thrown through. */
export async function signEnvelope(kind: SignedKind, payload: Uint8Array, signers: readonly Signer[]): Promise<Uint8Array> {
  const envelope = { payloadType: payloadTypeOf(kind), payload, signatures: await signatures(kind, payload, signers) };
  return encodeEnvelope(envelope);
}

/** Adds signatures over the same bytes, for signers who never sit at one machine; a key that has signed before signs anew. */
export async function cosignEnvelope(
  kind: SignedKind,
  bytes: Uint8Array,
  signers: readonly Signer[],
): Promise<Result<Uint8Array, Rejection>> {
  const parsed = parseEnvelope(kind, bytes);
  if (!parsed.ok) return parsed;
  const added = await signatures(kind, parsed.value.payload, signers);
  const kept = parsed.value.signatures.filter((old) => !added.some((fresh) => fresh.keyId === old.keyId));
  return ok(encodeEnvelope({ ...parsed.value, signatures: [...kept, ...added] }));
}

async function signatures(kind: SignedKind, payload: Uint8Array, signers: readonly Signer[]): Promise<EnvelopeSignature[]> {
  const message = pae(payloadTypeOf(kind), payload);
  const made: EnvelopeSignature[] = [];
  for (const signer of signers) {
    invariant(signer.alg === 'ed25519', 'signed objects are signed with Ed25519 keys');
    made.push({ keyId: signer.keyId, signature: await signer.sign(message) });
  }
  return made;
}
