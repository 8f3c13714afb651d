/**
 * The compact form of a JWS (RFC 7515, section 7.1) that carries JSON claims, taken apart strictly before any
 * cryptography: one spelling of base64url, one reading of header and claims. Verifies nothing.
 */

import { decodeBase64Url } from '@sallyport/crypto';
import { type JsonObject, type Result, fail, ok } from '@sallyport/model';
import { judge } from '@sallyport/strict';

export interface CompactJws {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** What the signature is over: the first two parts with their dot. */
  readonly signingInput: string;
  readonly signature: Uint8Array;
}

const DEPTH_MAX = 8;
const MEMBERS_MAX = 512;

/** Reads a token whose length its caller has bounded; the failure says which part is wrong, for the record alone. */
export function readCompactJws(token: string, { depthMax = DEPTH_MAX }: { readonly depthMax?: number } = {}): Result<CompactJws, string> {
  const parts = token.split('.');
  if (parts.length !== 3) return fail(`${parts.length} parts where a compact token has 3`);
  const [header, claims, signature] = parts.map((part) => decodeBase64Url(part));
  if (header === undefined || claims === undefined || signature === undefined) return fail('a part is not base64url in its only spelling');
  const readHeader = readObject(header, DEPTH_MAX);
  if (!readHeader.ok) return fail(`header: ${readHeader.error}`);
  const readClaims = readObject(claims, depthMax);
  if (!readClaims.ok) return fail(`claims: ${readClaims.error}`);
  return ok({
    header: readHeader.value,
    claims: readClaims.value,
    signingInput: token.slice(0, token.lastIndexOf('.')),
    signature,
  });
}

/** One object without duplicate members: of two `sub` claims, two readers may believe different ones. */
function readObject(bytes: Uint8Array, depthMax: number): Result<JsonObject, string> {
  const limits = { bytesMax: bytes.byteLength, depthMax, membersMax: MEMBERS_MAX };
  const judged = judge(bytes, { limits, caseDistinctDepth: 1 });
  if (!judged.ok) return fail(judged.error.map(({ code, path }) => `${code} ${path}`.trim()).join(', '));
  const { tree } = judged.value;
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? ok(tree as JsonObject) : fail('not an object');
}
