/**
 * Changed parts out of what came with the offer and what is held: a small change needs no fetching. It believes nothing:
 * what comes out is the part that was signed, by digest and length, or is left to be fetched whole.
 */

import type { PartDelta } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import type { Digest, PartName } from '@sallyport/model';
import { applyDelta } from '@sallyport/net';
import { PART_BYTES_MAX } from '@sallyport/trust';
import type { MissingPart } from './part-fetcher.ts';

export function fromDeltas(
  deltas: readonly Pick<PartDelta, 'digest' | 'base' | 'frame'>[],
  { missing, held }: { readonly missing: readonly MissingPart[]; readonly held: (digest: Digest) => Uint8Array | undefined },
): Partial<Record<PartName, Uint8Array>> {
  const parts: Partial<Record<PartName, Uint8Array>> = {};
  for (const { name, digest, bytes } of missing) {
    const delta = deltas.find((one) => one.digest === digest);
    const base = delta === undefined ? undefined : held(delta.base as Digest);
    if (delta === undefined || base === undefined || bytes > PART_BYTES_MAX) continue;
    const part = applyDelta(delta.frame, base, bytes);
    if (part !== undefined && digestOf(part) === digest) parts[name] = part;
  }
  return parts;
}
