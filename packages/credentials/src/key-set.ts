/**
 * A key set as an issuer publishes it (RFC 7517, section 5), judged before any key of it verifies anything. Reads no
 * network: whoever fetched the bytes has bounded them. docs/spec/sessions.md, section 2a.
 */

import { decodeBase64Url } from '@sallyport/crypto';
import { type Json, type JsonObject, type PinnedJwk, type Result, type TokenAlgorithm, TOKEN_ALGORITHMS, fail, ok } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { JWK } from 'jose';

/** A public key that a token may name, and the algorithms it may be used with; never any other. */
export interface IssuerKey {
  readonly kid: string;
  readonly algorithms: readonly TokenAlgorithm[];
  /** The public members alone. */
  readonly jwk: JWK;
}

/** By `kid`. */
export type KeySet = ReadonlyMap<string, IssuerKey>;

/** Larger documents are not read to their end. */
export const KEY_DOCUMENT_BYTES_MAX = 262_144;
const KEYS_MAX = 64;
const KID_CHARS_MAX = 256;
const DEPTH_MAX = 8;
const MEMBERS_MAX = 8_192;
/** Bytes of an RSA modulus: less is too weak (RFC 7518, section 3.3), more makes each verification expensive for us. */
const RSA_BYTES_MIN = 256;
const RSA_BYTES_MAX = 1_024;

/** Members of private and symmetric keys (RFC 7518, section 6). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

/** One JSON object without duplicate members; the failure says what is wrong in words that quote nothing of it. */
export function readKeyDocument(bytes: Uint8Array): Result<JsonObject, string> {
  const limits = { bytesMax: KEY_DOCUMENT_BYTES_MAX, depthMax: DEPTH_MAX, membersMax: MEMBERS_MAX };
  const judged = judge(bytes, { limits, caseDistinctDepth: 1 });
  if (!judged.ok) return fail(`the document is not JSON of one meaning: ${judged.error.map(({ code }) => code).join(', ')}`);
  const { tree } = judged.value;
  return isObject(tree) ? ok(tree) : fail('the document is no object');
}

/**
 * The keys that can verify. One that is for something else, or of a kind we do not know, is left out; the whole set is
 * refused for a private or symmetric key (whoever reads it can sign), for two keys of one name, and if nothing is left.
 */
export function readKeySet(document: JsonObject): Result<KeySet, string> {
  const listed = Object.hasOwn(document, 'keys') ? document['keys'] : undefined;
  if (!Array.isArray(listed)) return fail('the key set has no `keys`');
  if (listed.length > KEYS_MAX) return fail(`the key set has more than ${KEYS_MAX} keys`);
  const keys = new Map<string, IssuerKey>();
  for (const entry of listed as readonly Json[]) {
    if (!isObject(entry)) return fail('an entry of the key set is no object');
    if (entry['kty'] === 'oct' || SECRET_MEMBERS.some((name) => Object.hasOwn(entry, name)))
      return fail('the key set holds a private or symmetric key');
    const key = readKey(entry);
    if (key === undefined) continue;
    if (keys.has(key.kid)) return fail('the key set has two keys of one `kid`');
    keys.set(key.kid, key);
  }
  return keys.size === 0 ? fail('the key set has no key that verifies') : ok(keys);
}

/** The key of a bundle in the form of a fetched one. */
export function pinnedKey({ kid, kty, crv, x, y }: PinnedJwk): IssuerKey {
  return { kid, algorithms: ['ES256'], jwk: { kty, crv, x, y } };
}

/** The public key in a proof, and the algorithms it may be used with; `undefined` for a private one and for anything else. */
export function readPublicKey(entry: Json | undefined): Pick<IssuerKey, 'algorithms' | 'jwk'> | undefined {
  if (entry === undefined || !isObject(entry) || SECRET_MEMBERS.some((name) => Object.hasOwn(entry, name))) return undefined;
  return readPublic(entry);
}

function readKey(entry: JsonObject): IssuerKey | undefined {
  const { kid, use, alg, key_ops: operations } = entry;
  if (typeof kid !== 'string' || kid === '' || kid.length > KID_CHARS_MAX) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const read = readPublic(entry);
  if (read === undefined) return undefined;
  const algorithms = read.algorithms.filter((name) => alg === undefined || alg === name);
  return algorithms.length === 0 ? undefined : { kid, algorithms, jwk: read.jwk };
}

/** The public members by the kind of key; nothing else of the entry is taken over, no `x5c` and no `x5u`. */
function readPublic(entry: JsonObject): Pick<IssuerKey, 'algorithms' | 'jwk'> | undefined {
  const { kty, crv, x, y, n, e } = entry;
  if (kty === 'EC' && (crv === 'P-256' || crv === 'P-384')) {
    const size = crv === 'P-256' ? 32 : 48;
    if (!hasBytes(x, size, size) || !hasBytes(y, size, size)) return undefined;
    return { algorithms: [crv === 'P-256' ? 'ES256' : 'ES384'], jwk: { kty, crv, x, y } };
  }
  if (kty === 'OKP' && crv === 'Ed25519' && hasBytes(x, 32, 32)) return { algorithms: ['EdDSA'], jwk: { kty, crv, x } };
  if (kty === 'RSA' && hasBytes(n, RSA_BYTES_MIN, RSA_BYTES_MAX) && hasBytes(e, 1, 4))
    return { algorithms: ['RS256', 'PS256'], jwk: { kty, n, e } };
  return undefined;
}

function hasBytes(value: Json | undefined, min: number, max: number): value is string {
  if (typeof value !== 'string' || value.length > max * 2) return false;
  const length = decodeBase64Url(value)?.byteLength ?? -1;
  return length >= min && length <= max;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether text is the name of an algorithm that any issuer may use. */
export function isTokenAlgorithm(name: unknown): name is TokenAlgorithm {
  return typeof name === 'string' && (TOKEN_ALGORITHMS as readonly string[]).includes(name);
}
