/**
 * A request's body as the content gate sees it: unread until asked for, bounded in the account of buffered bytes and in
 * itself, decoded under the same bound, read once and kept for a call that is judged anew.
 */

import { deny, fail, ok, Fault, type Denial, type Result } from '@sallyport/model';
import type { BytesAccount, HeldBytes } from '@sallyport/runtime';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { gathered } from '../gathered.ts';
import type { Body } from '../pipeline/facts.ts';

export interface OwnedBody extends Body {
  /** Gives the buffered bytes back to the account; for the end of the exchange. */
  release(): void;
}

export interface BodySource {
  /** Content-Length as sent, if it is a number; a claim, used only to refuse early. */
  readonly contentLength: number | undefined;
  /** To be called at most once. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** The body of one exchange; nothing is read before `read`. */
export function requestBody(source: BodySource, account: BytesAccount): OwnedBody {
  // Owner: this body. One reading for all who ask, and one decoding: what is signed is signed as it was sent.
  let reading: Promise<Result<Uint8Array, Denial>> | undefined;
  let decoding: Promise<Result<Uint8Array, Denial>> | undefined;
  const held: HeldBytes[] = [];
  return {
    read: ({ bytesMax, coding }) => {
      reading ??= readRaw(source, { account, bytesMax, held });
      if (coding === 'identity') return reading;
      return (decoding ??= reading.then((raw) => (raw.ok ? decode(raw.value, { account, bytesMax, held }) : raw)));
    },
    release: () => held.splice(0).forEach((share) => share.release()),
  };
}

interface Bounds {
  readonly account: BytesAccount;
  readonly bytesMax: number;
  readonly held: HeldBytes[];
}

const TOO_LARGE = (bytesMax: number): Result<never, Denial> => fail(deny('payload_too_large', `the body is larger than ${bytesMax} bytes`));
const NO_ROOM: Result<never, Denial> = fail(deny('overloaded', 'the account of buffered bytes is full', { retryAfterMs: 1_000 }));

async function readRaw(source: BodySource, { account, bytesMax, held }: Bounds): Promise<Result<Uint8Array, Denial>> {
  if ((source.contentLength ?? 0) > bytesMax) return TOO_LARGE(bytesMax);
  // Without a length the most that could come is reserved before the first byte is read.
  const share = account.reserve(source.contentLength ?? bytesMax);
  if (share === undefined) return NO_ROOM;
  held.push(share);
  const body = gathered({ bytesMax: share.bytes, expected: source.contentLength });
  try {
    for await (const chunk of source.bytes()) if (!body.add(chunk)) return TOO_LARGE(share.bytes);
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return fail(deny('malformed_request', `the body broke off: ${thrown.message}`));
  }
  share.shrinkTo(body.length);
  return ok(body.bytes());
}

const inflate = promisify(gunzip) as (input: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

/** Decompression bombs: inflating stops at the same bound that an uncompressed body has. */
async function decode(raw: Uint8Array, { account, bytesMax, held }: Bounds): Promise<Result<Uint8Array, Denial>> {
  const share = account.reserve(bytesMax);
  if (share === undefined) return NO_ROOM;
  held.push(share);
  try {
    const plain = await inflate(raw, { maxOutputLength: bytesMax });
    share.shrinkTo(plain.byteLength);
    return ok(plain);
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') return TOO_LARGE(bytesMax);
    return fail(deny('malformed_request', `the body is not gzip: ${String(code)}`));
  }
}
