/** Who has to have signed a statement: an online key, or for an extension the release role itself. */

import { fail, type Result } from '@sallyport/model';
import {
  reject,
  verifyExtension,
  verifyFreshness,
  verifyLiveProof,
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
