/** What whoever takes a control plane has taken with it: the keys that it may hold, and what everybody may read. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVerifyKey } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { addMs, invariant } from '@sallyport/model';
import type { Clock, Instant } from '@sallyport/model';
import type { TlsHolder } from '@sallyport/net';
import { pemCertificates } from '../pem.ts';

export interface Stolen {
  readonly freshness: LocalSigner;
  readonly revocation: LocalSigner;
  readonly onlineKeys: Uint8Array;
  readonly delegation: Uint8Array;
}

/** From the administrator's folder `home`; the folder with people's keys is not looked at. */
export function readStolen(home: string): Stolen {
  const signer = (name: string): LocalSigner => signerFromPem(readFileSync(join(home, 'control-plane', name), 'utf8'));
  return {
    freshness: signer('freshness.pem'),
    revocation: signer('revocation.pem'),
    onlineKeys: readFileSync(join(home, 'online-keys.json')),
    delegation: readFileSync(join(home, 'delegations', 'default.json')),
  };
}

export interface StolenName {
  readonly home: string;
  readonly clock: Clock;
  readonly spiffeId: string;
  readonly usage: 'tls-both' | 'tls-client';
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** A certificate in anybody's name, by the workload CA whose key was stolen too. */
export async function stolenCertificate({ home, clock, spiffeId, usage }: StolenName): Promise<TlsHolder> {
  const { tlsHolder } = await import('@sallyport/net');
  const [certificate] = pemCertificates(readFileSync(join(home, 'control-plane', 'workload-ca.crt'), 'utf8'));
  const privatePem = readFileSync(join(home, 'control-plane', 'workload-ca.pem'), 'utf8');
  const key = generateKey('es256');
  const subjectPublicKey = readVerifyKey('es256', key.publicRaw);
  invariant(subjectPublicKey !== undefined && certificate !== undefined, 'what root init made can be read');
  // X.509 holds whole seconds.
  const second = (Math.floor(clock.wall() / 1_000) * 1_000) as Instant;
  const leaf = await issueCertificate({
    ca: { certificate, privatePem },
    subjectPublicKey,
    spiffeId,
    usage,
    serial: randomBytes(16),
    notBefore: addMs(second, -MINUTE_MS),
    notAfter: addMs(second, HOUR_MS),
  });
  const holder = tlsHolder({ chain: [leaf, certificate], privatePem: key.privatePem, authorities: [certificate] });
  invariant(holder.ok, 'a stolen identity is complete');
  return holder.value;
}
