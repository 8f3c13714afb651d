/** An upstream's body, whole: bounded in itself and in the account of buffered bytes, plain and unencoded. */

import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { BytesAccount, HeldBytes } from '@sallyport/runtime';

export interface HeldAnswer {
  readonly bytes: Uint8Array;
  /** Gives the bytes back to the account, once the answer has been delivered. */
  release(): void;
}

/** Reads to the end. Rejects with an `UpstreamFault`: too large, no room, encoded although asked not to, broken off. */
export async function readAnswer(answer: UpstreamAnswer, account: BytesAccount): Promise<HeldAnswer> {
  refuseEncoded(answer);
  const share = account.reserve(0);
  if (share === undefined) throw noRoom();
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of answer.body) {
      hold(share, chunk.byteLength);
      chunks.push(chunk);
    }
  } catch (thrown) {
    share.release();
    throw thrown;
  }
  return { bytes: chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks), release: () => share.release() };
}

/** What cannot be read as it stands cannot be inspected: we asked for `identity`. */
export function refuseEncoded(answer: UpstreamAnswer): void {
  if (answer.contentEncoding === undefined || answer.contentEncoding === 'identity') return;
  answer.discard();
  throw new UpstreamFault('upstream_protocol', `the answer is encoded as ${answer.contentEncoding}`, { wasSent: true });
}

function hold(share: HeldBytes, bytes: number): void {
  if (!share.grow(bytes)) throw noRoom();
}

function noRoom(): UpstreamFault {
  return new UpstreamFault('upstream_too_large', 'the account of buffered bytes is full', { wasSent: true });
}

/** The first value of a header in a raw list, whatever its spelling; `undefined` where there is none or more than one. */
export function singleHeader(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== name) continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[i + 1];
  }
  return found;
}
