/**
 * Identifiers that sort by time: 48 bits of milliseconds and 80 random bits in Crockford's base 32 (ULID, 26 characters).
 * They name decisions and requests; they are no secret, and neighbours within one millisecond are guessable.
 */

import type { Clock, Random } from '@sallyport/model';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const RANDOM_BYTES = 10;

/**
 * A source of identifiers, each greater than the one before, also within one millisecond and when the wall clock steps
 * back. Callers brand what they take: `next() as DecisionId`.
 */
export function ulids(options: { readonly clock: Clock; readonly random: Random }): () => string {
  // Owner: this closure alone.
  let lastMs = -1;
  const tail = new Uint8Array(RANDOM_BYTES);
  return () => {
    const now = options.clock.wall();
    if (now > lastMs) {
      lastMs = now;
      tail.set(options.random(RANDOM_BYTES));
    } else if (!increment(tail)) {
      lastMs += 1;
      tail.set(options.random(RANDOM_BYTES));
    }
    return encode(lastMs, tail);
  };
}

/** Adds one, as a big-endian number; false when it would not fit. */
function increment(bytes: Uint8Array): boolean {
  for (let i = bytes.length - 1; i >= 0; i--) {
    const byte = bytes[i] ?? 0;
    bytes[i] = (byte + 1) & 0xff;
    if (byte !== 0xff) return true;
  }
  return false;
}

function encode(ms: number, tail: Uint8Array): string {
  let time = '';
  for (let left = ms, i = 0; i < 10; i++) {
    time = ALPHABET.charAt(left % 32) + time;
    left = Math.floor(left / 32);
  }
  let text = time;
  let bits = 0;
  let held = 0;
  for (const byte of tail) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text;
}
