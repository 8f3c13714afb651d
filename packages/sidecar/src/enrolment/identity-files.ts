/** The sidecar's own keys and certificates on disk. Keys are made here and never leave; files are for their owner alone. */

import { decodeBase64, encodeBase64, fromUtf8, keyIdOf, readCertificate, utf8, type Certificate } from '@sallyport/crypto';
import { generateKey, signerFromPem, type LocalSigner, type Signer } from '@sallyport/crypto/keys';
import { parseSpiffeId } from '@sallyport/identity';
import { Fault } from '@sallyport/model';
import { writeFileAtomically, type FileSystem } from '@sallyport/runtime';
import { judge } from '@sallyport/strict';
import { join } from 'node:path';

/** Keys of this sidecar: one for TLS, one for its audit stream, one for what it asserts to tools, one for its sessions' tokens. */
export interface OwnKeys {
  readonly tlsPem: string;
  readonly auditPem: string;
  readonly assertionPem: string;
  readonly sessionPem: string;
}

/** Keys with what the control plane certified. */
export interface Identity extends OwnKeys {
  /** DER, leaf first, CA last. */
  readonly tlsChain: readonly Uint8Array[];
  readonly auditChain: readonly Uint8Array[];
  /** Empty where the control plane that certified the others knew no assertions. */
  readonly assertionChain: readonly Uint8Array[];
  /** For the next renewal. */
  readonly counter: number;
  readonly spiffeId: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly auditSigner: Signer;
  readonly assertionSigner: Signer;
}

/** Whose identity this folder is for, as the configuration says. */
export interface Owner {
  readonly agent: string;
  readonly instance: string;
}

/** All reject with a Fault: the disk failed, a key file holds no key, or a certificate is another workload's. */
export interface IdentityFiles {
  /** Made on first use. */
  keys(): Promise<OwnKeys>;
  /** Those to be certified next: another key for assertions. It lies on disk until it is kept, so that a renewal can be repeated. */
  nextKeys(): Promise<OwnKeys>;
  /** `undefined` until enrolled, or when what is there does not fit the keys. */
  read(): Promise<Identity | undefined>;
  keep(certificates: Kept): Promise<Identity>;
}

const FILE_BYTES_MAX = 65_536;
const NEXT = 'assertion-next.pem';

export function identityFiles(disk: FileSystem, directory: string, owner: Owner): IdentityFiles {
  disk.makeDirectory(directory);
  const key = async (name: string, alg: 'ed25519' | 'es256'): Promise<string> => {
    const path = join(directory, `${name}.pem`);
    const held = disk.readFile(path, FILE_BYTES_MAX);
    // A file that is there is never replaced: what it was may be all that proves who this sidecar is.
    if (held !== undefined) return keyIn(held, { path, alg });
    const made = generateKey(alg).privatePem;
    await writeFileAtomically(disk, path, utf8(made));
    return made;
  };
  const keys = async (): Promise<OwnKeys> => ({
    tlsPem: await key('tls', 'es256'),
    auditPem: await key('audit', 'ed25519'),
    assertionPem: await key('assertion', 'es256'),
    sessionPem: await key('session', 'ed25519'),
  });
  const certificatesPath = join(directory, 'certificates.json');
  /** With the keys in use, or else with those that were to be next: a power loss may have come between the two files. */
  const fitting = async (kept: Kept): Promise<Identity | undefined> => {
    const own = await keys();
    const held = identityOf(own, kept);
    if (held !== undefined || disk.readFile(join(directory, NEXT), FILE_BYTES_MAX) === undefined) return held;
    return identityOf({ ...own, assertionPem: await key('assertion-next', 'es256') }, kept);
  };
  /** After the certificates: whoever reads them without this step takes it. */
  const promote = async ({ assertionPem }: Identity): Promise<void> => {
    if (assertionPem === (await keys()).assertionPem) return;
    disk.rename(join(directory, NEXT), join(directory, 'assertion.pem'));
    await disk.syncDirectory(directory);
  };
  return {
    keys,
    nextKeys: async () => ({ ...(await keys()), assertionPem: await key('assertion-next', 'es256') }),
    async read() {
      const bytes = disk.readFile(certificatesPath, FILE_BYTES_MAX);
      const kept = bytes === undefined ? undefined : readKept(bytes);
      const identity = kept === undefined ? undefined : await fitting(kept);
      if (identity === undefined) return undefined;
      const owned = ownedBy(owner, identity, certificatesPath);
      await promote(owned);
      return owned;
    },
    async keep(certificates) {
      const read = await fitting(certificates);
      if (read === undefined)
        throw new Fault('control_plane_unreachable', 'control_plane', 'the certificates are not for the keys of this sidecar');
      const identity = ownedBy(owner, read, 'the answer');
      const { tlsChain, auditChain, assertionChain, counter } = certificates;
      const texts = (chain: readonly Uint8Array[]): string[] => chain.map((der) => encodeBase64(der));
      const row = { counter, tls: texts(tlsChain), audit: texts(auditChain), assertion: texts(assertionChain) };
      await writeFileAtomically(disk, certificatesPath, utf8(JSON.stringify(row)));
      await promote(identity);
      return identity;
    },
  };
}

