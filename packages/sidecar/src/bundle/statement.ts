/**
 * Statements as the sidecar keeps them: who has to have signed one, an online key or for an extension the release role
 * itself; and which of them a next start needs.
 */

import { fail, type Digest, type Result } from '@sallyport/model';
import {
  reject,
  verifyExtension,
  verifyFreshness,
  verifyLiveProof,
  type FreshnessMemory,
  type KeptStatement,
  type Rejection,
  type TrustedOnlineKeys,
  type TrustedRoot,
  type VerifiedStatement,
} from '@sallyport/trust';

/** The keys by which statements are judged, as far as they have come. */
export interface StatementKeys {
  readonly root: TrustedRoot;
  readonly online: TrustedOnlineKeys | undefined;
}

export function verifyStatement({ kind, offer }: KeptStatement, { root, online }: StatementKeys): Result<VerifiedStatement, Rejection> {
  if (kind === 'extension') return verifyExtension(offer.envelope, root);
  if (online === undefined) return fail(reject('ROOT', 'a statement came before the keys that could have signed it'));
  return kind === 'live_proof' ? verifyLiveProof(offer, online) : verifyFreshness(offer, online);
}

/** A kept statement, and what its age is remembered under. */
export interface HeldFile extends KeptStatement {
  readonly digest: Digest;
}

/**
 * Those that the last word or the freshness of something in force hangs on. Others are not kept: nobody remembers their age,
 * so that a start would refuse them, and an alert of a rollback would stand for a file of our own.
 */
export function stillNeeded(files: readonly HeldFile[], { last, renewals }: FreshnessMemory): readonly HeldFile[] {
  const held = [last, ...renewals.map((renewal) => renewal.held)].map((one) => one?.statement.digest);
  return files.filter(({ digest }, index) => held.includes(digest) && files.findIndex((file) => file.digest === digest) === index);
}
