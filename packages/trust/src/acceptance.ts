/**
 * Acceptance of a bundle: numbered steps that only move forward (docs/spec/trust-v1.md section 7). Each step takes what
 * the step before it made, so out of order does not compile; the last makes a `VerifiedBundle`, which nothing else can.
 * Layer rules, compile and self-tests come after, elsewhere; this module runs nothing that it verifies.
 */

import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { Area, Digest, Instant, PartName, Result, Revision, Ring } from '@sallyport/model';
import { covers } from './areas.ts';
import { trustDelegation } from './delegations.ts';
import type { TrustedDelegation } from './delegations.ts';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import { judgeRootMark } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { BUNDLE_BYTES_MAX, PART_BYTES_MAX } from './limits.ts';
import { readBundle } from './objects/bundle.ts';
import type { Bundle } from './objects/bundle.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { judgeRootExpiry } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold } from './threshold.ts';

/** Who asks: what its certificate and its own configuration say, never what an object says. */
export interface Receiver {
  readonly area: Area;
  readonly ring: Ring;
  /** SPIFFE id. */
  readonly identity: string;
}

export interface AcceptanceContext {
  readonly root: TrustedRoot;
  readonly highWater: HighWater;
  /** Estimated signer time. */
  readonly at: Instant;
  readonly receiver: Receiver;
  /** Every feature that this build understands. */
  readonly features: ReadonlySet<string>;
}

/** Envelopes as they came. */
export interface BundleOffer {
  readonly bundle: Uint8Array;
  readonly delegation: Uint8Array;
}

export type Parts = Readonly<Record<PartName, Uint8Array>>;

let makeManifest: (sealed: Sealed) => SignedManifest;
let makeBundle: (manifest: SignedManifest, parts: Parts) => VerifiedBundle;

interface Sealed {
  readonly payload: Bundle;
  readonly digest: Digest;
  readonly delegation: TrustedDelegation;
  readonly context: AcceptanceContext;
}

/** Steps 1 to 4 are done: publishers signed this list of parts. Says which parts to fetch, and nothing more. */
export class SignedManifest {
  readonly #sealed: Sealed;

  private constructor(sealed: Sealed) {
    this.#sealed = sealed;
  }

  static {
    makeManifest = (sealed) => new SignedManifest(sealed);
  }

  get payload(): Bundle {
    return this.#sealed.payload;
  }

  /** Of the payload: the bundle's name everywhere. */
  get digest(): Digest {
    return this.#sealed.digest;
  }

  get delegation(): TrustedDelegation {
    return this.#sealed.delegation;
  }

  /** What it was and will be judged against: one context from the first step to the last. */
  get context(): AcceptanceContext {
    return this.#sealed.context;
  }
}

/** All steps are done. Holds its own copy of the part bytes, so that nothing changes between check and use. */
export class VerifiedBundle {
  readonly #manifest: SignedManifest;
  readonly #parts: Parts;

  private constructor(manifest: SignedManifest, parts: Parts) {
    this.#manifest = manifest;
    this.#parts = parts;
  }

  static {
    makeBundle = (manifest, parts) => new VerifiedBundle(manifest, parts);
  }

  get payload(): Bundle {
    return this.#manifest.payload;
  }

  get digest(): Digest {
    return this.#manifest.digest;
  }

  get area(): Area {
    return this.payload.area;
  }

  get revision(): Revision {
    return this.payload.revision;
  }

  get delegation(): TrustedDelegation {
    return this.#manifest.delegation;
  }

  /** Digest of the root that it was verified under; another root has to verify it again. */
  get root(): Digest {
    return this.#manifest.context.root.digest;
  }

  /** The verified bytes of one part; not to be written to. */
  part(name: PartName): Uint8Array {
    return this.#parts[name];
  }
}

/** Steps 1 to 4: from envelopes to a signed list of parts. */
export function acceptManifest(offer: BundleOffer, context: AcceptanceContext): Result<SignedManifest, Rejection> {
  const sized = boundSize(offer, context);
  if (!sized.ok) return sized;
  const rooted = requireRoot(sized.value);
  if (!rooted.ok) return rooted;
  const delegated = admitDelegation(rooted.value);
  if (!delegated.ok) return delegated;
  return countSignatures(delegated.value);
}

/** Steps 5 to 7: from a signed list and the parts to a verified bundle. Parts may be any bytes from anywhere. */
export function acceptParts(
  manifest: SignedManifest,
  parts: Readonly<Partial<Record<PartName, Uint8Array>>>,
): Result<VerifiedBundle, Rejection> {
  const matched = matchDigests(manifest, parts);
  if (!matched.ok) return matched;
  const understood = understandFeatures(matched.value);
  if (!understood.ok) return understood;
  return matchAudience(understood.value);
}

interface Sized {
  readonly step: 'sized';
  readonly envelope: Envelope;
  readonly delegation: Uint8Array;
  readonly context: AcceptanceContext;
}

