/** The sidecar's own keys and certificates on disk. Keys are made here and never leave; files are for their owner alone. */

import { decodeBase64, encodeBase64, fromUtf8, keyIdOf, readCertificate, utf8, type Certificate } from '@sallyport/crypto';
import { generateKey, signerFromPem, type Signer } from '@sallyport/crypto/keys';
import { writeFileAtomically, type FileSystem } from '@sallyport/runtime';
import { judge } from '@sallyport/strict';
import { join } from 'node:path';

/** Keys of this sidecar: one for TLS, one for its audit stream, one for its sessions' tokens. */
export interface OwnKeys {
  readonly tlsPem: string;
  readonly auditPem: string;
  readonly sessionPem: string;
}

/** Keys with what the control plane certified. */
export interface Identity extends OwnKeys {
  /** DER, leaf first, CA last. */
  readonly tlsChain: readonly Uint8Array[];
  readonly auditChain: readonly Uint8Array[];
  /** For the next renewal. */
  readonly counter: number;
  readonly spiffeId: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly auditSigner: Signer;
}

export interface IdentityFiles {
  /** Made on first use. Rejects with a Fault when they cannot be kept. */
  keys(): Promise<OwnKeys>;
  /** `undefined` until enrolled, or when what is there does not fit the keys. */
  read(): Promise<Identity | undefined>;
  keep(certificates: { tlsChain: readonly Uint8Array[]; auditChain: readonly Uint8Array[]; counter: number }): Promise<Identity>;
}

const FILE_BYTES_MAX = 65_536;

export function identityFiles(disk: FileSystem, directory: string): IdentityFiles {
  disk.makeDirectory(directory);
  const key = async (name: string, alg: 'ed25519' | 'es256'): Promise<string> => {
    const path = join(directory, `${name}.pem`);
    const held = disk.readFile(path, FILE_BYTES_MAX);
    const pem = held === undefined ? undefined : fromUtf8(held);
    if (pem !== undefined) return pem;
    const made = generateKey(alg).privatePem;
    await writeFileAtomically(disk, path, utf8(made));
    return made;
  };
  const keys = async (): Promise<OwnKeys> => ({
    tlsPem: await key('tls', 'es256'),
    auditPem: await key('audit', 'ed25519'),
    sessionPem: await key('session', 'ed25519'),
  });
  const certificatesPath = join(directory, 'certificates.json');
  return {
    keys,
    async read() {
      const bytes = disk.readFile(certificatesPath, FILE_BYTES_MAX);
      const kept = bytes === undefined ? undefined : readKept(bytes);
      return kept === undefined ? undefined : identityOf(await keys(), kept);
    },
    async keep(certificates) {
      const identity = identityOf(await keys(), certificates);
      if (identity === undefined) throw new TypeError('the certificates are not for the keys of this sidecar');
      const { tlsChain, auditChain, counter } = certificates;
      const row = { counter, tls: tlsChain.map((der) => encodeBase64(der)), audit: auditChain.map((der) => encodeBase64(der)) };
      await writeFileAtomically(disk, certificatesPath, utf8(JSON.stringify(row)));
      return identity;
    },
  };
}

type Kept = { readonly tlsChain: readonly Uint8Array[]; readonly auditChain: readonly Uint8Array[]; readonly counter: number };

function readKept(bytes: Uint8Array): Kept | undefined {
  const judged = judge(bytes);
  if (!judged.ok) return undefined;
  const { counter, tls, audit } = judged.value.tree as { counter?: unknown; tls?: unknown; audit?: unknown };
  const chain = (value: unknown): readonly Uint8Array[] =>
    Array.isArray(value) ? value.flatMap((text) => (typeof text === 'string' ? (decodeBase64(text) ?? []) : [])) : [];
  const [tlsChain, auditChain] = [chain(tls), chain(audit)];
  return Number.isSafeInteger(counter) && tlsChain.length > 0 && auditChain.length > 0
    ? { counter: counter as number, tlsChain, auditChain }
    : undefined;
}

/** The identity, where both leaves are of our keys and name the same workload. */
function identityOf(own: OwnKeys, { tlsChain, auditChain, counter }: Kept): Identity | undefined {
  const [tls, audit] = [leafOf(tlsChain, own.tlsPem), leafOf(auditChain, own.auditPem)];
  if (tls?.spiffeId === undefined || audit?.spiffeId !== tls.spiffeId) return undefined;
  const { spiffeId, notBefore, notAfter } = tls;
  return { ...own, tlsChain, auditChain, counter, spiffeId, notBefore, notAfter, auditSigner: signerFromPem(own.auditPem) };
}

function leafOf(chain: readonly Uint8Array[], privatePem: string): Certificate | undefined {
  const leaf = chain[0] === undefined ? undefined : readCertificate(chain[0]);
  const own = signerFromPem(privatePem).keyId;
  return leaf?.publicKey === undefined || keyIdOf(leaf.publicKey.raw) !== own ? undefined : leaf;
}
