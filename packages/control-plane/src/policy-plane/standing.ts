/** Where a sidecar stands against what is current: what it should hold, and whether it is ahead of this process. */

import { makeDelta } from '@sallyport/net';
import type { Authority } from '../authority.ts';
import type { Change } from '../changes.ts';
import type { Fleet } from '../fleet/api.ts';
import type { FreshnessService } from '../freshness/api.ts';
import type { Objects } from '../objects/api.ts';
import type { Place, PublishService } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ReadHello, ToldRelease } from './hello.ts';
import type { Delta, Offer, OfferBook } from './messages.ts';
import type { Wanted } from './subscriber.ts';

/** Of the 16 KB of a message; the rest is for what frames them. */
const OFFER_BYTES_MAX = 15_500;
/** Two digests as text, and their tags. */
const DELTA_NAMES_BYTES = 160;

/** What is current. */
export interface Present {
  readonly authority: Authority;
  readonly objects: Objects;
  readonly publish: PublishService;
  readonly revocation: RevocationService;
  readonly freshness: FreshnessService;
  readonly fleet: Fleet;
}

/** A name for maps. */
export const placeName = ({ area, ring }: Place): string => `${area} ${ring}`;

/** Whether a change can mean something new for the sidecars of a place. */
export function isConcerned(change: Exclude<Change, { kind: 'revocation' }>, place: Place): boolean {
  // A bundle of a broader area concerns the places below it once a release joins it: then the release says so.
  return change.area === place.area && (change.kind === 'bundle' || change.ring === place.ring);
}

/** What a sidecar of this place should hold, most wanted first. */
export function wantedAt(place: Place, { publish, fleet }: Present): readonly Wanted[] {
  const release = publish.currentRelease(place);
  const newest = publish.newestBundle(place.area);
  const bundles = release?.bundles.map(({ digest }) => digest) ?? [];
  const staged = [...fleet.wished(place), ...(newest === undefined ? [] : [newest.digest]), ...(release?.fallbacks ?? [])];
  return [
    ...bundles.map((digest): Wanted => ({ kind: 'bundle', digest })),
    ...(release === undefined ? [] : [{ kind: 'release', digest: release.digest, bundles } as const]),
    ...staged.filter((digest) => publish.bundle(digest) !== undefined).map((digest): Wanted => ({ kind: 'bundle', digest })),
  ];
}

/** The offer of a wanted object; `undefined` where what is on disk is not what was stored. */
export function offerOf(wanted: Wanted, present: Present, book: OfferBook): Offer | undefined {
  return wanted.kind === 'bundle' ? bundleOffer(wanted, present, book) : releaseOffer(wanted, present, book);
}

function bundleOffer({ digest }: Wanted, { publish, objects, authority }: Present, book: OfferBook): Offer | undefined {
  return book.bundle(digest, () => {
    const bundle = publish.bundle(digest);
    const delegation = bundle === undefined ? undefined : authority.delegations.get(bundle.area)?.envelope;
    const envelope = bundle === undefined ? undefined : objects.read(bundle.envelope);
    if (bundle === undefined || envelope?.ok !== true || delegation === undefined) return undefined;
    const room = OFFER_BYTES_MAX - envelope.value.byteLength - delegation.byteLength;
    return { envelope: envelope.value, delegation, deltas: deltasOf(publish.changedParts(bundle), objects, room) };
  });
}

/** The changed parts whose differences find room in an offer; what cannot be read is left to `GetPart`, which says why. */
function deltasOf(changed: ReturnType<PublishService['changedParts']>, objects: Objects, room: number): readonly Delta[] {
  const deltas: Delta[] = [];
  let left = room;
  for (const { digest, base } of changed) {
    const [part, old] = [objects.read(digest), objects.read(base)];
    if (!part.ok || !old.ok) continue;
    const frame = makeDelta(part.value, old.value);
    if (frame.byteLength + DELTA_NAMES_BYTES > left) continue;
    left -= frame.byteLength + DELTA_NAMES_BYTES;
    deltas.push({ digest, base, frame });
  }
  return deltas;
}

function releaseOffer({ digest }: Wanted, { publish, objects }: Present, book: OfferBook): Offer | undefined {
  return book.release(digest, () => {
    const release = publish.release(digest);
    const envelope = release === undefined ? undefined : objects.read(release.envelope);
    return envelope?.ok === true ? envelope.value : undefined;
  });
}

/** In what this process is behind the sidecar, if in anything. */
export function judgeBehind(hello: ReadHello, place: Place, { authority, freshness, revocation, publish }: Present): string | undefined {
  if (hello.rootNumber > authority.root.number) return `root ${hello.rootNumber}`;
  if (hello.freshnessSeq > freshness.lastSeq()) return `statement ${hello.freshnessSeq}`;
  if (hello.revocationSeq > revocation.head().seq) return `revocation ${hello.revocationSeq}`;
  const held = activeAt(hello.held, place);
  const current = publish.currentRelease(place);
  if (held === undefined || held.releaseSeq < (current?.releaseSeq ?? 0)) return undefined;
  const isSame = current !== undefined && held.releaseSeq === current.releaseSeq && held.release === current.digest;
  return isSame ? undefined : `release ${held.releaseSeq} \`${held.release}\``;
}

/** The release of this place among those that a sidecar says it enforces. */
export function activeAt(held: readonly ToldRelease[], { area, ring }: Place): ToldRelease | undefined {
  return held.find((release) => release.area === area && release.ring === ring);
}

/** The same, as the fleet keeps it. */
export function toldActive(
  held: readonly ToldRelease[],
  place: Place,
): { readonly activeReleaseSeq: number; readonly activeRelease: string } {
  const active = activeAt(held, place);
  return { activeReleaseSeq: active?.releaseSeq ?? 0, activeRelease: active?.release ?? '' };
}
