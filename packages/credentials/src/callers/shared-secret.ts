/** Shared secrets as they come from the port: there, and long enough to be one. */

import type { Denial, Result } from '@sallyport/model';
import { ok } from '@sallyport/model';
import type { Refuse } from './refusal.ts';

/** A shorter key can be searched, and an empty one is anybody's. */
const SECRET_BYTES_MIN = 16;

/** The secret, or `identity_unavailable`: no credential can be judged without it. */
export function judgeSecret(secret: Uint8Array | undefined, refuse: Refuse): Result<Uint8Array, Denial> {
  if (secret === undefined) return refuse('identity_unavailable', 'the secret cannot be resolved');
  return secret.byteLength < SECRET_BYTES_MIN
    ? refuse('identity_unavailable', `the secret has fewer than ${SECRET_BYTES_MIN} bytes`)
    : ok(secret);
}
