/** Where a sidecar stands, as its Hellos and beats say it: the last signed statements held, and the release in force. */

import type { Area, Digest, Ring } from '@sallyport/model';
import type { TrustedBundle } from './trusted-bundle.ts';

/** What a Hello says. */
export interface Position {
  readonly rootNumber: number;
  readonly freshnessSeq: number;
  readonly revocationSeq: number;
  /** 0 before the first. */
  readonly directorySeq: number;
  readonly active: (ReleasedPlace & { readonly activeSinceMs: number }) | undefined;
}

export interface ReleasedPlace {
  readonly area: Area;
  readonly ring: Ring;
  readonly releaseSeq: number;
  readonly release: Digest;
}

export function placeOf({ release }: TrustedBundle): ReleasedPlace {
  return { area: release.area, ring: release.ring, releaseSeq: release.releaseSeq, release: release.digest };
}
