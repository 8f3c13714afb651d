/**
 * Brings a bundle's missing parts by digest. What has come of a part outlives the connection: over a bad line a download
 * goes on where it was cut. It believes nothing that it is told: reading stops at the signed length, and a part that is
 * not the one named is dropped. Whether to use what it brings is acceptance's to say.
 */

import { create, GetPartRequestSchema, type PolicyPlane } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { Fault, type Clock, type Digest, type PartName } from '@sallyport/model';
import { grpcFault, type Client, type GrpcStatus } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import { BUNDLE_BYTES_MAX, PART_BYTES_MAX } from '@sallyport/trust';

/** A part that acceptance asks for; the length is the signed one. */
export interface MissingPart {
  readonly name: PartName;
  readonly digest: Digest;
  readonly bytes: number;
}

export interface PartFetcher {
  /** What could be had of the missing parts. Rejects with a Fault where the line was cut, or brought nothing for too long: the same again goes on. */
  fetch(
    missing: readonly MissingPart[],
    line: { readonly client: Client<typeof PolicyPlane>; readonly signal: AbortSignal },
  ): Promise<Partial<Record<PartName, Uint8Array>>>;
}

export interface ContentFetcher {
  /** As `PartFetcher`, of one blob whose signed length is within what may be read; `undefined` where it cannot be had. */
  fetch(
    content: Pick<MissingPart, 'digest' | 'bytes'>,
    line: { readonly client: Client<typeof PolicyPlane>; readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined>;
}

/** One buffer of the signed length: crumbs of a byte each would cost a hundred times as much. */
interface Begun {
  readonly bytes: Uint8Array;
  length: number;
}

/** Slow drip: all parts of a bundle have this long over one connection. Less than the control plane waits for a verdict. */
const FETCH_MS_MAX = 90_000;
/** What says that the part cannot be had here at all; every other end of a download may pass. */
const REFUSED: ReadonlySet<GrpcStatus['code']> = new Set([
  'not_found',
  'permission_denied',
  'data_loss',
  'invalid_argument',
  'out_of_range',
]);

export function partFetcher({ clock }: { readonly clock: Clock }): PartFetcher {
  // Owner: this fetcher, one bundle at a time. What has come, by digest; at most what one bundle may have.
  const begun = new Map<Digest, Begun>();
  return {
    async fetch(missing, { client, signal }) {
      for (const digest of begun.keys()) if (!missing.some((part) => part.digest === digest)) begun.delete(digest);
      const over = deadline(clock, FETCH_MS_MAX, { signal, fault: () => tooSlow() });
      try {
        const parts: Partial<Record<PartName, Uint8Array>> = {};
        let room = BUNDLE_BYTES_MAX;
        for (const part of missing) {
          if (part.bytes > PART_BYTES_MAX || part.bytes > room) return parts;
          room -= part.bytes;
          const brought = await fetchPart(part, { client, signal: over.signal, begun });
          if (brought !== undefined) parts[part.name] = brought;
        }
        return parts;
      } finally {
        over.clear();
      }
    },
  };
}

export function contentFetcher({ clock }: { readonly clock: Clock }): ContentFetcher {
  // Owner: this fetcher, one content at a time.
  const begun = new Map<Digest, Begun>();
  return {
    async fetch(content, { client, signal }) {
      for (const digest of begun.keys()) if (digest !== content.digest) begun.delete(digest);
      const over = deadline(clock, FETCH_MS_MAX, { signal, fault: () => tooSlow() });
      try {
        const brought = await fetchPart(content, { client, signal: over.signal, begun });
        begun.delete(content.digest);
        return brought;
      } finally {
        over.clear();
      }
    },
  };
}

/** `undefined` where it is refused, or is not what was signed. */
async function fetchPart(
  { digest, bytes }: Pick<MissingPart, 'digest' | 'bytes'>,
  { client, signal, begun }: { client: Client<typeof PolicyPlane>; signal: AbortSignal; begun: Map<Digest, Begun> },
): Promise<Uint8Array | undefined> {
  const known = begun.get(digest);
  const held = known?.bytes.length === bytes ? known : { bytes: new Uint8Array(bytes), length: 0 };
  begun.set(digest, held);
  const status = held.length < bytes ? await download(held, { digest, client, signal }) : DONE;
  if (status === 'not_as_signed' || REFUSED.has(status.code)) {
    begun.delete(digest);
    return undefined;
  }
  if (held.length < bytes && status.code !== 'ok')
    throw signal.reason instanceof Fault ? signal.reason : grpcFault('fetching a part', status);
  const part = held.bytes.subarray(0, held.length);
  if (digestOf(part) === digest) return part;
  // Edited on the way, now or before the line was cut: the next try begins anew.
  begun.delete(digest);
  return undefined;
}

const DONE: GrpcStatus = { code: 'ok', message: '' };

async function download(
  held: Begun,
  { digest, client, signal }: { digest: Digest; client: Client<typeof PolicyPlane>; signal: AbortSignal },
): Promise<GrpcStatus | 'not_as_signed'> {
  const call = new AbortController();
  const stop = (): void => call.abort();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    const request = create(GetPartRequestSchema, { digest, offset: BigInt(held.length) });
    const incoming = client.getPart(request, { signal: call.signal });
    for await (const { offset, data } of incoming) {
      // Endless data: reading stops at the signed length, whatever the sender goes on to say.
      if (Number(offset) !== held.length || data.byteLength > held.bytes.length - held.length) return 'not_as_signed';
      held.bytes.set(data, held.length);
      held.length += data.byteLength;
    }
    return await incoming.status;
  } finally {
    signal.removeEventListener('abort', stop);
    call.abort();
  }
}

function tooSlow(): Fault {
  return new Fault('control_plane_unreachable', 'control_plane', `the parts of a bundle did not come in ${FETCH_MS_MAX} ms`);
}
