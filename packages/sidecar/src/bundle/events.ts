/** What the bundle side tells the rest of the sidecar, for records, alerts and counters. */

import type { Rejection } from '@sallyport/trust';
import type { Candidate } from './candidate.ts';
import type { TrustedBundle } from './trusted-bundle.ts';

export interface BundleEvents {
  activated(
    bundle: TrustedBundle,
    previous: TrustedBundle | undefined,
    under: { freshnessSeq: number | null; revocationSeq: number },
  ): void;
  /** A candidate was refused; what is in force stays. */
  rejected(kind: Candidate['kind'], rejection: Rejection): void;
}
