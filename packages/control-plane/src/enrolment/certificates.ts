/** Certificates under the workload CA: whom they name is decided before, and stands in no request. */

import { verifyChain } from '@sallyport/crypto';
import type { CertificateUsage, VerifyKey } from '@sallyport/crypto';
import { issueCertificate } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { addMs, invariant } from '@sallyport/model';
import type { Clock, Instant, Random } from '@sallyport/model';
import type { Authority } from '../authority.ts';

export interface Issued {
  /** DER, leaf first, up to and including the CA. */
  readonly chain: readonly Uint8Array[];
  readonly notAfter: Instant;
}

export interface IssueFor {
  readonly spiffeId: SpiffeId;
  readonly publicKey: VerifyKey;
  readonly usage: CertificateUsage;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export type Issue = (options: IssueFor) => Promise<Issued>;

/** So that a peer whose clock is behind believes a certificate that was made this moment. Part of the lifetime, not on top of it. */
const BACKDATED_MS = 300_000;
/** A short certificate is backdated less: most of its life lies ahead. */
const BACKDATED_SHARE = 10;
const SERIAL_BYTES = 16;

export interface IssuerOptions {
  readonly ca: Authority['ca'];
  readonly clock: Clock;
  readonly random: Random;
  /** From the first instant of a certificate to its last; it never outlives its CA. */
  readonly lifetimeMs: number;
}

export function certificateIssuer({ ca, clock, random, lifetimeMs }: IssuerOptions): Issue {
  return async ({ spiffeId, publicKey, usage, dnsNames, ipAddresses }) => {
    const now = clock.wall();
    const backdatedMs = Math.min(BACKDATED_MS, Math.floor(lifetimeMs / BACKDATED_SHARE));
    const notBefore = addMs(now, -backdatedMs);
    const notAfter = Math.min(addMs(notBefore, lifetimeMs), ca.notAfter) as Instant;
    const certificate = await issueCertificate({
      ca,
      subjectPublicKey: publicKey,
      spiffeId,
      usage,
      ...(dnsNames === undefined ? {} : { dnsNames }),
      ...(ipAddresses === undefined ? {} : { ipAddresses }),
      notBefore,
      notAfter,
      serial: random(SERIAL_BYTES),
    });
    const verified = verifyChain([certificate], [ca.certificate], now);
    invariant(verified.ok, 'a certificate that was just issued verifies');
    return { chain: [certificate, ca.certificate], notAfter: verified.leaf.notAfter as Instant };
  };
}
