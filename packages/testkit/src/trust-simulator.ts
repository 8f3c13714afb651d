/**
 * The publishers' side of trust with real keys: administrators, registrars, publishers, release signers, the freshness
 * role and the revocation role in one object. It signs what it is told, also what no honest signer would, so that an
 * attack test can publish, bend and publish again. Deterministic from its seed: the same calls make the same bytes.
 */

import { createHash, createPrivateKey } from 'node:crypto';
import { decodeBase64 } from '@sallyport/crypto';
import { signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { PART_NAMES, invariant } from '@sallyport/model';
import type { Area, Digest, DirectoryEntry, Instant, KeyId, PartName, ReleaseSeq, Revision, Ring } from '@sallyport/model';
import {
  API_VERSION,
  describeParts,
  digestOfPayload,
  encodeAreaDelegation,
  encodeBundle,
  encodeDirectory,
  encodeDirectoryContent,
  encodeEnvelope,
  encodeExtension,
  encodeFreshness,
  encodeLiveProof,
  encodeOnlineKeys,
  encodeRelease,
  encodeRevocation,
  encodeRevocationSnapshot,
  encodeRoot,
  freshnessTree,
  keyRecordOf,
  parseEnvelope,
  signEnvelope,
} from '@sallyport/trust';
import type {
  AreaDelegation,
  Bundle,
  Extension,
  Directory,
  Freshness,
  FreshnessLeaf,
  LiveProof,
  OnlineKeys,
  Parts,
  Release,
  Revocation,
  RevocationEntry,
  RevocationHead,
  RevocationSnapshot,
  Root,
  SignedKind,
  StatementOffer,
} from '@sallyport/trust';

/** A signed object and what it is called. */
export interface Published<T> {
  readonly payload: T;
  readonly envelope: Uint8Array;
  readonly digest: Digest;
}

export interface PublishedBundle extends Published<Bundle> {
  readonly parts: Parts;
  /** The delegation in force when it was published, as it travels beside the bundle. */
  readonly delegation: Uint8Array;
}

export interface PublishedDirectory extends Published<Directory> {
  readonly content: Uint8Array;
}

export interface PublishedStatement<T extends Freshness> extends Published<T> {
  readonly offer: StatementOffer;
}

/** What differs from an honest object: `edit` changes the payload before signing, `signers` replaces who signs, by name. */
export interface Bend<T> {
  readonly edit?: (honest: T) => T;
  readonly signers?: readonly string[];
}

export interface TrustSimulatorOptions {
  readonly seed?: string;
  readonly profile?: 'development' | 'production';
  readonly trustDomain?: string;
  readonly area?: string;
  readonly ring?: string;
  /** Written into everything that is signed without an instant of its own. */
  readonly at?: Instant;
  readonly freshnessTtlMs?: number;
  /** What Root leaves to the directory; without it Root has no such role. */
  readonly directoryAttributes?: readonly string[];
}

export interface TrustSimulator {
  readonly area: Area;
  readonly ring: Ring;
  readonly trustDomain: string;
  readonly freshnessTtlMs: number;
  readonly pin: Digest;
  /** Every root published, from Root 1. */
  readonly chain: readonly Uint8Array[];
  readonly root: Published<Root>;
  readonly delegation: Published<AreaDelegation>;
  readonly onlineKeys: Published<OnlineKeys>;
  /** The revocation log as published. */
  readonly revocations: readonly Published<Revocation>[];
  /**
   * The key of that name, always the same for one seed: `root-1` `root-2` `registrar-1` `registrar-2` `release-1`
   * `release-2` `revocation-1` `publisher-1` `publisher-2` `freshness-1` `directory-1` hold roles; any other name is a stranger.
   */
  signer(name: string): LocalSigner;
  /** The same key as PKCS#8 PEM, for processes that read keys from files. */
  privatePem(name: string): string;
  publishRoot(bend?: Bend<Root>): Promise<Published<Root>>;
  publishDelegation(bend?: Bend<AreaDelegation>): Promise<Published<AreaDelegation>>;
  publishOnlineKeys(bend?: Bend<OnlineKeys>): Promise<Published<OnlineKeys>>;
  /** The next revision of the area; `parts` replaces some of the seven. */
  publishBundle(bend?: Bend<Bundle> & { readonly parts?: Partial<Record<PartName, Uint8Array>> }): Promise<PublishedBundle>;
  /** The delegation of another area to `publisher of <area>`. */
  delegateLayer(of: string): Promise<Uint8Array>;
  /** The next revision of another area, under a delegation to a publisher of its own: `publisher of <area>`. */
  publishLayer(of: string, bend?: Bend<Bundle> & { readonly parts?: Partial<Record<PartName, Uint8Array>> }): Promise<PublishedBundle>;
  /** The next release, of the bundle given, or of several, the broadest area first. */
  publishRelease(bundle: PublishedBundle | readonly PublishedBundle[], bend?: Bend<Release>): Promise<Published<Release>>;
  /** The next statement; names the last release published unless told otherwise. */
  stateFreshness(
    at: Instant,
    bend?: Bend<Freshness> & { readonly leaves?: readonly FreshnessLeaf[] },
  ): Promise<PublishedStatement<Freshness>>;
  /** The next statement, as the answer to one receiver's question. */
  proveLive(
    at: Instant,
    question: { readonly nonce: Uint8Array; readonly identity: string },
    bend?: Bend<LiveProof> & { readonly leaves?: readonly FreshnessLeaf[] },
  ): Promise<PublishedStatement<LiveProof>>;
  /** The release role's own word that the last release published is still the one. */
  extend(at: Instant, bend?: Bend<Extension>): Promise<Published<Extension>>;
  revoke(entry: Partial<RevocationEntry>, bend?: Bend<Revocation>): Promise<Published<Revocation>>;
  snapshotRevocations(bend?: Bend<RevocationSnapshot>): Promise<Published<RevocationSnapshot>>;
  /** The next directory, of these entries; `content` replaces what they would make. */
  publishDirectory(
    at: Instant,
    entries: readonly DirectoryEntry[],
    bend?: Bend<Directory> & { readonly content?: Uint8Array },
  ): Promise<PublishedDirectory>;
  /** What a statement would say of a release. */
  leafOf(release: Published<Release>): FreshnessLeaf;
}

const DAY_MS = 86_400_000;
export const SIMULATED_START: Instant = Date.UTC(2026, 10, 20, 8) as Instant;

/** A trust domain with its first root, delegation and online keys already published. */
export async function trustSimulator(options: TrustSimulatorOptions = {}): Promise<TrustSimulator> {
  const {
    seed = 'sallyport',
    profile = 'development',
    trustDomain = 'sallyport.test',
    at = SIMULATED_START,
    freshnessTtlMs = 300_000,
    directoryAttributes,
  } = options;
  const area = (options.area ?? 'default') as Area;
  const ring = (options.ring ?? 'default') as Ring;
  const signers = new Map<string, LocalSigner>();
  const signer = (name: string): LocalSigner => {
    const known = signers.get(name) ?? signerFromPem(pemOf(seed, name));
    signers.set(name, known);
    return known;
  };
  const keys = (...names: readonly string[]): Root['keys'] => names.map((name) => keyRecordOf(signer(name).publicRaw));
  const keyIds = (...names: readonly string[]): KeyId[] => keys(...names).map((key) => key.keyId);

  async function publish<T>(
    kind: SignedKind,
    encode: (payload: T) => Uint8Array,
    honest: T,
    defaults: readonly string[],
    bend: Bend<T>,
  ): Promise<Published<T>> {
    const payload = bend.edit === undefined ? honest : bend.edit(honest);
    const bytes = encode(payload);
    const envelope = await signEnvelope(kind, bytes, (bend.signers ?? defaults).map(signer));
    return { payload, envelope, digest: digestOfPayload(bytes) };
  }

  const rootNames = ['root-1', 'root-2'];
  const publisherNames = ['publisher-1', 'publisher-2'];
  const directoryNames = directoryAttributes === undefined ? [] : ['directory-1'];
  const firstRoot: Root = {
    number: 1,
    profile,
    trustDomain,
    expiresAt: (at + 365 * DAY_MS) as Instant,
    keys: keys(...rootNames, 'registrar-1', 'registrar-2', 'release-1', 'release-2', 'revocation-1', ...directoryNames),
    roles: {
      root: { keyIds: keyIds(...rootNames), threshold: 2 },
      registrar: { keyIds: keyIds('registrar-1', 'registrar-2'), threshold: 2 },
      release: { keyIds: keyIds('release-1', 'release-2'), threshold: profile === 'production' ? 2 : 1, rollbackThreshold: 2 },
      revocation: { keyIds: keyIds('revocation-1'), threshold: 1 },
      ...(directoryAttributes === undefined ? {} : { directory: { keyIds: keyIds(...directoryNames), threshold: 1 } }),
    },
    ceilings: {
      freshnessTtlMsMax: Math.max(freshnessTtlMs, 15_000),
      ...(directoryAttributes === undefined ? {} : { directoryAttributes }),
    },
    certificateAuthorities: [],
  };
  const firstDelegation: AreaDelegation = {
    number: 1,
    area,
    keys: keys(...publisherNames),
    publishers: { keyIds: keyIds(...publisherNames), threshold: 2 },
    expiresAt: (at + 180 * DAY_MS) as Instant,
  };
  const firstOnlineKeys: OnlineKeys = {
    number: 1,
    keys: keys('freshness-1').map((key) => ({
      ...key,
      role: 'freshness',
      replica: 'replica-1',
      notBefore: (at - DAY_MS) as Instant,
      notAfter: (at + 30 * DAY_MS) as Instant,
    })),
  };
  const releasers = profile === 'production' ? ['release-1', 'release-2'] : ['release-1'];

  // Written by the publish methods below and read by all; each holds what was published last.
  const chain: Published<Root>[] = [await publish('Root', encodeRoot, firstRoot, rootNames, {})];
  let delegation = await publish('AreaDelegation', encodeAreaDelegation, firstDelegation, ['registrar-1', 'registrar-2'], {});
  let onlineKeys = await publish('OnlineKeys', encodeOnlineKeys, firstOnlineKeys, releasers, {});
  const log: Published<Revocation>[] = [];
  let [revision, releaseSeq, statementSeq, directorySeq] = [0, 0, 0, 0];
  let lastBundle: PublishedBundle | undefined;
  const layers = new Map<Area, PublishedBundle>();
  let lastRelease: Published<Release> | undefined;

  const lastRoot = (): Published<Root> => chain.at(-1) ?? invariantRoot();
  const head = (): RevocationHead => ({ seq: log.at(-1)?.payload.seq ?? 0, head: log.at(-1)?.digest ?? null });
  const leafOf = ({ payload, digest }: Published<Release>): FreshnessLeaf => ({
    area: payload.area,
    ring: payload.ring,
    release: digest,
    releaseSeq: payload.releaseSeq,
  });
  // A second leaf makes every inclusion proof a real one.
  const otherLeaf: FreshnessLeaf = {
    area: 'elsewhere' as Area,
    ring,
    release: digestOfPayload(new Uint8Array()),
    releaseSeq: 1 as ReleaseSeq,
  };

  function statement(
    now: Instant,
    leaves: readonly FreshnessLeaf[] | undefined,
  ): { honest: Freshness; entries: StatementOffer['entries'] } {
    const own = leaves ?? (lastRelease === undefined ? [] : [leafOf(lastRelease)]);
    const tree = freshnessTree([...own, otherLeaf]);
    const { merkleRoot } = tree;
    const honest = {
      seq: ++statementSeq,
      rootNumber: lastRoot().payload.number,
      merkleRoot,
      revocation: head(),
      issuedAt: now,
      ttlMs: freshnessTtlMs,
    };
    return { honest, entries: tree.entries.slice(0, own.length) };
  }

  const publisherOf = (of: string): string => `publisher of ${of}`;
  const delegateLayer = async (of: string): Promise<Uint8Array> => {
    const publishers = { keyIds: keyIds(publisherOf(of)), threshold: 1 };
    const named: AreaDelegation = { ...firstDelegation, area: of as Area, keys: keys(publisherOf(of)), publishers };
    return (await publish('AreaDelegation', encodeAreaDelegation, named, ['registrar-1', 'registrar-2'], {})).envelope;
  };

  return {
    area,
    ring,
    trustDomain,
    freshnessTtlMs,
    pin: lastRoot().digest,
    signer,
    privatePem: (name) => pemOf(seed, name),
    leafOf,
    get chain() {
      return chain.map((link) => link.envelope);
    },
    get root() {
      return lastRoot();
    },
    get delegation() {
      return delegation;
    },
    get onlineKeys() {
      return onlineKeys;
    },
    get revocations() {
      return log;
    },
    async publishRoot(bend = {}) {
      const honest = { ...lastRoot().payload, number: lastRoot().payload.number + 1 };
      const published = await publish('Root', encodeRoot, honest, rootNames, bend);
      chain.push(published);
      return published;
    },
    async publishDelegation(bend = {}) {
      const honest = { ...delegation.payload, number: delegation.payload.number + 1 };
      delegation = await publish('AreaDelegation', encodeAreaDelegation, honest, ['registrar-1', 'registrar-2'], bend);
      return delegation;
    },
    async publishOnlineKeys(bend = {}) {
      const honest = { ...onlineKeys.payload, number: onlineKeys.payload.number + 1 };
      onlineKeys = await publish('OnlineKeys', encodeOnlineKeys, honest, releasers, bend);
      return onlineKeys;
    },
    async publishBundle(bend = {}) {
      const parts = { ...simulatedParts(++revision), ...bend.parts };
      const honest: Bundle = {
        area,
        revision: revision as Revision,
        previous: lastBundle?.digest ?? null,
        source: { commit: null },
        parts: describeParts(parts),
        features: [],
        testsDigest: digestOfPayload(parts.tests),
      };
      lastBundle = { ...(await publish('Bundle', encodeBundle, honest, publisherNames, bend)), parts, delegation: delegation.envelope };
      return lastBundle;
    },
    delegateLayer,
    async publishLayer(of, bend = {}) {
      const layer = of as Area;
      const before = layers.get(layer);
      const next = (before?.payload.revision ?? 0) + 1;
      const parts = { ...simulatedParts(next), ...bend.parts };
      const honest: Bundle = {
        area: layer,
        revision: next as Revision,
        previous: before?.digest ?? null,
        source: { commit: null },
        parts: describeParts(parts),
        features: [],
        testsDigest: digestOfPayload(parts.tests),
      };
      const made = {
        ...(await publish('Bundle', encodeBundle, honest, [publisherOf(of)], bend)),
        parts,
        delegation: await delegateLayer(of),
      };
      layers.set(layer, made);
      return made;
    },
    async publishRelease(published, bend = {}) {
      const bundles = 'payload' in published ? [published] : published;
      const honest: Release = {
        area,
        ring,
        releaseSeq: ++releaseSeq as ReleaseSeq,
        bundles: bundles.map(({ payload, digest }) => ({ area: payload.area, digest, revision: payload.revision })),
        freshnessTtlMsMax: freshnessTtlMs,
        rollback: false,
        reason: null,
        fallbacks: [],
        createdAt: at,
      };
      lastRelease = await publish('Release', encodeRelease, honest, releasers, bend);
      return lastRelease;
    },
    async stateFreshness(now, bend = {}) {
      const { honest, entries } = statement(now, bend.leaves);
      const published = await publish('Freshness', encodeFreshness, honest, ['freshness-1'], bend);
      return { ...published, offer: { envelope: published.envelope, entries } };
    },
    async proveLive(now, question, bend = {}) {
      const { honest, entries } = statement(now, bend.leaves);
      const published = await publish('LiveProof', encodeLiveProof, { ...honest, ...question }, ['freshness-1'], bend);
      return { ...published, offer: { envelope: published.envelope, entries } };
    },
    extend(now, bend = {}) {
      invariant(lastRelease !== undefined, 'what is extended has been released');
      const honest: Extension = {
        ...leafOf(lastRelease),
        rootNumber: lastRoot().payload.number,
        revocation: head(),
        issuedAt: now,
        ttlMs: lastRoot().payload.ceilings.freshnessTtlMsMax,
        reason: 'the control plane is lost',
      };
      return publish('Extension', encodeExtension, honest, releasers, bend);
    },
    async revoke(entry, bend = {}) {
      const honest: Revocation = {
        seq: head().seq + 1,
        previous: head().head,
        entry: {
          selector: { type: 'token', value: 'token-1' },
          before: 'never',
          expiresAt: (at + DAY_MS) as Instant,
          reason: 'lost',
          ...entry,
        },
        issuedAt: at,
      };
      const published = await publish('Revocation', encodeRevocation, honest, ['revocation-1'], bend);
      log.push(published);
      return published;
    },
    async publishDirectory(now, entries, bend = {}) {
      const content = bend.content ?? encodeDirectoryContent(entries);
      const honest: Directory = {
        seq: ++directorySeq,
        content: { digest: digestOfPayload(content), bytes: content.byteLength },
        issuedAt: now,
      };
      return { ...(await publish('Directory', encodeDirectory, honest, ['directory-1'], bend)), content };
    },
    snapshotRevocations(bend = {}) {
      const honest = { ...head(), entries: log.map((one) => one.payload.entry) };
      return publish('RevocationSnapshot', encodeRevocationSnapshot, honest, ['revocation-1'], bend);
    },
  };
}

/** Seven small parts that differ by revision. Valid JSON with the head of every part; no policy that would compile. */
function simulatedParts(revision: number): Record<PartName, Uint8Array> {
  const part = (name: PartName): Uint8Array => new TextEncoder().encode(JSON.stringify({ api_version: API_VERSION, kind: name, revision }));
  return Object.fromEntries(PART_NAMES.map((name) => [name, part(name)])) as Record<PartName, Uint8Array>;
}

/** A PKCS#8 key whose 32 secret bytes are the hash of seed and name (RFC 8410 section 7). */
function pemOf(seed: string, name: string): string {
  const secret = createHash('sha256').update(`${seed}\0${name}`).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' });
}

function invariantRoot(): never {
  invariant(false, 'a simulator always has a root');
}

/** The same bytes with one bit of one byte turned. */
export function flipBit(bytes: Uint8Array, index: number, bit = 0): Uint8Array {
  const bent = bytes.slice();
  bent[index] = (bent[index] ?? 0) ^ (1 << bit);
  return bent;
}

/**
 * The envelope with its payload's JSON edited in place: fields dropped, added or changed in ways that no builder would
 * write. Signed anew by `signers`, or left under its old signatures where none are given.
 */
export async function bendPayload(
  kind: SignedKind,
  envelope: Uint8Array,
  edit: (payload: Record<string, unknown>) => void,
  signers?: readonly LocalSigner[],
): Promise<Uint8Array> {
  const parsed = parseEnvelope(kind, envelope);
  invariant(parsed.ok, 'only an envelope that parses can be bent');
  const payload = JSON.parse(new TextDecoder().decode(parsed.value.payload)) as Record<string, unknown>;
  edit(payload);
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  return signers === undefined ? encodeEnvelope({ ...parsed.value, payload: bytes }) : signEnvelope(kind, bytes, signers);
}

/** The envelope's outer JSON edited in place, signatures and all. */
export function bendEnvelope(envelope: Uint8Array, edit: (outer: BendableEnvelope) => void): Uint8Array {
  const outer = JSON.parse(new TextDecoder().decode(envelope)) as BendableEnvelope;
  edit(outer);
  return new TextEncoder().encode(JSON.stringify(outer));
}

export interface BendableEnvelope {
  payloadType: string;
  payload: string;
  signatures: { keyid: string; sig: string }[];
  [unknown: string]: unknown;
}

/** The payload's bytes as text, for tests that look at what was signed. */
export function payloadText(envelope: Uint8Array): string {
  const { payload } = JSON.parse(new TextDecoder().decode(envelope)) as BendableEnvelope;
  const bytes = decodeBase64(payload);
  invariant(bytes !== undefined, 'a payload is base64');
  return new TextDecoder().decode(bytes);
}
