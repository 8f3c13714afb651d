/** What every place of secrets is to the rest of the room: asked once for a value, bounded in bytes and time. */

import type { Instant } from '@sallyport/model';

/** A value and when its source says that it was made. It leaves the room as a header of a call, and in no other way. */
export interface Secret {
  readonly value: string;
  readonly madeAt: Instant | undefined;
  /** Of a value that ends by itself: how long it may be used, and when it is half over, it is fetched anew. */
  readonly lifetimeMs?: number;
}

/** Why there is none; a closed list, for logs and metrics. It never says where, nor anything of what was read. */
export type SecretFailure =
  | 'not_configured'
  | 'missing'
  | 'unreadable'
  | 'exposed'
  | 'too_large'
  | 'empty'
  | 'malformed'
  | 'unreachable'
  | 'untrusted'
  | 'refused'
  | 'outdated';

export type Sourced = Secret | { readonly failure: SecretFailure };

/** Reads anew at each call. Ends when the signal aborts; never rejects. */
export type ReadSecret = (signal: AbortSignal) => Promise<Sourced>;

/** Of one value, with what may stand around it in a file. */
export const SECRET_BYTES_MAX = 8_192;
/** Visible ASCII (RFC 9110, section 5.5, without what servers read differently): it becomes the value of a header. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** Bytes as a value: one newline at the end is an editor's, and everything else must be fit for a header. */
export function secretOf(bytes: Uint8Array, madeAt: Instant | undefined): Sourced {
  if (bytes.byteLength > SECRET_BYTES_MAX) return { failure: 'too_large' };
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  if (text === '') return { failure: 'empty' };
  return VALUE.test(text) ? { value: text, madeAt } : { failure: 'malformed' };
}
