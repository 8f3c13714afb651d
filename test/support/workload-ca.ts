/** Certificates by the workload CA of a world, as whoever holds its key could make them, and by others of the same names. */

import { readVerifyKey, type CertificateUsage } from '@sallyport/crypto';
import { createCa, generateKey, issueCertificate, randomBytes, type CertificateAuthority } from '@sallyport/crypto/keys';
import { tlsHolder, type TlsHolder } from '@sallyport/net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from './world.ts';

export interface WorkloadOf {
  readonly path: string;
  readonly usage: CertificateUsage;
  /** Milliseconds since 1970; whole seconds are kept. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

const TRUST_DOMAIN = 'demo.local';

/** The world's own. */
export function workloadCa({ dir }: World): CertificateAuthority {
  const pem = readFileSync(join(dir, 'control-plane', 'workload-ca.crt'), 'utf8');
  const certificate = new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  return { certificate, privatePem: readFileSync(join(dir, 'control-plane', 'workload-ca.pem'), 'utf8') };
}

/** One of the same name that nobody here trusts. */
export async function strangersCa({ clock }: World): Promise<CertificateAuthority> {
  const second = Math.floor(clock.wall() / 1_000) * 1_000;
  return createCa({
    trustDomain: TRUST_DOMAIN,
    privatePem: generateKey('es256').privatePem,
    notBefore: second - 3_600_000,
    notAfter: second + 3_600_000,
  });
}

/** A certificate of the CA's, with a new key; its holder believes the world's authority. */
export async function workload(world: World, ca: CertificateAuthority, of: WorkloadOf): Promise<TlsHolder> {
  const key = generateKey('es256');
  const subjectPublicKey = readVerifyKey('es256', key.publicRaw);
  if (subjectPublicKey === undefined) throw new Error('a new key can be read');
  const now = world.clock.wall();
  const whole = (ms: number): number => Math.floor(ms / 1_000) * 1_000;
  const leaf = await issueCertificate({
    ca,
    subjectPublicKey,
    spiffeId: `spiffe://${TRUST_DOMAIN}${of.path}`,
    usage: of.usage,
    serial: randomBytes(16),
    notBefore: whole(of.notBefore ?? now - 60_000),
    notAfter: whole(of.notAfter ?? now + 3_600_000),
  });
  const held = tlsHolder({ chain: [leaf, ca.certificate], privatePem: key.privatePem, authorities: [workloadCa(world).certificate] });
  if (!held.ok) throw new Error(JSON.stringify(held.error));
  return held.value;
}
