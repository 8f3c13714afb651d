/**
 * Certificate chains: from a leaf to a CA that the caller trusts, at an instant the caller names (RFC 5280 section 6,
 * without policies and name constraints: a certificate that marks such as critical is refused).
 */

import { equalBytes } from './hash.ts';
import type { Certificate } from './certificate.ts';
import { parseCertificate } from './x509.ts';
import type { ParsedCertificate } from './x509.ts';
import { SIGNATURE_OIDS } from './spki.ts';

/** Why a chain does not hold; for the log, never for a peer. */
export type ChainProblem =
  | 'empty'
  | 'too_long'
  | 'unreadable'
  | 'unsupported_algorithm'
  | 'critical_extension_unknown'
  | 'leaf_is_ca'
  | 'not_a_ca'
  | 'path_too_long'
  | 'not_yet_valid'
  | 'expired'
  | 'untrusted';

export type ChainResult = { readonly ok: true; readonly leaf: Certificate } | { readonly ok: false; readonly reason: ChainProblem };

const CHAIN_LENGTH_MAX = 4;
const TRUSTED_CAS_MAX = 64;
const KNOWN_SIGNATURES: readonly string[] = Object.values(SIGNATURE_OIDS);

/**
 * Verifies DER certificates, leaf first, against DER CA certificates, at `atMs` (milliseconds since 1970). At most 4
 * certificates. The trusted CA itself may be left out of the chain; what follows the point where it joins is ignored.
 * What the leaf may be used for is the caller's to judge, by `leaf.usage` and `leaf.spiffeId`. Never throws.
 */
export function verifyChain(chain: readonly Uint8Array[], trustedCas: readonly Uint8Array[], atMs: number): ChainResult {
  if (chain.length === 0) return no('empty');
  if (chain.length > CHAIN_LENGTH_MAX || trustedCas.length > TRUSTED_CAS_MAX) return no('too_long');
  const [certificates, anchors] = [parseAll(chain), parseAll(trustedCas)];
  const leaf = certificates?.[0];
  if (certificates === undefined || anchors === undefined || leaf === undefined) return no('unreadable');
  if (leaf.certificate.isCa) return no('leaf_is_ca');

  for (const [depth, current] of certificates.entries()) {
    const problem = problemOf(current, atMs) ?? (depth === 0 ? undefined : problemOfIssuer(current, depth - 1));
    if (problem !== undefined) return no(problem);
    const anchor = anchors.find((candidate) => hasIssued(candidate, current));
    if (anchor !== undefined) {
      const anchorProblem = problemOf(anchor, atMs) ?? problemOfIssuer(anchor, depth);
      return anchorProblem === undefined ? { ok: true, leaf: leaf.certificate } : no(anchorProblem);
    }
    const next = certificates[depth + 1];
    if (next === undefined || !hasIssued(next, current)) return no('untrusted');
  }
  return no('untrusted');
}

const no = (reason: ChainProblem): ChainResult => ({ ok: false, reason });

function parseAll(ders: readonly Uint8Array[]): ParsedCertificate[] | undefined {
  const parsed = ders.map(parseCertificate);
  return parsed.every((certificate) => certificate !== undefined) ? parsed : undefined;
}

/** What is wrong with any certificate on a path, by itself. */
function problemOf({ certificate, signatureOid, hasUnknownCritical }: ParsedCertificate, atMs: number): ChainProblem | undefined {
  if (certificate.publicKey === undefined || !KNOWN_SIGNATURES.includes(signatureOid)) return 'unsupported_algorithm';
  if (hasUnknownCritical) return 'critical_extension_unknown';
  // Written so that an instant that is not a number is refused.
  if (!(atMs >= certificate.notBefore)) return 'not_yet_valid';
  if (!(atMs <= certificate.notAfter)) return 'expired';
  return undefined;
}

/** What is wrong with a certificate as issuer with `casBelow` CA certificates between it and the leaf. */
function problemOfIssuer({ certificate }: ParsedCertificate, casBelow: number): ChainProblem | undefined {
  // A CA that is restricted by extended key usages is refused rather than half understood.
  if (!certificate.isCa || !certificate.keyUsages.includes('keyCertSign') || certificate.extendedKeyUsages.length > 0) return 'not_a_ca';
  return certificate.pathLengthMax !== undefined && casBelow > certificate.pathLengthMax ? 'path_too_long' : undefined;
}

function hasIssued(issuer: ParsedCertificate, subject: ParsedCertificate): boolean {
  if (!equalBytes(issuer.subjectDer, subject.issuerDer)) return false;
  try {
    return subject.x509.verify(issuer.x509.publicKey);
  } catch {
    // A key of another kind than the signature's: it has not issued this certificate.
    return false;
  }
}
