/** Accepted policy as other services see it: what is current where, what is offered, and who may fetch what. */

import type { Publish } from '@sallyport/contract';
import { PART_NAMES } from '@sallyport/model';
import type { Digest } from '@sallyport/model';
import type { Database } from '@sallyport/store';
import { areasCovering, covers } from '@sallyport/trust';
import type { FreshnessLeaf } from '@sallyport/trust';
import type { Fleet } from '../fleet/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { Bundles } from './bundles.ts';
import type { BundleOptions } from './bundles.ts';
import { publishHandlers } from './handlers.ts';
import { Releases } from './releases.ts';
import { PUBLISH_MIGRATIONS, publishTables } from './store.ts';
import type { Place, StoredBundle, StoredRelease } from './store.ts';

export type { Place, StoredBundle, StoredRelease } from './store.ts';

export interface PublishService {
  readonly handlers: ProvenHandlers<typeof Publish>;
  /** One leaf for the current release of every area and ring, read in the caller's transaction. */
  leaves(): readonly FreshnessLeaf[];
  currentRelease(place: Place): StoredRelease | undefined;
  bundle(digest: Digest): StoredBundle | undefined;
  release(digest: Digest): StoredRelease | undefined;
  newestBundle(area: Place['area']): StoredBundle | undefined;
  /** Parts of a bundle that its predecessor of the same area has otherwise, and what they were there. */
  changedParts(bundle: StoredBundle): readonly { readonly digest: Digest; readonly base: Digest }[];
  /** Length of a part, if a bundle that is meant for this place holds it; `forbidden` for any other part that is known. */
  partFor(part: Digest, place: Place): 'unknown' | 'forbidden' | { readonly bytes: number };
  /** Whether the newest bundle of the area, or of one that covers it, registers the agent. */
  registration(area: Place['area'], agent: string): 'registered' | 'not_registered' | 'no_bundle';
}

export interface PublishOptions extends Omit<BundleOptions, 'tables'> {
  readonly database: Database;
  readonly fleet: Fleet;
  readonly revocation: RevocationService;
  readonly stagingWaitMsMax: number;
}

export function openPublish(options: PublishOptions): PublishService {
  const { database, objects, revocation, authority, clock, fleet } = options;
  const tables = publishTables(database.service('publish', PUBLISH_MIGRATIONS));
  const bundles = new Bundles({ ...options, tables });
  const releases = new Releases({ ...options, tables, bundles });
  return {
    handlers: publishHandlers({ tables, objects, bundles, releases, revocation, rootNumber: authority.root.number, clock }),
    leaves: () => tables.heads().map(({ area, ring, digest, releaseSeq }) => ({ area, ring, release: digest, releaseSeq })),
    currentRelease: (place) => tables.currentRelease(place),
    bundle: (digest) => tables.bundle(digest),
    release: (digest) => tables.release(digest),
    newestBundle: (area) => tables.newestBundle(area),
    changedParts({ digest, area, previous }) {
      const before = previous === null ? undefined : tables.bundle(previous);
      // Whom another area's bundle was meant for is not known here.
      if (before?.area !== area) return [];
      const [now, then] = [tables.parts(digest), tables.parts(before.digest)];
      return PART_NAMES.flatMap((name) => {
        const [part, base] = [now[name], then[name]];
        return part === undefined || base === undefined || part === base ? [] : [{ digest: part, base }];
      });
    },
    partFor(part, place) {
      const holders = tables.bundlesWithPart(part);
      if (holders.length === 0) return 'unknown';
      // Meant for a place: a bundle of its own area, or one of a broader area that a release of this place joins, or is to.
      const joins = (bundle: Digest): boolean => tables.isNamed(bundle, place) || fleet.wished(place).includes(bundle);
      const isMeant = holders.some(({ bundle, area }) => area === place.area || (covers(area, place.area) && joins(bundle)));
      const bytes = tables.partBytes(part);
      return isMeant && bytes !== undefined ? { bytes } : 'forbidden';
    },
    registration(area, agent) {
      const newest = areasCovering(area).flatMap((one) => tables.newestBundle(one) ?? []);
      if (newest.length === 0) return 'no_bundle';
      return newest.some(({ digest }) => tables.hasAgent(digest, agent)) ? 'registered' : 'not_registered';
    },
  };
}
