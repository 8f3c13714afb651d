/** The certificate that an assertion brings along, and the authorities that the tool's owner has pinned. */

import { decodeBase64, keyIdOf, verifyChain, type VerifyKey } from '@sallyport/crypto';
import { type Json, type Result, fail, ok } from '@sallyport/model';
import type { AssertionFailure } from './failure.ts';

/** Whose key it is. */
export interface SigningCertificate {
  readonly key: VerifyKey;
  readonly keyId: string;
  readonly spiffeId: string;
}

/** A leaf and at most two authorities between it and the pinned one. */
const CERTIFICATES_MAX = 3;

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** DER of every certificate in PEM texts. Throws `TypeError` where there is none: a verifier without authority believes nobody. */
export function readAuthorities(pem: string | readonly string[]): readonly Uint8Array[] {
  const texts = typeof pem === 'string' ? [pem] : pem;
  const ders = texts.flatMap((text) => [...text.matchAll(PEM)].map(([, body = '']) => decodeBase64(body.replaceAll(/\s/g, ''))));
  if (ders.length === 0 || ders.includes(undefined)) throw new TypeError('`authorities` holds no certificate in PEM, or a broken one');
  return ders as readonly Uint8Array[];
}

/** DER, leaf first (RFC 7515, section 4.1.6: base64 with its padding, not base64url). */
export function readX5c(x5c: Json | undefined): readonly Uint8Array[] | undefined {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > CERTIFICATES_MAX) return undefined;
  const ders = x5c.map((text: Json) => (typeof text === 'string' ? decodeBase64(text) : undefined));
  return ders.every((der) => der !== undefined) ? ders : undefined;
}

/** The key of the leaf, where it was for assertions at that instant (milliseconds since 1970) under a pinned authority. */
export function provenCertificate(
  chain: readonly Uint8Array[],
  { authorities, kid, at }: { authorities: readonly Uint8Array[]; kid: Json | undefined; at: number },
): Result<SigningCertificate, { readonly code: AssertionFailure; readonly detail: string }> {
  const verified = verifyChain(chain, authorities, at);
  if (!verified.ok) return fail({ code: 'certificate_untrusted', detail: verified.reason });
  const { usage, publicKey, spiffeId } = verified.leaf;
  if (usage !== 'assertion') return fail({ code: 'certificate_usage', detail: `it is for ${usage ?? 'something else'}` });
  const keyId = publicKey?.alg === 'es256' ? keyIdOf(publicKey.raw) : undefined;
  if (publicKey === undefined || keyId === undefined || kid !== keyId)
    return fail({ code: 'key_mismatch', detail: 'kid, or the kind of key' });
  if (spiffeId === undefined) return fail({ code: 'issuer_mismatch', detail: 'the certificate names no workload' });
  return ok({ key: publicKey, keyId, spiffeId });
}
