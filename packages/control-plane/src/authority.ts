/**
 * What this process may sign and whom it believes, read from its files and judged before any port opens: the chain of
 * Roots from the administrator's pin, delegations, online keys, and the four private keys that a control plane may hold.
 * A key that could make or release policy is refused: whoever takes this machine must not be able to publish.
 * docs/spec/control-plane.md section 3.
 */

import { basename, dirname, join } from 'node:path';
import { equalBytes, fromUtf8, readCertificate } from '@sallyport/crypto';
import { loadPrivateKey, loadSigner, signerFromPem } from '@sallyport/crypto/keys';
import type { CertificateAuthority, LocalSigner } from '@sallyport/crypto/keys';
import { Fault, fail, formatInstant, isDigest, ok } from '@sallyport/model';
import type { Area, Digest, Instant, Problem, Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import {
  EMPTY_HIGH_WATER,
  ENVELOPE_BYTES_MAX,
  FRESHNESS_TTL_MS_MIN,
  explainRejection,
  judgeRootExpiry,
  trustDelegation,
  trustOnlineKeys,
  trustRoot,
} from '@sallyport/trust';
import type { OnlineKey, TrustedDelegation, TrustedOnlineKeys, TrustedRoot } from '@sallyport/trust';
import { pemCertificate } from './pem.ts';
import type { ControlPlaneConfig } from './config.ts';

/** A signed object as it came, for passing on, with what was verified of it. */
export interface Held<T> {
  readonly envelope: Uint8Array;
  readonly trusted: T;
}

/** Everything that other parts need of keys and signed files, as read at one moment. */
export interface Authority {
  readonly root: TrustedRoot;
  /** Envelope of Root n at index n - 1. */
  readonly rootEnvelopes: readonly Uint8Array[];
  readonly delegations: ReadonlyMap<Area, Held<TrustedDelegation>>;
  readonly onlineKeys: Held<TrustedOnlineKeys>;
  readonly freshness: LocalSigner;
  /** The record of the freshness key: when it may sign. */
  readonly freshnessKey: OnlineKey;
  readonly revocation: LocalSigner;
  readonly audit: LocalSigner;
  /** Without it nothing is said of principals. */
  readonly directory: LocalSigner | undefined;
  readonly ca: CertificateAuthority & { readonly notAfter: Instant };
}

export interface AuthorityOptions {
  readonly disk: FileSystem;
  readonly now: Instant;
}

const PIN_BYTES_MAX = 256;
const PEM_BYTES_MAX = 16_384;

/** Reads and judges all files; every problem that can be seen, not only the first. */
export function readAuthority(config: ControlPlaneConfig, options: AuthorityOptions): Result<Authority, readonly Problem[]> {
  const problems: Problem[] = [];
  for (const name of ['grpc', 'enrolment'] as const)
    if (config.listen[name].kind !== 'tcp')
      problems.push({ path: `listen.${name}`, message: 'gRPC is served over TCP alone', remedy: 'write `127.0.0.1:7443`' });
  const files = reader(options.disk, problems);
  const root = readRoots(config, files, options.now);
  const delegations = root === undefined ? undefined : readDelegations(config, { files, root: root.trusted, now: options.now });
  const onlineKeys = root === undefined ? undefined : readOnlineKeys(config, files, root.trusted);
  const ca = readCa(config, files);
  const keys = {
    freshness: files.signer('freshness_key_file', config.freshness_key_file),
    revocation: files.signer('revocation_key_file', config.revocation_key_file),
    audit: files.signer('audit_key_file', config.audit_key_file),
    directory: config.directory_key_file === undefined ? undefined : files.signer('directory_key_file', config.directory_key_file),
  };
  if (root !== undefined) {
    judgeTtl(config, root.trusted, problems);
    judgeCa(ca, root.trusted, { now: options.now, problems });
    judgeKeys({ ...keys, ca: ca?.signer, root: root.trusted, delegations, onlineKeys: onlineKeys?.trusted }, problems);
    judgeNeighbours(config, { disk: options.disk, root: root.trusted, delegations, problems });
  }
  const freshnessKey = onlineKeys?.trusted.keys.find((key) => isSame(key, keys.freshness));
  if (
    problems.length > 0 ||
    root === undefined ||
    delegations === undefined ||
    onlineKeys === undefined ||
    ca === undefined ||
    keys.freshness === undefined ||
    keys.revocation === undefined ||
    keys.audit === undefined ||
    freshnessKey === undefined
  )
    return fail(problems);
  return ok({
    root: root.trusted,
    rootEnvelopes: root.envelopes,
    delegations,
    onlineKeys,
    freshness: keys.freshness,
    freshnessKey,
    revocation: keys.revocation,
    audit: keys.audit,
    directory: keys.directory,
    ca: { certificate: ca.certificate, privatePem: ca.privatePem, notAfter: ca.notAfter },
  });
}

interface Files {
  readonly disk: FileSystem;
  readonly problems: Problem[];
  bytes(path: string, file: string, bytesMax: number): Uint8Array | undefined;
  signer(path: string, file: string): LocalSigner | undefined;
  refuse(problem: Problem): undefined;
}

/** Reads files into problems, so that one that is missing does not hide the next. */
function reader(disk: FileSystem, problems: Problem[]): Files {
  const refuse = (problem: Problem): undefined => {
    problems.push(problem);
    return undefined;
  };
  return {
    disk,
    problems,
    refuse,
    bytes(path, file, bytesMax) {
      try {
        return (
          disk.readFile(file, bytesMax) ?? refuse({ path, message: `there is no file \`${file}\``, remedy: 'see `sallyport root init`' })
        );
      } catch (error) {
        return refuse({ path, message: error instanceof Fault ? error.message : `cannot read \`${file}\`` });
      }
    },
    signer(path, file) {
      const loaded = loadSigner(file);
      if (!loaded.ok) return refuse({ path, message: loaded.error.message, remedy: loaded.error.remedy });
      if (loaded.value.alg === 'ed25519') return loaded.value;
      return refuse({ path, message: `\`${file}\` holds a key that is not Ed25519`, remedy: 'make one with `sallyport bundle keygen`' });
    },
  };
}

interface Roots {
  readonly trusted: TrustedRoot;
  readonly envelopes: readonly Uint8Array[];
}

function readRoots(config: ControlPlaneConfig, files: Files, now: Instant): Roots | undefined {
  const pin = readPin(config, files);
  const rootFiles = withSuccessors(config.root_files, files.disk);
  const envelopes = rootFiles.flatMap((file, index) => files.bytes(`root_files[${index}]`, file, ENVELOPE_BYTES_MAX.Root) ?? []);
  if (pin === undefined || envelopes.length !== rootFiles.length) return undefined;
  const trusted = trustRoot({ pin, chain: envelopes, allowDevelopmentRoot: config.allow_development_root });
  if (!trusted.ok) return files.refuse({ path: 'root_files', message: explainRejection(trusted.error) });
  const expired = judgeRootExpiry(trusted.value, now);
  if (expired !== undefined) return files.refuse({ path: 'root_files', message: explainRejection(expired) });
  return { trusted: trusted.value, envelopes };
}

const ROOTS_MAX = 256;

/** Roots that were put beside the last one since: `3.json` after `2.json`. A chain from the pin is all that makes them count. */
function withSuccessors(rootFiles: readonly string[], disk: FileSystem): readonly string[] {
  const found = [...rootFiles];
  const last = rootFiles.at(-1) ?? '';
  const [, suffix] = /^[0-9]+([^0-9/].*)?$/.exec(basename(last)) ?? [];
  if (suffix === undefined || basename(last) !== `${rootFiles.length}${suffix}`) return found;
  const names = new Set(listOf(disk, dirname(last)));
  while (found.length < ROOTS_MAX && names.has(`${found.length + 1}${suffix}`))
    found.push(join(dirname(last), `${found.length + 1}${suffix}`));
  return found;
}

function readPin(config: ControlPlaneConfig, files: Files): Digest | undefined {
  const bytes = files.bytes('root_pin_file', config.root_pin_file, PIN_BYTES_MAX);
  if (bytes === undefined) return undefined;
  const text = fromUtf8(bytes)?.trim() ?? '';
  if (isDigest(text)) return text;
  return files.refuse({
    path: 'root_pin_file',
    message: `\`${config.root_pin_file}\` does not hold a digest`,
    remedy: 'write `sha256:` and 64 hex digits, as `sallyport root init` prints them',
  });
}

function readDelegations(
  config: ControlPlaneConfig,
  { files, root, now }: { readonly files: Files; readonly root: TrustedRoot; readonly now: Instant },
): ReadonlyMap<Area, Held<TrustedDelegation>> {
  const delegations = new Map<Area, Held<TrustedDelegation>>();
  for (const [index, file] of config.delegation_files.entries()) {
    const path = `delegation_files[${index}]`;
    const envelope = files.bytes(path, file, ENVELOPE_BYTES_MAX.AreaDelegation);
    if (envelope === undefined) continue;
    const trusted = trustDelegation(envelope, { root, highWater: EMPTY_HIGH_WATER, at: now });
    if (!trusted.ok) files.refuse({ path, message: explainRejection(trusted.error) });
    else if (delegations.has(trusted.value.area))
      files.refuse({ path, message: `area \`${trusted.value.area}\` is delegated twice`, remedy: 'keep the file with the higher number' });
    else delegations.set(trusted.value.area, { envelope, trusted: trusted.value });
  }
  return delegations;
}

function readOnlineKeys(config: ControlPlaneConfig, files: Files, root: TrustedRoot): Held<TrustedOnlineKeys> | undefined {
  const path = 'online_keys_file';
  const envelope = files.bytes(path, config.online_keys_file, ENVELOPE_BYTES_MAX.OnlineKeys);
  if (envelope === undefined) return undefined;
  const trusted = trustOnlineKeys(envelope, { root, highWater: EMPTY_HIGH_WATER });
  return trusted.ok ? { envelope, trusted: trusted.value } : files.refuse({ path, message: explainRejection(trusted.error) });
}

interface Ca {
  readonly certificate: Uint8Array;
  readonly privatePem: string;
  readonly signer: LocalSigner;
  readonly notAfter: Instant;
}

function readCa(config: ControlPlaneConfig, files: Files): Ca | undefined {
  const path = 'workload_ca.certificate_file';
  const pem = files.bytes(path, config.workload_ca.certificate_file, PEM_BYTES_MAX);
  const key = loadPrivateKey(config.workload_ca.key_file);
  if (!key.ok) files.refuse({ path: 'workload_ca.key_file', message: key.error.message, remedy: key.error.remedy });
  const der = pem === undefined ? undefined : pemCertificate(pem);
  const certificate = der === undefined ? undefined : readCertificate(der);
  if (pem !== undefined && certificate?.isCa !== true)
    files.refuse({ path, message: `\`${config.workload_ca.certificate_file}\` is not a CA certificate in PEM` });
  if (!key.ok || certificate?.isCa !== true) return undefined;
  const signer = signerFromPem(key.value);
  if (certificate.publicKey === undefined || !equalBytes(certificate.publicKey.raw, signer.publicRaw))
    return files.refuse({ path: 'workload_ca.key_file', message: 'the key does not belong to the certificate of the workload CA' });
  return { certificate: certificate.der, privatePem: key.value, signer, notAfter: certificate.notAfter as Instant };
}

function judgeTtl(config: ControlPlaneConfig, root: TrustedRoot, problems: Problem[]): void {
  const [ttlMin, ttlMax] = [FRESHNESS_TTL_MS_MIN[root.profile], root.freshnessTtlMsMax];
  if (config.freshness_ttl_ms >= ttlMin && config.freshness_ttl_ms <= ttlMax) return;
  problems.push({
    path: 'freshness_ttl_ms',
    message: `${config.freshness_ttl_ms} is outside the ${ttlMin} to ${ttlMax} that this ${root.profile} root allows`,
  });
}

const NEEDED_PREFIXES = ['/control-plane', '/sidecar/'] as const;

function judgeCa(ca: Ca | undefined, root: TrustedRoot, options: { readonly now: Instant; readonly problems: Problem[] }): void {
  if (ca === undefined) return;
  const path = 'workload_ca.certificate_file';
  const { now, problems } = options;
  const listed = root.certificateAuthorities.find((record) => equalBytes(record.certificate, ca.certificate));
  if (listed === undefined) problems.push({ path, message: `root ${root.number} does not list this CA`, remedy: 'sign a root that does' });
  else {
    for (const prefix of NEEDED_PREFIXES)
      if (!listed.prefixes.includes(prefix))
        problems.push({ path, message: `root ${root.number} does not let this CA certify \`${prefix}\`` });
  }
  if (ca.notAfter <= now) problems.push({ path, message: `the CA certificate expired at ${formatInstant(ca.notAfter)}` });
}

interface JudgedKeys {
  readonly freshness: LocalSigner | undefined;
  readonly revocation: LocalSigner | undefined;
  readonly audit: LocalSigner | undefined;
  readonly directory: LocalSigner | undefined;
  readonly ca: LocalSigner | undefined;
  readonly root: TrustedRoot;
  readonly delegations: ReadonlyMap<Area, Held<TrustedDelegation>> | undefined;
  readonly onlineKeys: TrustedOnlineKeys | undefined;
}

type PublicKey = { readonly publicRaw: Uint8Array };
const isSame = (a: PublicKey | undefined, b: PublicKey | undefined): boolean =>
  a !== undefined && b !== undefined && equalBytes(a.publicRaw, b.publicRaw);

function judgeKeys(judged: JudgedKeys, problems: Problem[]): void {
  const { root, delegations, onlineKeys } = judged;
  const keys = [
    { path: 'freshness_key_file', signer: judged.freshness },
    { path: 'revocation_key_file', signer: judged.revocation },
    { path: 'audit_key_file', signer: judged.audit },
    { path: 'directory_key_file', signer: judged.directory },
    { path: 'workload_ca.key_file', signer: judged.ca },
  ];
  for (const [index, { path, signer }] of keys.entries()) {
    const role = offlineRole(signer, root, delegations);
    // Whoever takes this machine would publish or release policy with it.
    if (role !== undefined)
      problems.push({
        path,
        message: `this is a ${role} key, which never lives in a control plane`,
        remedy: 'move it to its signer, and replace it',
      });
    const twin = keys.slice(0, index).find((other) => isSame(other.signer, signer));
    if (twin !== undefined) problems.push({ path, message: `this is the same key as \`${twin.path}\``, remedy: 'a key serves one role' });
  }
  if (onlineKeys !== undefined && judged.freshness !== undefined && !onlineKeys.keys.some((key) => isSame(key, judged.freshness)))
    problems.push({
      path: 'freshness_key_file',
      message: '`online_keys_file` does not list this key',
      remedy: 'have the release role sign keys that do',
    });
  const revocation = root.role('revocation');
  if (judged.revocation !== undefined && !revocation.keys.some((key) => isSame(key, judged.revocation)))
    problems.push({ path: 'revocation_key_file', message: `root ${root.number} does not list this key for revocations` });
  if (revocation.threshold !== 1)
    problems.push({
      path: 'revocation_key_file',
      message: `root ${root.number} wants ${revocation.threshold} revocation keys, and this process holds one`,
    });
  if (judged.directory !== undefined) judgeDirectoryKey(judged.directory, root, problems);
}

function judgeDirectoryKey(signer: LocalSigner, root: TrustedRoot, problems: Problem[]): void {
  const path = 'directory_key_file';
  const { directory } = root;
  if (directory === undefined || !directory.keys.some((key) => isSame(key, signer)))
    problems.push({
      path,
      message: `root ${root.number} does not list this key for the directory`,
      remedy: 'sign a root that does, with the attributes that it leaves to it',
    });
  else if (directory.threshold !== 1)
    problems.push({ path, message: `root ${root.number} wants ${directory.threshold} directory keys, and this process holds one` });
}

const NEIGHBOURS_MAX = 256;

/** A signer's key that was copied to where this process keeps its own is as good as configured: whoever takes the machine has it. */
function judgeNeighbours(
  config: ControlPlaneConfig,
  { disk, root, delegations, problems }: Pick<JudgedKeys, 'root' | 'delegations'> & { disk: FileSystem; problems: Problem[] },
): void {
  const own = [
    config.freshness_key_file,
    config.revocation_key_file,
    config.audit_key_file,
    config.workload_ca.key_file,
    ...(config.directory_key_file === undefined ? [] : [config.directory_key_file]),
  ];
  for (const folder of new Set(own.map((file) => dirname(file)))) {
    const names = listOf(disk, folder).filter((name) => !own.includes(join(folder, name)));
    for (const name of names.slice(0, NEIGHBOURS_MAX)) {
      const role = offlineRole(keyIn(disk, join(folder, name)), root, delegations);
      if (role === undefined) continue;
      const message = `\`${join(folder, name)}\` is a ${role} key, which never lives in a control plane`;
      problems.push({ path: '', message, remedy: 'move it to its signer, and replace it' });
    }
  }
}

function listOf(disk: FileSystem, folder: string): readonly string[] {
  try {
    return disk.list(folder).toSorted();
  } catch {
    // The keys that are configured there are missed by their own names.
    return [];
  }
}

/** The private key in a file, whatever its mode; `undefined` where it holds none that could be read. */
function keyIn(disk: FileSystem, file: string): LocalSigner | undefined {
  try {
    const text = fromUtf8(disk.readFile(file, PEM_BYTES_MAX) ?? new Uint8Array());
    return text?.includes('PRIVATE KEY') === true ? signerFromPem(text) : undefined;
  } catch {
    return undefined;
  }
}

/** The role that this key serves outside of a control plane, if any. */
function offlineRole(signer: LocalSigner | undefined, root: TrustedRoot, delegations: JudgedKeys['delegations']): string | undefined {
  for (const role of ['root', 'registrar', 'release'] as const) if (root.role(role).keys.some((key) => isSame(key, signer))) return role;
  for (const { trusted } of delegations?.values() ?? []) if (trusted.publishers.keys.some((key) => isSame(key, signer))) return 'publisher';
  return undefined;
}
