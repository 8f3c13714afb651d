/**
 * What may be enforced: a release that `trust` verified, and the policy that `policy` compiled from exactly its parts.
 * Both come from classes that only their packages make, and only the activator joins them.
 */

import type { Digest, PartName } from '@sallyport/model';
import { PART_NAMES, fail, ok, type Result } from '@sallyport/model';
import type { CompiledPolicy, Parts } from '@sallyport/policy';
import { digestOfJoined, reject, type Rejection, type VerifiedBundle, type VerifiedRelease } from '@sallyport/trust';
import { callerProblems } from '../callers/caller-door.ts';
import { compilePolicy, isLayer, type Enforceable, type PolicyBytes, type VettedSets } from './policy-bytes.ts';

/** A bundle that was accepted here, staged until a release names it. */
export interface StagedBundle {
  readonly verified: VerifiedBundle;
  /** Compiled, where it stands alone; a layer means something only among the others of its release. */
  readonly alone: Enforceable | undefined;
}

/** For the activator alone, which calls it with bundles that it vetted itself. */
let make: (release: VerifiedRelease, policy: Enforceable) => TrustedBundle;

export class TrustedBundle {
  readonly release: VerifiedRelease;
  readonly parts: Parts;
  readonly policy: CompiledPolicy;

  private constructor(release: VerifiedRelease, { parts, policy }: Enforceable) {
    this.release = release;
    this.parts = parts;
    this.policy = policy;
  }

  static {
    make = (release, policy) => new TrustedBundle(release, policy);
  }

  /** Of one bundle its digest, of several that of the joined set (trust-v1 section 4.4.1). */
  get policyDigest(): Digest {
    return policyDigestOf(this.release);
  }
}

function policyDigestOf({ bundles, digest }: Pick<VerifiedRelease, 'bundles' | 'digest'>): Digest {
  return digestOfJoined(bundles) ?? digest;
}

/** What a release joins, under the name of the set. */
export interface UnvettedSet {
  readonly digest: Digest;
  readonly bytes: PolicyBytes;
}

/** What is to be vetted before this release may count; `undefined` where that was done, of one bundle when it was staged. */
export function unvettedSet(
  release: VerifiedRelease,
  staged: ReadonlyMap<Digest, StagedBundle>,
  vetted: Pick<VettedSets, 'has'>,
): UnvettedSet | undefined {
  const [first, ...others] = release.bundles;
  const stands = first !== undefined && others.length === 0 && staged.get(first.digest)?.alone !== undefined;
  const digest = policyDigestOf(release);
  return stands || vetted.has(digest) ? undefined : { digest, bytes: joinedBytes(release.bundles) };
}

/** The policy of a release: compiled when its one bundle was staged, or joined now from its layers. */
export function trustBundle(release: VerifiedRelease, staged: ReadonlyMap<Digest, StagedBundle>): Result<TrustedBundle, Rejection> {
  const [first, ...others] = release.bundles;
  if (first === undefined) return fail(reject('DIGEST', 'the release names no bundle'));
  const alone = others.length === 0 ? staged.get(first.digest)?.alone : undefined;
  const policy = alone === undefined ? compileHere(joinedBytes(release.bundles)) : ok(alone);
  return policy.ok ? ok(make(release, policy.value)) : policy;
}

/** Reads and compiles verified parts, on the thread that will use them; expressions compile on first use. */
export function stageBundle(verified: VerifiedBundle): Result<StagedBundle, Rejection> {
  if (isLayer(verified.payload)) return ok({ verified, alone: undefined });
  const alone = compileHere({ kind: 'alone', parts: partBytes(verified) });
  return alone.ok ? ok({ verified, alone: alone.value }) : alone;
}

function compileHere(bytes: PolicyBytes): Result<Enforceable, Rejection> {
  const compiled = compilePolicy(bytes);
  const unmade = compiled.ok ? callerProblems(compiled.value.parts.callerMethods ?? []) : [];
  return unmade.length > 0 ? fail(reject('COMPILE', 'a caller method cannot be made', unmade)) : compiled;
}

function joinedBytes(bundles: readonly VerifiedBundle[]): PolicyBytes {
  return { kind: 'joined', layers: bundles.map((bundle) => ({ name: bundle.area, parts: partBytes(bundle) })) };
}

/** The part bytes by name. */
export function partBytes(verified: VerifiedBundle): Record<PartName, Uint8Array> {
  return Object.fromEntries(PART_NAMES.map((name) => [name, verified.part(name)])) as Record<PartName, Uint8Array>;
}