/** A sidecar that answered for another agent would enforce one policy and be known by the name of another. */
function ownedBy({ agent, instance }: Owner, identity: Identity, where: string): Identity {
  const workload = parseSpiffeId(identity.spiffeId);
  const purpose = workload.ok ? workload.value.purpose : undefined;
  if (purpose?.kind === 'sidecar' && purpose.agent === agent && purpose.instance === instance) return identity;
  const message = `${where} is of \`${identity.spiffeId}\`, and the configuration is of agent \`${agent}\`, instance \`${instance}\``;
  throw new Fault('config_invalid', 'internal', message);
}

/** The file's text, if it is a private key of this kind; its bytes are in no message. */
function keyIn(bytes: Uint8Array, { path, alg }: { path: string; alg: LocalSigner['alg'] }): string {
  const pem = fromUtf8(bytes) ?? '';
  const held = algOf(pem);
  if (held !== alg) throw new Fault('store_failed', 'internal', `\`${path}\` is not a private key of kind ${alg}`);
  return pem;
}

function algOf(pem: string): LocalSigner['alg'] | undefined {
  try {
    return signerFromPem(pem).alg;
  } catch {
    // Whatever is wrong with it, it is no key.
    return undefined;
  }
}

/** What the control plane certified, before it is looked at. */
interface Kept {
  readonly tlsChain: readonly Uint8Array[];
  readonly auditChain: readonly Uint8Array[];
  readonly assertionChain: readonly Uint8Array[];
  readonly counter: number;
}

function readKept(bytes: Uint8Array): Kept | undefined {
  const judged = judge(bytes);
  const tree: unknown = judged.ok ? judged.value.tree : undefined;
  if (typeof tree !== 'object' || tree === null) return undefined;
  const { counter, tls, audit, assertion } = tree as { counter?: unknown; tls?: unknown; audit?: unknown; assertion?: unknown };
  const chain = (value: unknown): readonly Uint8Array[] =>
    Array.isArray(value) ? value.flatMap((text) => (typeof text === 'string' ? (decodeBase64(text) ?? []) : [])) : [];
  const [tlsChain, auditChain] = [chain(tls), chain(audit)];
  return Number.isSafeInteger(counter) && tlsChain.length > 0 && auditChain.length > 0
    ? { counter: counter as number, tlsChain, auditChain, assertionChain: chain(assertion) }
    : undefined;
}

/** The identity, where all leaves are of our keys and name the same workload. */
function identityOf(own: OwnKeys, kept: Kept): Identity | undefined {
  const { tlsChain, auditChain, assertionChain } = kept;
  const [tls, audit] = [leafOf(tlsChain, own.tlsPem), leafOf(auditChain, own.auditPem)];
  if (tls?.spiffeId === undefined || audit?.spiffeId !== tls.spiffeId) return undefined;
  const { spiffeId, notBefore, notAfter } = tls;
  if (assertionChain.length > 0 && leafOf(assertionChain, own.assertionPem)?.spiffeId !== spiffeId) return undefined;
  const [auditSigner, assertionSigner] = [signerFromPem(own.auditPem), signerFromPem(own.assertionPem)];
  return { ...own, ...kept, spiffeId, notBefore, notAfter, auditSigner, assertionSigner };
}

function leafOf(chain: readonly Uint8Array[], privatePem: string): Certificate | undefined {
  const leaf = chain[0] === undefined ? undefined : readCertificate(chain[0]);
  const own = signerFromPem(privatePem).keyId;
  return leaf?.publicKey === undefined || keyIdOf(leaf.publicKey.raw) !== own ? undefined : leaf;
}
