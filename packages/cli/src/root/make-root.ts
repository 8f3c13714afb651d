/**
 * A development root and everything that hangs on it: keys by role, the signed objects, the control plane's own files
 * and one administrator. What a control plane needs and what people keep go to different folders, because whoever
 * takes the control plane must not be able to publish.
 */

import { encodeBase64, readVerifyKey } from '@sallyport/crypto';
import { certificatePem, createCa, generateKey, issueCertificate, signerFromPem } from '@sallyport/crypto/keys';
import type { CertificateAuthority, GeneratedKey } from '@sallyport/crypto/keys';
import { addMs, invariant } from '@sallyport/model';
import type { Area, Digest, Instant, Random } from '@sallyport/model';
import {
  CA_PREFIXES,
  digestOfPayload,
  encodeAreaDelegation,
  encodeOnlineKeys,
  encodeRoot,
  keyRecordOf,
  signEnvelope,
} from '@sallyport/trust';
import type { Root } from '@sallyport/trust';
import { configYaml } from './config-yaml.ts';

export interface RootOptions {
  readonly trustDomain: string;
  /** Name of the first administrator: the author of what it publishes. */
  readonly admin: string;
  readonly now: Instant;
  readonly random: Random;
  /** `127.0.0.1:7443` and the like. */
  readonly grpc: string;
  readonly enrolment: string;
  readonly freshnessTtlMs: number;
  /** What is left to the directory, whose key the control plane then holds; nothing unless given. */
  readonly directoryAttributes?: readonly string[];
}

/** A file to be: its path below the folder, and who may read it. */
export interface MadeFile {
  readonly path: string;
  readonly content: string | Uint8Array;
  readonly isPrivate: boolean;
}

