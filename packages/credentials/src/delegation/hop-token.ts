/**
 * Hops on the wire (`sallyport-hop+jwt`): signed by a sidecar's assertion key, verified up to a pinned workload CA. No key,
 * no address and no certificate is taken on a hop's own word. docs/spec/delegation.md, section 2.
 */

import { decodeBase64, encodeBase64, encodeBase64Url, utf8, verify, verifyChain } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import {
  type CompactJws,
  type Delegation,
  type DelegationRules,
  HOPS_MAX,
  HOP_TYP,
  type Hop,
  type ProvenHop,
  hopClaims,
  judgeDelegation,
  readCompactJws,
  readHop,
} from '@sallyport/identity';
import { type Denial, type DenialCode, type Json, type Result, deny, fail, formatProblem, ok } from '@sallyport/model';
import { canonicalSignature, isCanonicalSignature } from './canonical-signature.ts';
import { digestOfHop } from './digest-of-hop.ts';

/** Who may vouch for the sidecars of a trust domain: CA certificates, DER. */
export type DelegationAuthorities = ReadonlyMap<string, readonly Uint8Array[]>;

/** The key that hops are signed with, and its certificate: DER, leaf first, without the CA. */
export interface HopSigner {
  readonly signer: Signer;
  readonly chain: readonly Uint8Array[];
}

/** A verified list and its hops, to which the next one is added. */
export interface VerifiedDelegation {
  readonly delegation: Delegation;
  readonly hops: readonly ProvenHop[];
  /** As they came, for whom the next one is shown with. */
  readonly tokens: readonly string[];
}

const HOP_BYTES_MAX = 8192;
const CHAIN_MAX = 2;
const HEADER_MEMBERS: readonly string[] = ['alg', 'typ', 'x5c'];

/** Signs a hop. */
export async function signHop(hop: Hop, { signer, chain }: HopSigner): Promise<string> {
  const alg = signer.alg === 'ed25519' ? 'EdDSA' : 'ES256';
  const header = encodeJson({ alg, typ: HOP_TYP, x5c: chain.map((der) => encodeBase64(der)) });
  const input = `${header}.${encodeJson(hopClaims(hop))}`;
  const signature = canonicalSignature(signer.alg, await signer.sign(utf8(input)));
  return `${input}.${encodeBase64Url(signature)}`;
}

/**
 * Verifies a list of hops, the root's first, and judges it. `unauthenticated` for what cannot be read or is of no pinned
 * domain, `signature_invalid`, and what `judgeDelegation` answers.
 */
export function verifyDelegation(
  tokens: readonly string[],
  authorities: DelegationAuthorities,
  rules: DelegationRules,
): Result<VerifiedDelegation, Denial> {
  // Bounded before any cryptography. Policy's own depth is judged with the rest.
  if (tokens.length > HOPS_MAX) return refuse('delegation_not_allowed', `${tokens.length} hops, of at most ${HOPS_MAX}`);
  const hops: ProvenHop[] = [];
  for (const token of tokens) {
    const proven = proveHop(token, authorities);
    if (!proven.ok) return proven;
    hops.push(proven.value);
  }
  const delegation = judgeDelegation(hops, rules);
  return delegation.ok ? ok({ delegation: delegation.value, hops, tokens }) : delegation;
}

function proveHop(token: string, authorities: DelegationAuthorities): Result<ProvenHop, Denial> {
  if (token.length > HOP_BYTES_MAX) return refuse('unauthenticated', `a hop is longer than ${HOP_BYTES_MAX} bytes`);
  const jws = readCompactJws(token);
  if (!jws.ok) return refuse('unauthenticated', `a hop: ${jws.error}`);
  const hop = readHop(jws.value.claims);
  if (!hop.ok) return refuse('unauthenticated', `a hop: ${hop.error.map((problem) => formatProblem(problem)).join('; ')}`);
  const anchors = authorities.get(hop.value.trustDomain);
  if (anchors === undefined) return refuse('unauthenticated', 'a hop is of a trust domain that nobody pinned');
  const signed = signatureProblem(jws.value, hop.value, anchors);
  return signed ?? ok({ hop: hop.value, digest: digestOfHop(token) });
}

/** The signature is that of the sidecar which `iss` names, certified for assertions when it signed. */
function signatureProblem(
  { header, signingInput, signature }: CompactJws,
  hop: Hop,
  anchors: readonly Uint8Array[],
): ReturnType<typeof refuse> | undefined {
  const names = Object.keys(header);
  if (names.length !== HEADER_MEMBERS.length || !HEADER_MEMBERS.every((name) => names.includes(name)))
    return refuse('unauthenticated', 'a hop has another header');
  if (header['typ'] !== HOP_TYP) return refuse('unauthenticated', '`typ` is not that of a hop');
  const chain = readChain(header['x5c']);
  if (chain === undefined) return refuse('unauthenticated', '`x5c` is not a short list of certificates');
  const verified = verifyChain(chain, anchors, hop.issuedAt);
  if (!verified.ok) return refuse('unauthenticated', `the certificate of a hop is ${verified.reason}`);
  const { publicKey, spiffeId, usage } = verified.leaf;
  if (usage !== 'assertion' || publicKey === undefined) return refuse('unauthenticated', 'the certificate of a hop is for another use');
  if (spiffeId !== hop.issuer) return refuse('unauthenticated', 'a hop is not signed by the sidecar that it names');
  if (header['alg'] !== (publicKey.alg === 'ed25519' ? 'EdDSA' : 'ES256')) return refuse('unauthenticated', '`alg` is not that of the key');
  const isProven = isCanonicalSignature(publicKey.alg, signature) && verify(publicKey, utf8(signingInput), signature);
  return isProven ? undefined : refuse('signature_invalid', 'the signature of a hop is not that of its sidecar');
}

function readChain(value: Json | undefined): readonly Uint8Array[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > CHAIN_MAX) return undefined;
  const chain = (value as readonly Json[]).map((text) => (typeof text === 'string' ? decodeBase64(text) : undefined));
  return chain.every((der) => der !== undefined) ? chain : undefined;
}

function encodeJson(value: object): string {
  return encodeBase64Url(utf8(JSON.stringify(value)));
}

function refuse(code: DenialCode, detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny(code, `delegation: ${detail}`));
}
