/** Where a sidecar stands against what is current: what it should hold, and whether it is ahead of this process. */

import type { Digest } from '@sallyport/model';
import { makeDelta } from '@sallyport/net';
import type { Database, Transaction } from '@sallyport/store';
import type { Authority } from '../authority.ts';
import type { Change } from '../changes.ts';
import type { DirectoryService } from '../directory/api.ts';
import type { Fleet } from '../fleet/api.ts';
import type { FreshnessService } from '../freshness/api.ts';
import type { Objects } from '../objects/api.ts';
import type { ChangedPart, Place, PublishService } from '../publish/api.ts';
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
  readonly database: Database;
  readonly authority: Authority;
  readonly objects: Objects;
  readonly publish: PublishService;
  readonly revocation: RevocationService;
  readonly freshness: FreshnessService;
  readonly fleet: Fleet;
  readonly directory: Pick<DirectoryService, 'head' | 'headIn' | 'hasContent' | 'refresh'>;
}

/** A name for maps. */
export const placeName = ({ area, ring }: Place): string => `${area} ${ring}`;

/** Whether a change can mean something new for the sidecars of a place. */
export function isConcerned(change: Exclude<Change, { kind: 'revocation' | 'authority' | 'directory' }>, place: Place): boolean {
  if (change.kind === 'elsewhere') return true;
  // A bundle of a broader area concerns the places below it once a release joins it: then the release says so.
  return change.area === place.area && (change.kind === 'bundle' || change.ring === place.ring);
}

/** What the sidecars of one place should hold, and the offers of it: read once, however many they are. */
export interface PlaceView {
  /** Most wanted first. */
  readonly wanted: readonly Wanted[];
  /** Without those of objects that were edited behind our back. */
  readonly offers: ReadonlyMap<Digest, Offer>;
}

/** Reads what is current for a place. */
export async function viewOf(
  tx: Transaction,
  place: Place,
  of: { readonly present: Present; readonly book: OfferBook },
): Promise<PlaceView> {
  const { present, book } = of;
  const wanted = await wantedAt(tx, place, present);
  const offers = new Map<Digest, Offer>();
  for (const one of wanted) {
    const offer = book.known(one.digest) ?? (await makeOffer(tx, one, of));
    if (offer !== undefined) offers.set(one.digest, offer);
  }
  return { wanted, offers };
}

async function wantedAt(tx: Transaction, place: Place, { publish, fleet }: Present): Promise<readonly Wanted[]> {
  const release = await publish.currentRelease(tx, place);
  const newest = await publish.newestBundle(tx, place.area);
  const bundles = release?.bundles.map(({ digest }) => digest) ?? [];
  const staged = [...fleet.wished(place), ...(newest === undefined ? [] : [newest.digest]), ...(release?.fallbacks ?? [])];
  const held: Wanted[] = [];
  for (const digest of staged) if ((await publish.bundle(tx, digest)) !== undefined) held.push({ kind: 'bundle', digest });
  return [
    ...bundles.map((digest): Wanted => ({ kind: 'bundle', digest })),
    ...(release === undefined ? [] : [{ kind: 'release', digest: release.digest, bundles } as const]),
    ...held,
  ];
}

async function makeOffer(
  tx: Transaction,
  { kind, digest }: Wanted,
  { present: { publish, objects, authority }, book }: { readonly present: Present; readonly book: OfferBook },
): Promise<Offer | undefined> {
  if (kind === 'release') {
    const envelope = await publish.releaseEnvelope(tx, digest);
    return envelope === undefined ? undefined : book.release(digest, envelope);
  }
  const bundle = await publish.bundle(tx, digest);
  const delegation = bundle === undefined ? undefined : authority.delegations.get(bundle.area)?.envelope;
  const envelope = await publish.bundleEnvelope(tx, digest);
  if (bundle === undefined || envelope === undefined || delegation === undefined) return undefined;
  const room = OFFER_BYTES_MAX - envelope.byteLength - delegation.byteLength;
  const deltas = await deltasOf(tx, { changed: await publish.changedParts(tx, bundle), objects, room });
  return book.bundle(digest, { envelope, delegation, deltas });
}

/** The changed parts whose differences find room in an offer; what cannot be read is left to `GetPart`, which says why. */
async function deltasOf(
  tx: Transaction,
  of: { readonly changed: readonly ChangedPart[]; readonly objects: Objects; readonly room: number },
): Promise<readonly Delta[]> {
  const deltas: Delta[] = [];
  let left = of.room;
  for (const { digest, base } of of.changed) {
    const [part, old] = [await of.objects.readIn(tx, digest), await of.objects.readIn(tx, base)];
    if (!part.ok || !old.ok) continue;
    const frame = makeDelta(part.value, old.value);
    if (frame.byteLength + DELTA_NAMES_BYTES > left) continue;
    left -= frame.byteLength + DELTA_NAMES_BYTES;
    deltas.push({ digest, base, frame });
  }
  return deltas;
}

/** In what this process is behind the sidecar, if in anything. */
export async function judgeBehind(
  tx: Transaction,
  of: { readonly hello: ReadHello; readonly place: Place; readonly present: Present },
): Promise<string | undefined> {
  const { hello, place, present } = of;
  const { authority, freshness, revocation, publish, directory } = present;
  if (hello.rootNumber > authority.root.number) return `root ${hello.rootNumber}`;
  if (hello.freshnessSeq > (await freshness.lastSeq(tx))) return `statement ${hello.freshnessSeq}`;
  if (hello.revocationSeq > (await revocation.head(tx)).seq) return `revocation ${hello.revocationSeq}`;
  // Without a directory key nothing is said here, and nothing could be behind.
  const said = await directory.headIn(tx);
  if (said !== undefined && hello.directorySeq > said.seq) return `directory ${hello.directorySeq}`;
  const held = activeAt(hello.held, place);
  const current = await publish.currentRelease(tx, place);
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
