/** What a directory says of principals, as whoever decides sees it. Who may say it, and how it is proven, is in `trust`. */

import type { AttributeValue } from './attribute.ts';
import type { Principal } from './principal.ts';

/** One principal: two issuers, or two tenants, may each have an `alice`. */
export interface DirectoryEntry {
  readonly issuer: string;
  readonly principal: string;
  readonly tenant: string;
  /** By name, as they were written; whether a policy has any use for one is not asked here. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** The directory that is held, at one moment. */
export interface DirectoryReading {
  /** How long ago it was said; infinite where nothing is held. */
  readonly ageMs: number;
  /** What it says of a principal; `undefined` where it does not name this one, or names another tenant's. */
  find(principal: Pick<Principal, 'id' | 'tenant' | 'issuer'>): DirectoryEntry | undefined;
}
