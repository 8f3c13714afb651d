/** An upstream's body: bounded in itself and in the account of buffered bytes, plain and unencoded. */

import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { BytesAccount, HeldBytes } from '@sallyport/runtime';
import { gathered } from '../gathered.ts';

export interface HeldAnswer {
  readonly bytes: Uint8Array;
  /** Gives the bytes back to the account, once the answer has been delivered. */
  release(): void;
}

/** Reads to the end. Rejects with an `UpstreamFault`: too large, no room, encoded although asked not to, broken off. */
export async function readAnswer(
  answer: UpstreamAnswer,
  { account, bytesMax }: { account: BytesAccount; bytesMax: number },
): Promise<HeldAnswer> {
  refuseEncoded(answer);
  const share = shareOf(account);
  const body = gathered({ bytesMax });
  try {
    for await (const chunk of answer.body) {
      charge(share, chunk.byteLength);
      if (!body.add(chunk)) throw new UpstreamFault('upstream_too_large', `more than ${bytesMax} bytes`, { wasSent: true });
    }
  } catch (thrown) {
    share.release();
    throw thrown;
  }
  return { bytes: body.bytes(), release: () => share.release() };
}

/** What cannot be read as it stands cannot be inspected: we asked for `identity`. */
export function refuseEncoded(answer: UpstreamAnswer): void {
  if (answer.contentEncoding === undefined) return;
  answer.discard();
  throw new UpstreamFault('upstream_protocol', 'the answer is encoded although it was asked not to be', { wasSent: true });
}

/** An empty share, to be charged as bytes come. */
export function shareOf(account: BytesAccount): HeldBytes {
  return account.reserve(0) ?? noRoom();
}

/** Adds to a share. Throws an `UpstreamFault` where the account has no more. */
export function charge(share: HeldBytes, bytes: number): void {
  if (!share.grow(bytes)) noRoom();
}

function noRoom(): never {
  throw new UpstreamFault('upstream_too_large', 'the account of buffered bytes is full', { wasSent: true });
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
