/** People with keys of their own, at a terminal of their own: each role of a production root, and the files that they pass on. */

import { certificatePem, createCa, generateKey, randomBytes } from '@sallyport/crypto/keys';
import { addMs } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { publicKeyPem } from '../public-key.ts';
import type { Terminal } from './terminal.ts';

export const TRUST_DOMAIN = 'acme.test';

/** Makes a key for each name: `<name>.pem` and `<name>.pub`. */
export function makeSigners(at: Terminal, names: readonly string[]): void {
  for (const name of names) {
    const { privatePem, publicRaw } = generateKey('ed25519');
    at.write(`${name}.pem`, privatePem);
    at.mode(`${name}.pem`, 0o600);
    at.write(`${name}.pub`, publicKeyPem(publicRaw));
  }
}

/** Writes the certificate of an authority of the trust domain, and its key. */
export async function makeAuthority(at: Terminal, name = 'workload-ca'): Promise<void> {
  const { privatePem } = generateKey('es256');
  const now = at.clock.wall();
  const wholeSeconds = (instant: Instant): Instant => (Math.floor(instant / 1_000) * 1_000) as Instant;
  const ca = await createCa({
    trustDomain: TRUST_DOMAIN,
    privatePem,
    serial: randomBytes(16),
    notBefore: wholeSeconds(addMs(now, -60_000)),
    notAfter: wholeSeconds(addMs(now, 86_400_000)),
  });
  at.write(`${name}.pem`, ca.privatePem);
  at.mode(`${name}.pem`, 0o600);
  at.write(`${name}.crt`, certificatePem(ca.certificate));
}

/** Who holds what in `draftRoot`. */
export const HOLDERS = ['alice', 'bob', 'carol', 'dan', 'erin', 'frank', 'revocation'] as const;

const SIGNERS = ['root=alice', 'root=bob', 'registrar=carol', 'registrar=dan', 'release=erin', 'release=frank', 'revocation=revocation'];
/** The arguments of a Root 1 of two of two for everything. */
export const ROOT_1: readonly string[] = [
  'root',
  'draft',
  '--trust-domain',
  TRUST_DOMAIN,
  '--ca',
  'workload-ca.crt',
  ...SIGNERS.flatMap((held) => ['--key', `${held}.pub`]),
];

/** Everyone signs a copy of their own, and the copies are joined. */
export async function sign(
  at: Terminal,
  family: 'root' | 'area' | 'online-keys',
  draft: string,
  signers: readonly string[],
): Promise<{ readonly exit: number; readonly out: string; readonly err: string }> {
  const copies: string[] = [];
  for (const name of signers) {
    const copy = `${draft}.${name}`;
    const signed = await at.type(family, 'sign', draft, '--key', `${name}.pem`, '--out', copy);
    if (signed.exit !== 0) return signed;
    copies.push('--signed', copy);
  }
  return at.type(family, 'assemble', draft, ...copies);
}

/** A production root in `.sallyport`, signed by alice and bob. */
export async function makeProductionRoot(at: Terminal): Promise<void> {
  makeSigners(at, HOLDERS);
  await makeAuthority(at);
  for (const ran of [await at.type(...ROOT_1, '--out', 'root-1'), await sign(at, 'root', 'root-1', ['alice', 'bob'])])
    if (ran.exit !== 0) throw new Error(ran.err);
}
