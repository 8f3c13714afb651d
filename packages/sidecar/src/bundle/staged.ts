/**
 * The staged bundles together: which are worth keeping (what is enforced, what may be released next, what may be gone
 * back to), and which parts of a new one they hold already, so that a small change moves few bytes.
 */

import { PART_NAMES, type Area, type Digest, type PartName } from '@sallyport/model';
import { BUNDLE_BYTES_MAX, type SignedManifest, type VerifiedBundle } from '@sallyport/trust';
import type { StagedBundle } from './trusted-bundle.ts';

/** Of one area, beside the active one. */
const OF_AREA_MAX = 4;
/** Of all areas together, beside what is active; never fewer than four bundles. */
const BYTES_MAX = 4 * BUNDLE_BYTES_MAX;

/** Digests of what is kept; `staged` has the last staged last. */
export function keptBundles(staged: ReadonlyMap<Digest, StagedBundle>, active: readonly Digest[]): ReadonlySet<Digest> {
  const kept = new Set(active);
  const ofArea = new Map<Area, number>();
  let bytes = 0;
  for (const [digest, { verified }] of [...staged].toReversed()) {
    const count = (ofArea.get(verified.area) ?? 0) + 1;
    ofArea.set(verified.area, count);
    bytes += bytesOf(verified);
    if (count <= OF_AREA_MAX && bytes <= BYTES_MAX) kept.add(digest);
  }
  return kept;
}

function bytesOf({ payload }: VerifiedBundle): number {
  return PART_NAMES.reduce((sum, name) => sum + payload.parts[name].bytes, 0);
}

/** Parts of the manifest that some staged bundle holds under the same digest. */
export function knownParts(
  staged: ReadonlyMap<Digest, StagedBundle>,
  { payload }: Pick<SignedManifest, 'payload'>,
): Partial<Record<PartName, Uint8Array>> {
  const known: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    const held = heldPart(staged, payload.parts[name].digest);
    if (held !== undefined) known[name] = held;
  }
  return known;
}

/** A part of any staged bundle, under whatever name it stands there. */
export function heldPart(staged: ReadonlyMap<Digest, StagedBundle>, digest: Digest): Uint8Array | undefined {
  for (const { verified } of staged.values())
    for (const name of PART_NAMES) if (verified.payload.parts[name].digest === digest) return verified.part(name);
  return undefined;
}

/** What is to be fetched of it besides. */
export function missingParts(
  { payload }: Pick<SignedManifest, 'payload'>,
  known: Partial<Record<PartName, Uint8Array>>,
): readonly { readonly name: PartName; readonly digest: Digest; readonly bytes: number }[] {
  return PART_NAMES.filter((name) => known[name] === undefined).map((name) => {
    const { digest, bytes } = payload.parts[name];
    return { name, digest, bytes };
  });
}