/** Step 1, size. Attack: endless data. Nothing beyond a bound is parsed, hashed or kept. */
function boundSize(offer: BundleOffer, context: AcceptanceContext): Result<Sized, Rejection> {
  const parsed = parseEnvelope('Bundle', offer.bundle);
  return parsed.ok ? ok({ step: 'sized', envelope: parsed.value, delegation: offer.delegation, context }) : parsed;
}

interface Rooted extends Omit<Sized, 'step'> {
  readonly step: 'rooted';
}

/** Step 2, root chain. Attacks: a root of someone else's making; freezing a receiver on a root whose keys were replaced. */
function requireRoot(sized: Sized): Result<Rooted, Rejection> {
  const { root, highWater, at } = sized.context;
  const refused = judgeRootMark(highWater, root) ?? judgeRootExpiry(root, at);
  return refused === undefined ? ok({ ...sized, step: 'rooted' }) : fail(refused);
}

interface Delegated extends Omit<Rooted, 'step' | 'delegation'> {
  readonly step: 'delegated';
  readonly delegation: TrustedDelegation;
}

/** Step 3, delegation. Attack: publishers who were never named for an area, or have left. */
function admitDelegation(rooted: Rooted): Result<Delegated, Rejection> {
  const trusted = trustDelegation(rooted.delegation, rooted.context);
  return trusted.ok ? ok({ ...rooted, step: 'delegated', delegation: trusted.value }) : trusted;
}

/** Step 4, signatures and threshold; then the payload is read, once. Attacks: forgery; a stolen key below the threshold. */
function countSignatures({ envelope, delegation, context }: Delegated): Result<SignedManifest, Rejection> {
  const counted = countThreshold('Bundle', envelope, delegation.publishers);
  if (!counted.ok) return counted;
  const read = readBundle(envelope.payload);
  if (!read.ok) return read;
  return ok(makeManifest({ payload: read.value, digest: digestOfPayload(envelope.payload), delegation, context }));
}

interface Matched {
  readonly step: 'matched';
  readonly manifest: SignedManifest;
  readonly parts: Parts;
}

/** Step 5, digests. Attacks: parts swapped, torn or edited on the way or in a cache; parts of two bundles mixed. */
function matchDigests(manifest: SignedManifest, offered: Readonly<Partial<Record<PartName, Uint8Array>>>): Result<Matched, Rejection> {
  const records = manifest.payload.parts;
  const total = PART_NAMES.reduce((sum, name) => sum + records[name].bytes, 0);
  if (total > BUNDLE_BYTES_MAX)
    return fail(reject('SIZE', `the parts have ${total} bytes together, at most ${BUNDLE_BYTES_MAX} are taken`));
  const parts: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    const { bytes, digest } = records[name];
    if (bytes > PART_BYTES_MAX) return fail(reject('SIZE', `part \`${name}\` has ${bytes} bytes, at most ${PART_BYTES_MAX} are taken`));
    const part = offered[name];
    if (part === undefined) return fail(reject('DIGEST', `part \`${name}\` is missing`));
    if (part.byteLength !== bytes) return fail(reject('DIGEST', `part \`${name}\` has ${part.byteLength} bytes, ${bytes} were signed`));
    // The copy is what is hashed and kept: the caller's buffer may change after the check.
    const copy = part.slice();
    if (digestOfPayload(copy) !== digest) return fail(reject('DIGEST', `part \`${name}\` is not the one that was signed`));
    parts[name] = copy;
  }
  const extra = Object.keys(offered).filter((name) => !(PART_NAMES as readonly string[]).includes(name));
  if (extra.length > 0) return fail(reject('DIGEST', `part \`${extra[0]}\` was never signed`));
  return ok({ step: 'matched', manifest, parts: parts as Parts });
}

interface Understood extends Omit<Matched, 'step'> {
  readonly step: 'understood';
}

/** Step 6, features and version. Attack: none; a mistake: an old receiver skipping a restriction that it cannot read. */
function understandFeatures(matched: Matched): Result<Understood, Rejection> {
  const { features } = matched.manifest.context;
  const unknown = matched.manifest.payload.features.filter((feature) => !features.has(feature));
  if (unknown.length === 0) return ok({ ...matched, step: 'understood' });
  return fail(reject('MIN_VERSION', `the bundle needs ${unknown.map((feature) => `\`${feature}\``).join(', ')}`));
}

/** Step 7, area and audience, against the attested identity. Attack: a bundle for one area given to another. */
function matchAudience({ manifest, parts }: Understood): Result<VerifiedBundle, Rejection> {
  const { payload, delegation, context } = manifest;
  const { root, receiver } = context;
  // Publishers of one area signing for another.
  if (payload.area !== delegation.area)
    return fail(reject('AREA', `the bundle is for \`${payload.area}\` and its publishers were named for \`${delegation.area}\``));
  if (!covers(payload.area, receiver.area))
    return fail(reject('AREA', `the bundle is for \`${payload.area}\` and this is \`${receiver.area}\``));
  if (!receiver.identity.startsWith(`spiffe://${root.trustDomain}/`))
    return fail(reject('AREA', `\`${receiver.identity}\` is not of trust domain \`${root.trustDomain}\``));
  return ok(makeBundle(manifest, parts));
}
