/** Unpredictable bytes from the platform, as the `Random` port. */

import type { Random } from '@sallyport/model';

const BYTES_PER_REQUEST_MAX = 65_536;

/** Random bytes of the operating system (Web Cryptography, getRandomValues). */
export const systemRandom: Random = (length) => {
  const bytes = new Uint8Array(length);
  for (let from = 0; from < length; from += BYTES_PER_REQUEST_MAX) {
    globalThis.crypto.getRandomValues(bytes.subarray(from, from + BYTES_PER_REQUEST_MAX));
  }
  return bytes;
};
