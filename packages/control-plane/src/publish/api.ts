/** Accepted policy as other services see it: what is current where, what is offered, and who may fetch what. */

import type { Publish } from '@sallyport/contract';
import { PART_NAMES } from '@sallyport/model';
import type { Digest } from '@sallyport/model';
import type { Database, Transaction } from '@sallyport/store';
import { areasCovering, covers } from '@sallyport/trust';
import type { FreshnessLeaf } from '@sallyport/trust';
import type { Fleet } from '../fleet/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { Bundles } from './bundles.ts';
import type { BundleOptions } from './bundles.ts';
import { publishHandlers } from './handlers.ts';
import { Releases } from './releases.ts';
import { signedObjects } from './signed-objects.ts';
import { PUBLISH_MIGRATIONS, publishTables } from './store.ts';
import type { Place, PublishTables, StoredBundle, StoredRelease } from './store.ts';

export type { Place, StoredBundle, StoredRelease } from './store.ts';

export interface PublishService {
  readonly handlers: ProvenHandlers<typeof Publish>;
  /** One leaf for the current release of every area and ring, read in the caller's transaction. */
  leaves(tx: Transaction): Promise<readonly FreshnessLeaf[]>;
  currentRelease(tx: Transaction, place: Place): Promise<StoredRelease | undefined>;
  bundle(tx: Transaction, digest: Digest): Promise<StoredBundle | undefined>;
  release(tx: Transaction, digest: Digest): Promise<StoredRelease | undefined>;
  newestBundle(tx: Transaction, area: Place['area']): Promise<StoredBundle | undefined>;
  /** The signed bytes of a bundle; `undefined` where they are not what its row says, which is alerted. */
  bundleEnvelope(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  releaseEnvelope(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  /** Parts of a bundle that its predecessor of the same area has otherwise, and what they were there. */
  changedParts(tx: Transaction, bundle: StoredBundle): Promise<readonly ChangedPart[]>;
  /** Length of a part, if a bundle that is meant for this place holds it; `forbidden` for any other part that is known. */
  partFor(part: Digest, place: Place): Promise<'unknown' | 'forbidden' | { readonly bytes: number }>;
  /** Whether the newest bundle of the area, or of one that covers it, registers the agent. */
  registration(area: Place['area'], agent: string): Promise<'registered' | 'not_registered' | 'no_bundle'>;
}

export interface ChangedPart {
  readonly digest: Digest;
  readonly base: Digest;
}

export interface PublishOptions extends Omit<BundleOptions, 'tables'> {
  readonly database: Database;
  readonly fleet: Fleet;
  readonly revocation: RevocationService;
  readonly stagingWaitMsMax: number;
}

export async function openPublish(options: PublishOptions): Promise<PublishService> {
  const { database, objects, revocation, authority, clock, fleet } = options;
  const tables = publishTables(await database.service('publish', PUBLISH_MIGRATIONS));
  const signed = signedObjects({ ...options, tables });
  const bundles = new Bundles({ ...options, tables });
  const releases = new Releases({ ...options, tables, bundles });
  return {
    handlers: publishHandlers({ database, tables, objects, bundles, releases, revocation, authority, clock }),
    leaves: async (tx) => signed.heads(tx),
    currentRelease: async (tx, place) => tables.currentRelease(tx, place),
    bundle: async (tx, digest) => tables.bundle(tx, digest),
    release: async (tx, digest) => tables.release(tx, digest),
    newestBundle: async (tx, area) => tables.newestBundle(tx, area),
    bundleEnvelope: async (tx, digest) => signed.bundle(tx, digest),
    releaseEnvelope: async (tx, digest) => signed.release(tx, digest),
    changedParts: async (tx, bundle) => changedParts(tx, { tables, bundle }),
    partFor: async (part, place) => database.read(async (tx) => partFor(tx, { tables, fleet, part, place })),
    registration: async (area, agent) =>
      database.read(async (tx) => {
        let isAny = false;
        for (const one of areasCovering(area)) {
          const newest = await tables.newestBundle(tx, one);
          if (newest === undefined) continue;
          if (await tables.hasAgent(tx, newest.digest, agent)) return 'registered';
          isAny = true;
        }
        return isAny ? 'not_registered' : 'no_bundle';
      }),
  };
}

async function changedParts(
  tx: Transaction,
  { tables, bundle: { digest, area, previous } }: { readonly tables: PublishTables; readonly bundle: StoredBundle },
): Promise<readonly ChangedPart[]> {
  const before = previous === null ? undefined : await tables.bundle(tx, previous);
  // Whom another area's bundle was meant for is not known here.
  if (before?.area !== area) return [];
  const [now, then] = [await tables.parts(tx, digest), await tables.parts(tx, before.digest)];
  return PART_NAMES.flatMap((name) => {
    const [part, base] = [now[name], then[name]];
    return part === undefined || base === undefined || part === base ? [] : [{ digest: part, base }];
  });
}

async function partFor(
  tx: Transaction,
  of: { readonly tables: PublishTables; readonly fleet: Fleet; readonly part: Digest; readonly place: Place },
): ReturnType<PublishService['partFor']> {
  const { tables, fleet, part, place } = of;
  const holders = await tables.bundlesWithPart(tx, part);
  if (holders.length === 0) return 'unknown';
  const bytes = await tables.partBytes(tx, part);
  for (const { bundle, area } of holders) {
    // Meant for a place: a bundle of its own area, or one of a broader area that a release of this place joins, or is to.
    const joins = async (): Promise<boolean> => fleet.wished(place).includes(bundle) || tables.isNamed(tx, bundle, place);
    const isMeant = area === place.area || (covers(area, place.area) && (await joins()));
    if (isMeant && bytes !== undefined) return { bytes };
  }
  return 'forbidden';
}
