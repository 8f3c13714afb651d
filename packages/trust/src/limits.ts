/**
 * A maximum for everything that comes from outside (endless-data attack). Receivers refuse beyond it with SIZE before
 * they parse or hash. docs/spec/trust-v1.md section 12.
 */

import type { SignedKind } from './kinds.ts';

const KB = 1024;
const MB = 1024 * KB;

/** Bytes of one envelope on the wire or on disk, by kind. */
export const ENVELOPE_BYTES_MAX: Readonly<Record<SignedKind, number>> = {
  Root: 64 * KB,
  AreaDelegation: 16 * KB,
  Bundle: 16 * KB,
  Release: 16 * KB,
  OnlineKeys: 64 * KB,
  Freshness: 4 * KB,
  LiveProof: 4 * KB,
  Extension: 16 * KB,
  Revocation: 4 * KB,
  RevocationSnapshot: 16 * MB,
  Directory: 4 * KB,
};

/** Signatures on one envelope. */
export const SIGNATURES_MAX = 16;
/** Key records of one object. */
export const KEYS_MAX = 256;
/** Key ids of one role. */
export const ROLE_KEYS_MAX = 16;
/** Root links walked in one go. */
export const ROOT_LINKS_MAX = 256;
export const CERTIFICATE_AUTHORITIES_MAX = 16;
export const CERTIFICATE_BYTES_MAX: number = 4 * KB;

/** Bytes of one bundle part, and of all parts of a bundle together. */
export const PART_BYTES_MAX: number = 4 * MB;
export const BUNDLE_BYTES_MAX: number = 16 * MB;
export const FEATURES_MAX = 64;

/** A directory's content: bytes, principals, attributes of one of them, and members of a list. One for a trust domain, read whole. */
export const DIRECTORY_BYTES_MAX: number = 2 * MB;
export const DIRECTORY_ENTRIES_MAX = 10_000;
export const DIRECTORY_ATTRIBUTES_MAX = 64;
export const DIRECTORY_LIST_MAX = 256;
/** Characters of a name or a text in it. */
export const DIRECTORY_TEXT_CHARS_MAX = 256;

/** Bundles that one release joins, and bytes of all their parts together: a joined set costs what one bundle may cost. */
export const RELEASE_BUNDLES_MAX = 8;
export const RELEASE_BYTES_MAX: number = 16 * MB;
export const FALLBACKS_MAX = 3;
/** Characters of a reason that a person wrote. */
export const REASON_LENGTH_MAX = 500;

/** Entries that travel beside one statement for one receiver, and hashes of one inclusion proof. */
export const FRESHNESS_ENTRIES_MAX = 8;
export const PROOF_HASHES_MAX = 48;

/** Bounds of every freshness ttl; a development root may go lower, so that a person can watch it expire. */
export const FRESHNESS_TTL_MS_MIN: Readonly<Record<'development' | 'production', number>> = { development: 2_000, production: 15_000 };
export const FRESHNESS_TTL_MS_MAX = 86_400_000;

/** Revocations in force at once. A log that is full is not fresh, so traffic stops instead of a revocation being dropped. */
export const REVOCATIONS_MAX = 50_000;
/** Digests of past entries that are remembered, to tell a statement that lags from a forked log. */
export const REVOCATION_HEADS_MAX = 256;
/** Characters of a selector's value. */
export const SELECTOR_LENGTH_MAX = 512;

/** How far signers' clocks may differ from each other, in either direction. */
export const SIGNER_SKEW_MS = 30_000;
/** How far a healthy machine's boot clock may drift from the signers', as a share of elapsed time. */
export const BOOT_DRIFT_MAX = 0.001;
/** How often the shell writes charged ages; a restart adds one, for what may be missing. */
export const CHARGE_INTERVAL_MS = 1_000;

/** Statements whose charged age is remembered across a restart. */
export const CHARGED_ROWS_MAX = 16;

/** Rows of each list in the high-water file, and its bytes. */
export const HIGH_WATER_ROWS_MAX = 1_024;
export const HIGH_WATER_BYTES_MAX: number = MB;