export interface MadeRoot {
  readonly pin: Digest;
  readonly expiresAt: Instant;
  readonly onlineKeysUntil: Instant;
  readonly files: readonly MadeFile[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Machines' clocks differ; what is signed a moment ago holds everywhere. */
const BACKDATED_MS: number = 5 * MINUTE_MS;
const ROOT_MS: number = 365 * DAY_MS;
const ONLINE_KEYS_MS: number = 30 * DAY_MS;
const DEFAULT_AREA = 'default' as Area;
/** The longest freshness that any release or statement may claim under this root. */
const FRESHNESS_CEILING_MS = DAY_MS;

interface Keys {
  readonly root: GeneratedKey;
  readonly registrar: GeneratedKey;
  readonly release1: GeneratedKey;
  readonly release2: GeneratedKey;
  readonly publisher: GeneratedKey;
  readonly freshness: GeneratedKey;
  readonly revocation: GeneratedKey;
  readonly audit: GeneratedKey;
  readonly directory?: GeneratedKey;
}

/** Makes all of it in memory; nothing is on disk until the caller writes it. */
export async function makeRoot(options: RootOptions): Promise<MadeRoot> {
  const ed = (): GeneratedKey => generateKey('ed25519');
  const keys: Keys = {
    root: ed(),
    registrar: ed(),
    release1: ed(),
    release2: ed(),
    publisher: ed(),
    freshness: ed(),
    revocation: ed(),
    audit: ed(),
    ...(hasDirectory(options) ? { directory: ed() } : {}),
  };
  const ca = await makeCa(options);
  const root = rootPayload(keys, ca, options);
  const delegation = delegationPayload(keys, root.expiresAt);
  const onlineKeysUntil = addMs(options.now, ONLINE_KEYS_MS);
  const rootBytes = encodeRoot(root);
  const admin = await makeAdmin(ca, options);
  const pem = (path: string, { privatePem }: GeneratedKey): MadeFile => ({ path, content: privatePem, isPrivate: true });
  const shared = (path: string, content: string | Uint8Array): MadeFile => ({ path, content, isPrivate: false });
  const pin = digestOfPayload(rootBytes);
  return {
    pin,
    expiresAt: root.expiresAt,
    onlineKeysUntil,
    files: [
      shared('root-pin', `${pin}\n`),
      shared('root/1.json', await signEnvelope('Root', rootBytes, [signerOf(keys.root)])),
      shared('delegations/default.json', await signEnvelope('AreaDelegation', delegation, [signerOf(keys.registrar)])),
      shared(
        'online-keys.json',
        await signEnvelope('OnlineKeys', onlineKeysPayload(keys, options.now, onlineKeysUntil), [signerOf(keys.release1)]),
      ),
      pem('signing/root.pem', keys.root),
      pem('signing/registrar.pem', keys.registrar),
      pem('signing/release-1.pem', keys.release1),
      pem('signing/release-2.pem', keys.release2),
      pem('signing/publisher.pem', keys.publisher),
      pem('control-plane/freshness.pem', keys.freshness),
      pem('control-plane/revocation.pem', keys.revocation),
      pem('control-plane/audit.pem', keys.audit),
      ...(keys.directory === undefined ? [] : [pem('control-plane/directory.pem', keys.directory)]),
      { path: 'control-plane/workload-ca.pem', content: ca.privatePem, isPrivate: true },
      shared('control-plane/workload-ca.crt', certificatePem(ca.certificate)),
      shared('control-plane/config.yaml', configYaml({ ...options, hasDirectory: keys.directory !== undefined, isDevelopment: true })),
      { path: `admin/${options.admin}.pem`, content: admin.privatePem, isPrivate: true },
      shared(`admin/${options.admin}.crt`, admin.chainPem),
    ],
  };
}

const hasDirectory = ({ directoryAttributes = [] }: RootOptions): boolean => directoryAttributes.length > 0;

const signerOf = ({ privatePem }: GeneratedKey): ReturnType<typeof signerFromPem> => signerFromPem(privatePem);

/** X.509 holds whole seconds; a fraction would be cut by whoever reads it, so nobody writes one. */
const wholeSeconds = (instant: Instant): Instant => (Math.floor(instant / 1_000) * 1_000) as Instant;

function lifetime({ now }: RootOptions): { readonly notBefore: Instant; readonly notAfter: Instant } {
  return { notBefore: wholeSeconds(addMs(now, -BACKDATED_MS)), notAfter: wholeSeconds(addMs(now, ROOT_MS)) };
}

export function makeCa(options: RootOptions): Promise<CertificateAuthority> {
  const { privatePem } = generateKey('es256');
  return createCa({ trustDomain: options.trustDomain, privatePem, serial: options.random(16), ...lifetime(options) });
}

export async function makeAdmin(
  ca: CertificateAuthority,
  options: RootOptions,
): Promise<{ readonly privatePem: string; readonly chainPem: string }> {
  const key = generateKey('es256');
  const subjectPublicKey = readVerifyKey('es256', key.publicRaw);
  invariant(subjectPublicKey !== undefined, 'a key that was just made can verify');
  const leaf = await issueCertificate({
    ca,
    subjectPublicKey,
    spiffeId: `spiffe://${options.trustDomain}/admin/${options.admin}`,
    usage: 'tls-client',
    serial: options.random(16),
    ...lifetime(options),
  });
  return { privatePem: key.privatePem, chainPem: certificatePem(leaf) + certificatePem(ca.certificate) };
}

function rootPayload(keys: Keys, ca: CertificateAuthority, options: RootOptions): Root {
  const record = ({ publicRaw }: GeneratedKey): ReturnType<typeof keyRecordOf> => keyRecordOf(publicRaw);
  const role = (...held: readonly GeneratedKey[]): { keyIds: Root['keys'][number]['keyId'][]; threshold: number } => ({
    keyIds: held.map((key) => record(key).keyId),
    threshold: 1,
  });
  const { directory } = keys;
  const { directoryAttributes = [] } = options;
  return {
    number: 1,
    profile: 'development',
    trustDomain: options.trustDomain,
    expiresAt: addMs(options.now, ROOT_MS),
    keys: [keys.root, keys.registrar, keys.release1, keys.release2, keys.revocation, ...(directory === undefined ? [] : [directory])].map(
      record,
    ),
    roles: {
      root: role(keys.root),
      registrar: role(keys.registrar),
      // Going back is a decision of its own: it takes both keys.
      release: { ...role(keys.release1, keys.release2), rollbackThreshold: 2 },
      revocation: role(keys.revocation),
      ...(directory === undefined ? {} : { directory: role(directory) }),
    },
    ceilings: { freshnessTtlMsMax: FRESHNESS_CEILING_MS, ...(directory === undefined ? {} : { directoryAttributes }) },
    certificateAuthorities: [{ certificate: ca.certificate, prefixes: CA_PREFIXES }],
  };
}

function delegationPayload({ publisher }: Keys, expiresAt: Instant): Uint8Array {
  const record = keyRecordOf(publisher.publicRaw);
  return encodeAreaDelegation({
    number: 1,
    area: DEFAULT_AREA,
    keys: [record],
    publishers: { keyIds: [record.keyId], threshold: 1 },
    expiresAt,
  });
}

function onlineKeysPayload({ freshness }: Keys, now: Instant, notAfter: Instant): Uint8Array {
  const notBefore = addMs(now, -BACKDATED_MS);
  return encodeOnlineKeys({
    number: 1,
    keys: [{ ...keyRecordOf(freshness.publicRaw), role: 'freshness', replica: 'r1', notBefore, notAfter }],
  });
}

/** The public half as people pass it on. */
export function publicText(key: { readonly publicRaw: Uint8Array }): string {
  return encodeBase64(key.publicRaw);
}
