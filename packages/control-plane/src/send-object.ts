/** A stored object down a stream, in pieces, at the reader's pace: at most one piece is ever unsent. */

import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import type { ObjectProblem } from './objects/api.ts';

const CHUNK_BYTES = 65_536;

export interface SendOptions<T> {
  readonly out: StreamWriter<T>;
  readonly chunk: (data: Uint8Array, of: { readonly offset: number; readonly total: number }) => T;
  readonly signal: AbortSignal;
  /** Where a broken download goes on. */
  readonly offset: number;
}

/** Sends the object from `offset` on, or says why not: one that was edited on disk is never served. */
export async function sendObject<T>(
  object: Result<Uint8Array, ObjectProblem>,
  { out, chunk, signal, offset }: SendOptions<T>,
): Promise<Result<void, GrpcStatus>> {
  if (!object.ok) return fail(object.error === 'absent' ? NOT_FOUND : EDITED);
  const bytes = object.value;
  if (offset > bytes.byteLength) return fail(grpcStatus('out_of_range', `the object has ${bytes.byteLength} bytes`));
  for (let from = offset; from < bytes.byteLength && !signal.aborted && !out.isOver; from += CHUNK_BYTES) {
    if (!out.write(chunk(bytes.subarray(from, from + CHUNK_BYTES), { offset: from, total: bytes.byteLength })))
      return fail(grpcStatus('resource_exhausted', 'the stream does not take a piece'));
    await out.drained();
  }
  return ok(undefined);
}

const NOT_FOUND = grpcStatus('not_found', 'there is no such object');
const EDITED = grpcStatus('data_loss', 'the stored object does not match its digest');
