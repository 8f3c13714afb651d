/** What sources hand to the activator, and what it answers. */

import type { Digest, PartName } from '@sallyport/model';
import type { StatementOffer } from '@sallyport/trust';
import type { DirectoryCandidate } from './directory-intake.ts';

/** Bytes from somewhere: the stream, the disk, an attacker. */
export type Candidate =
  | BundleCandidate
  | DirectoryCandidate
  | { readonly kind: 'root'; readonly envelope: Uint8Array }
  | { readonly kind: 'online_keys'; readonly envelope: Uint8Array }
  | { readonly kind: 'release'; readonly envelope: Uint8Array }
  | { readonly kind: 'freshness' | 'live_proof' | 'extension'; readonly offer: StatementOffer }
  | { readonly kind: 'revocation' | 'revocation_snapshot'; readonly envelope: Uint8Array };

export interface BundleCandidate {
  readonly kind: 'bundle';
  readonly envelope: Uint8Array;
  readonly delegation: Uint8Array;
  readonly fetch: FetchParts;
}

/** What is judged in one go. */
export type WholeCandidate = Exclude<Candidate, BundleCandidate | DirectoryCandidate>;

/** Brings parts by digest; may fail, and may bring anything. `held` gives parts of the bundles that are staged. */
export type FetchParts = (
  missing: readonly { readonly name: PartName; readonly digest: Digest; readonly bytes: number }[],
  held: (digest: Digest) => Uint8Array | undefined,
) => Promise<Partial<Record<PartName, Uint8Array>>>;

/** `held_back`: a revocation with a gap before it; nothing is fresh until the gap is closed. */
export type Verdict = 'staged' | 'active' | 'taken' | 'already' | 'held_back';
