/** Whether the times of an HTTP message signature are those of one that may be used now. */

import type { SignatureParameters } from '@sallyport/identity';
import { type Denial, type HttpSignatureMethod, type Instant, deny } from '@sallyport/model';

/** Why a signature with these times may not be used now. */
export function judgeSignatureTimes(
  { createdAt, expiresAt }: SignatureParameters,
  now: Instant,
  { lifetimeMsMax, clockSkewMsMax }: Pick<HttpSignatureMethod, 'lifetimeMsMax' | 'clockSkewMsMax'>,
): Denial | undefined {
  if (expiresAt <= createdAt) return deny('unauthenticated', '`expires` is not after `created`');
  if (expiresAt - createdAt > lifetimeMsMax)
    return deny('token_lifetime_exceeded', `lives ${expiresAt - createdAt} ms of at most ${lifetimeMsMax}`);
  if (now >= expiresAt) return deny('token_expired', `expired ${now - expiresAt} ms ago`);
  if (createdAt - now > clockSkewMsMax) return deny('unauthenticated', `created ${createdAt - now} ms in the future`);
  return undefined;
}
