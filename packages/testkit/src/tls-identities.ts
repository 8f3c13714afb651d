/** A workload CA and identities under it, with real keys and certificates, for tests that speak TLS. */

import { createCa, generateKey, issueCertificate, randomBytes, type CertificateAuthority } from '@sallyport/crypto/keys';
import type { CertificateUsage } from '@sallyport/crypto';
import type { TlsMaterial } from '@sallyport/net';
import { systemClock } from '@sallyport/runtime';

export interface IssueTestIdentity {
  readonly usage?: CertificateUsage;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Milliseconds since 1970. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Believes these authorities instead of its own. */
  readonly authorities?: readonly Uint8Array[];
}

export interface TestAuthority {
  readonly trustDomain: string;
  readonly ca: CertificateAuthority;
  /** Material for `/control-plane`, `/sidecar/support/1` and so on; for both TLS sides unless said otherwise. */
  issue(path: string, options?: IssueTestIdentity): Promise<TlsMaterial>;
}

const DAY_MS = 86_400_000;
const YEARS_MS = 20 * 365 * DAY_MS;

/**
 * A new CA, valid for years around now, so that OpenSSL (which reads the real clock) and a fake clock both accept it; or one
 * that there is, whose leaves then need times of their own.
 */
export async function testAuthority(trustDomain = 'test.sallyport.dev', given?: CertificateAuthority): Promise<TestAuthority> {
  // Certificates hold whole seconds.
  const now = Math.floor(systemClock().wall() / 1_000) * 1_000;
  const [notBefore, notAfter] = [now - YEARS_MS, now + YEARS_MS];
  const ca = given ?? (await createCa({ trustDomain, privatePem: generateKey('es256').privatePem, notBefore, notAfter }));
  return {
    trustDomain,
    ca,
    async issue(path, options = {}) {
      const key = generateKey('es256');
      const leaf = await issueCertificate({
        ca,
        subjectPublicKey: { alg: 'es256', raw: key.publicRaw },
        spiffeId: `spiffe://${trustDomain}${path}`,
        usage: options.usage ?? 'tls-both',
        dnsNames: options.dnsNames ?? [],
        ipAddresses: options.ipAddresses ?? [],
        notBefore: options.notBefore ?? notBefore,
        notAfter: options.notAfter ?? notAfter,
        serial: randomBytes(16),
      });
      return { chain: [leaf, ca.certificate], privatePem: key.privatePem, authorities: options.authorities ?? [ca.certificate] };
    },
  };
}
