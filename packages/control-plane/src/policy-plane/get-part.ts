/** PolicyPlane.GetPart: a part of a bundle that is meant for the caller, and of no other. */

import { PartChunkSchema, create } from '@sallyport/contract';
import type { GetPartRequest, PartChunk } from '@sallyport/contract';
import { fail } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import type { DirectoryService } from '../directory/api.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { Objects } from '../objects/api.ts';
import type { PublishService } from '../publish/api.ts';
import type { ProvenCall } from '../rpc.ts';
import { sendObject } from '../send-object.ts';
import { digestOfText, safeNumber } from '../wire.ts';

export interface GetPartOptions {
  readonly objects: Objects;
  readonly publish: Pick<PublishService, 'partFor'>;
  readonly enrolment: Pick<EnrolmentService, 'admit'>;
  readonly directory: Pick<DirectoryService, 'hasContent'>;
  readonly partStreamsMax: number;
}

type GetPart = (request: GetPartRequest, out: StreamWriter<PartChunk>, call: ProvenCall) => Promise<Result<void, GrpcStatus>>;

export function getPartHandler({ objects, publish, enrolment, directory, partStreamsMax }: GetPartOptions): GetPart {
  const turns = waitingTurns(partStreamsMax);
  return async (request, out, call) => {
    const digest = digestOfText(request.digest);
    const offset = safeNumber(request.offset);
    if (digest === undefined || offset === undefined) return fail(grpcStatus('invalid_argument', 'a digest and an offset are needed'));
    const admitted = await enrolment.admit(call.caller);
    if (!admitted.ok) return admitted;
    const place = admitted.value;
    // The directory is one for all.
    const part = directory.hasContent(digest) ? 'directory' : await publish.partFor(digest, place);
    if (part === 'unknown') return fail(grpcStatus('not_found', 'no bundle names this part'));
    // A sidecar may know the digest of another area's part; knowing is not being meant.
    if (part === 'forbidden') return fail(grpcStatus('permission_denied', 'the part is of a bundle that is not meant for this sidecar'));
    if (!(await turns.begin(call.signal))) return fail(grpcStatus('cancelled', 'the caller has gone'));
    try {
      const chunk = (data: Uint8Array, at: { readonly offset: number; readonly total: number }): PartChunk =>
        create(PartChunkSchema, { offset: BigInt(at.offset), total: BigInt(at.total), data });
      return await sendObject(await objects.read(digest), { out, chunk, signal: call.signal, offset });
    } finally {
      turns.end();
    }
  };
}

/**
 * So many at a time; the others wait in line. To refuse them would send a whole fleet away for a part that it needs, and
 * have it come again. How many wait is bounded by the streams of a connection, and connections by their own bound.
 */
function waitingTurns(runningMax: number): { begin(signal: AbortSignal): Promise<boolean>; end(): void } {
  // Owner: these turns. `waiting` is in the order of asking.
  let running = 0;
  const waiting = new Set<() => void>();
  const isFull = (): boolean => running >= runningMax;
  const wakeNext = (): void => {
    const [next] = waiting;
    if (!isFull()) next?.();
  };
  return {
    /** False where the signal aborted first: then there is nothing to end. */
    async begin(signal) {
      while (isFull() && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          waiting.add(wake);
          signal.addEventListener('abort', wake);
        });
      }
      if (signal.aborted) {
        // It may have been woken for a turn that it does not take.
        wakeNext();
        return false;
      }
      running += 1;
      return true;
    },
    end() {
      running -= 1;
      wakeNext();
    },
  };
}
