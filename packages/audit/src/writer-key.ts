/** Whose audit key a certificate chain proves, at an instant: by the CAs of the verified Root, within what each may certify. */

import { decodeBase64, verifyChain } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Instant, Result } from '@sallyport/model';

/** A CA of the verified Root, and the SPIFFE paths that the Root lets it certify. */
export interface AuditCa {
  /** DER. */
  readonly certificate: Uint8Array;
  /** `/control-plane`, `/sidecar/`: one that ends in `/` admits every path below it, another that path alone. */
  readonly prefixes: readonly string[];
}

/** What the Root says of who may write audit records. */
export interface WriterTrust {
  readonly roots: readonly AuditCa[];
  readonly trustDomain: string;
}

/** A proven audit key and the life of its certificate, both ends inclusive. */
export interface WriterKey {
  readonly writer: string;
  readonly key: VerifyKey;
  readonly notBefore: number;
  readonly notAfter: number;
}

export type WriterKeyProblem =
  | { readonly reason: 'untrusted_certificate' | 'outside_certificate_life'; readonly detail: string }
  | { readonly reason: 'wrong_identity'; readonly detail: string };

/** The key that `writer` held at `at`, if the chain proves it. */
export function writerKey(
  chain: readonly Uint8Array[],
  writer: string,
  context: { readonly at: Instant; readonly trust: WriterTrust },
): Result<WriterKey, WriterKeyProblem> {
  const { roots, trustDomain } = context.trust;
  const base = `spiffe://${trustDomain}`;
  if (!writer.startsWith(`${base}/`))
    return fail({ reason: 'wrong_identity', detail: `\`${writer}\` is not of the trust domain \`${trustDomain}\`` });
  const path = writer.slice(base.length);
  const authorities = roots.filter(({ prefixes }) => prefixes.some((prefix) => admits(prefix, path)));
  const verified = verifyChain(
    chain,
    authorities.map(({ certificate }) => certificate),
    context.at,
  );
  if (!verified.ok) {
    const isTime = verified.reason === 'expired' || verified.reason === 'not_yet_valid';
    return fail({
      reason: isTime ? 'outside_certificate_life' : 'untrusted_certificate',
      detail: `the certificate of \`${writer}\` does not hold: ${verified.reason.replaceAll('_', ' ')}`,
    });
  }
  const { leaf } = verified;
  if (leaf.spiffeId !== writer)
    return fail({ reason: 'wrong_identity', detail: `the certificate is of \`${leaf.spiffeId ?? '-'}\`, not \`${writer}\`` });
  // A TLS certificate of the same workload is another key for another purpose.
  if (leaf.usage !== 'audit' || leaf.publicKey?.alg !== 'ed25519')
    return fail({ reason: 'untrusted_certificate', detail: `the certificate of \`${writer}\` is not for audit` });
  return ok({ writer, key: leaf.publicKey, notBefore: leaf.notBefore, notAfter: leaf.notAfter });
}

/** DER of base64 texts; one that is none becomes empty, which no chain accepts. */
export function chainOf(certificates: readonly string[]): readonly Uint8Array[] {
  return certificates.map((text) => decodeBase64(text) ?? new Uint8Array());
}

function admits(prefix: string, path: string): boolean {
  return prefix.endsWith('/') ? path.startsWith(prefix) && path.length > prefix.length : path === prefix;
}
