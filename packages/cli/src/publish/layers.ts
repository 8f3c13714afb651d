/**
 * The layers above an area, as the control plane holds them: what a policy there is published beneath, and released with.
 * Bytes are believed where they have the digest that was asked for; who signed them is for the receivers to judge.
 */

import { ENVELOPE_BYTES_MAX, areasCovering, digestOfPayload, parseEnvelope, readRelease } from '@sallyport/trust';
import type { Release, ReleasedBundle } from '@sallyport/trust';
import { fail, ok } from '@sallyport/model';
import type { Digest, Result, Revision } from '@sallyport/model';
import type { Beneath, LayerParts } from '@sallyport/policy';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';
import { fetchBundle, fetchObject, fetchParts } from './objects.ts';
import { findBundle, readVersions } from './versions.ts';

/** The newest bundle of each area that covers this one, the broadest first; `held` names another version of some of them. */
export async function readAbove(
  link: Link,
  place: Place,
  { held = new Map(), io }: { readonly held?: ReadonlyMap<string, string>; readonly io: Io },
): Promise<Result<readonly ReleasedBundle[], Refusal>> {
  const above: ReleasedBundle[] = [];
  const covering = areasCovering(place.area).slice(0, -1);
  const strange = [...held.keys()].find((area) => !(covering as readonly string[]).includes(area));
  if (strange !== undefined) return fail(refusal(2, `\`--with ${strange}=…\`: this area does not cover ${place.area}`));
  for (const area of covering) {
    const versions = await readVersions(link, { ...place, area }, io);
    if (!versions.ok) return versions;
    const newest = versions.value.bundles[0]?.revision;
    if (newest === undefined) continue;
    const bundle = findBundle(versions.value, held.get(area) ?? String(newest));
    if (!bundle.ok) return bundle;
    above.push({ area, digest: bundle.value.digest, revision: bundle.value.revision as Revision });
  }
  return ok(above);
}

/** The same with their parts, to build beneath. */
export async function fetchBeneath(
  link: Link,
  { area }: Place,
  { above, io }: { readonly above: readonly ReleasedBundle[]; readonly io: Io },
): Promise<Result<Beneath, Refusal>> {
  const layers: LayerParts[] = [];
  for (const { area: name, digest } of above) {
    const bundle = await fetchBundle(link, digest, io);
    const parts = bundle === undefined ? undefined : await fetchParts(link, bundle, io);
    if (parts === undefined) return fail(refusal(64, `the control plane does not give out the layer ${name}: ${digest}`));
    layers.push({ name, parts });
  }
  return ok({ name: area, above: layers });
}

/** What a release says; `undefined` where it is not there, or is not what was asked for. */
export async function fetchRelease(link: Link, digest: Digest, io: Io): Promise<Release | undefined> {
  const bytes = await fetchObject(link, { digest, bytesMax: ENVELOPE_BYTES_MAX.Release }, io);
  const envelope = bytes === undefined ? undefined : parseEnvelope('Release', bytes);
  if (envelope?.ok !== true || digestOfPayload(envelope.value.payload) !== digest) return undefined;
  const release = readRelease(envelope.value.payload);
  return release.ok ? release.value : undefined;
}

/** The layers above its own area in a release that is in force: what going back leaves as it is. */
export async function aboveInForce(link: Link, release: Digest | undefined, io: Io): Promise<Result<readonly ReleasedBundle[], Refusal>> {
  if (release === undefined) return ok([]);
  const held = await fetchRelease(link, release, io);
  if (held === undefined) return fail(refusal(64, `the control plane does not give out what is in force: ${release}`));
  return ok(held.bundles.filter(({ area }) => area !== held.area));
}

/** `--with AREA=VERSION`, by area. */
export function readWith(given: readonly string[]): Result<ReadonlyMap<string, string>, Refusal> {
  const held = new Map<string, string>();
  for (const text of given) {
    const [area = '', version = ''] = text.split('=', 2);
    if (area === '' || version === '' || held.has(area))
      return fail(refusal(2, `\`--with ${text.slice(0, 80)}\` is no layer and its version`, 'write --with acme=7, once for each area'));
    held.set(area, version);
  }
  return ok(held);
}
