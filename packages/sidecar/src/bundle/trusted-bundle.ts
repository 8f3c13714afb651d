/**
 * What may be enforced: a release that `trust` verified, and the policy that `policy` compiled from exactly its parts.
 * Both come from classes that only their packages make, and only the activator joins them.
 */

import type { Digest, PartName } from '@sallyport/model';
import { PART_NAMES, fail, ok, type Result } from '@sallyport/model';
import { compile, readParts, type CompiledPolicy, type Parts } from '@sallyport/policy';
import { reject, type Rejection, type VerifiedBundle, type VerifiedRelease } from '@sallyport/trust';
import { callerProblems } from '../callers/caller-door.ts';

/** A bundle that was vetted here: verified, read, compiled, its own tests passed. Staged until a release names it. */
export interface StagedBundle {
  readonly verified: VerifiedBundle;
  readonly parts: Parts;
  readonly policy: CompiledPolicy;
}

/** For the activator alone, which calls it with bundles that it vetted itself. */
let make: (release: VerifiedRelease, bundle: StagedBundle) => TrustedBundle;

export class TrustedBundle {
  readonly release: VerifiedRelease;
  readonly parts: Parts;
  readonly policy: CompiledPolicy;

  private constructor(release: VerifiedRelease, { parts, policy }: StagedBundle) {
    this.release = release;
    this.parts = parts;
    this.policy = policy;
  }

  static {
    make = (release, bundle) => new TrustedBundle(release, bundle);
  }

  /** Digest of the joined set: with one area, of its one bundle. */
  get policyDigest(): Digest {
    return this.release.bundles[0]?.digest ?? this.release.digest;
  }
}

/** Joins a release with its staged bundles. Layers of several areas are not understood yet, and so refused. */
export function trustBundle(release: VerifiedRelease, staged: ReadonlyMap<Digest, StagedBundle>): Result<TrustedBundle, Rejection> {
  const [first, ...others] = release.bundles;
  if (first === undefined) return fail(reject('DIGEST', 'the release names no bundle'));
  if (others.length > 0) return fail(reject('LAYER', 'the release joins several areas, which this build does not understand'));
  const bundle = staged.get(first.digest);
  return bundle === undefined ? fail(reject('DIGEST', `bundle \`${first.digest}\` is not staged`)) : ok(make(release, bundle));
}

/** Reads and compiles verified parts, on the thread that will use them; expressions compile on first use. */
export function compileBundle(verified: VerifiedBundle): Result<StagedBundle, Rejection> {
  const parts = readParts(partBytes(verified));
  if (!parts.ok) return fail(reject('COMPILE', 'the parts do not read', parts.error));
  const unmade = callerProblems(parts.value.callerMethods ?? []);
  if (unmade.length > 0) return fail(reject('COMPILE', 'a caller method cannot be made', unmade));
  const policy = compile(parts.value);
  return policy.ok
    ? ok({ verified, parts: parts.value, policy: policy.value })
    : fail(reject('COMPILE', 'the policy does not compile', policy.error));
}

/** The part bytes by name. */
export function partBytes(verified: VerifiedBundle): Record<PartName, Uint8Array> {
  return Object.fromEntries(PART_NAMES.map((name) => [name, verified.part(name)])) as Record<PartName, Uint8Array>;
}
