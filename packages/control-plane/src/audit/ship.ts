/**
 * Audit.Ship: a sidecar's records up, cumulative acknowledgements down. One batch of a stream is judged, made durable and
 * answered before the next is read, so that what waits is bounded by the connection's own window.
 */

import { AckSchema, ForkSchema, GapSchema, ShipAnswerSchema, SlowDownSchema, create } from '@sallyport/contract';
import type { Batch, Resume, ShipAnswer, ShipMessage } from '@sallyport/contract';
import { isStreamId } from '@sallyport/audit';
import { fail, ok } from '@sallyport/model';
import type { Clock, Result, StreamId } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import { authoritiesFor } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import type { ProvenCall } from '../rpc.ts';
import { streamLife, untilAborted } from '../until.ts';
import { safeNumber } from '../wire.ts';
import type { Collector, Delivery } from './collector.ts';
import type { LineContext } from './streams.ts';

export interface ShipOptions {
  readonly collector: Collector;
  readonly clock: Clock;
  readonly root: TrustedRoot;
  readonly draining: AbortSignal;
  readonly shipStreamsMax: number;
  /** The sidecar was heard of. */
  readonly onContact: (source: string) => void;
}

type Ship = (incoming: AsyncIterable<ShipMessage>, out: StreamWriter<ShipAnswer>, call: ProvenCall) => Promise<Result<void, GrpcStatus>>;

const RECORDS_MAX = 8_192;

export function shipHandler(options: ShipOptions): Ship {
  const { clock, root, draining } = options;
  // Owner: this handler.
  let running = 0;
  return async (incoming, out, call) => {
    if (running >= options.shipStreamsMax) return fail(grpcStatus('resource_exhausted', 'too many audit streams'));
    running += 1;
    const life = streamLife({ clock, notAfter: call.caller.notAfter, call: call.signal, draining });
    const context: LineContext = { source: call.caller.spiffeId, authorities: authoritiesFor(root, call.caller.spiffeId) };
    try {
      for await (const { message } of untilAborted(incoming, life.signal)) {
        options.onContact(context.source);
        const answer = await answerTo(message, { ...options, context });
        if (!answer.ok) return answer;
        if (!(await send(out, answer.value))) return fail(grpcStatus('cancelled', 'the stream is over'));
        // Nothing of the batch was taken, so what follows it on this call would leave a gap: the sidecar resumes on another.
        if (answer.value.answer.case === 'slowDown') return fail(grpcStatus('resource_exhausted', 'resume later'));
      }
    } finally {
      running -= 1;
      life.clear();
    }
    return life.reason === undefined || life.reason === 'caller' ? ok(undefined) : fail(grpcStatus('unavailable', 'connect again'));
  };
}

interface Delivering extends ShipOptions {
  readonly context: LineContext;
}

async function answerTo(message: ShipMessage['message'], delivering: Delivering): Promise<Result<ShipAnswer, GrpcStatus>> {
  switch (message.case) {
    case 'resume':
      return resume(message.value, delivering);
    case 'batch':
      return deliver(message.value, delivering);
    case undefined:
      return fail(grpcStatus('invalid_argument', 'a message says resume or batch'));
  }
}

/** Says what is durable already, or that what the sidecar still has does not reach it. */
async function resume(message: Resume, { collector, context }: Delivering): Promise<Result<ShipAnswer, GrpcStatus>> {
  const firstSeq = safeNumber(message.firstUnackedSeq);
  if (!isStreamId(message.stream) || firstSeq === undefined || firstSeq === 0)
    return fail(grpcStatus('invalid_argument', 'a resume names a stream and its first record that is not acknowledged'));
  return answerOf(message.stream, await collector.resume({ stream: message.stream, seq: firstSeq, source: context.source }));
}

async function deliver(batch: Batch, { collector, context }: Delivering): Promise<Result<ShipAnswer, GrpcStatus>> {
  const firstSeq = safeNumber(batch.firstSeq);
  const isSized = batch.records.length > 0 && batch.records.length <= RECORDS_MAX;
  if (!isStreamId(batch.stream) || firstSeq === undefined || firstSeq === 0 || !isSized)
    return fail(grpcStatus('invalid_argument', `a batch has a stream, a first seq from 1, and 1 to ${RECORDS_MAX} records`));
  return answerOf(batch.stream, await collector.deliver({ stream: batch.stream, firstSeq, lines: batch.records }, context));
}

function answerOf(stream: StreamId, delivery: Delivery): Result<ShipAnswer, GrpcStatus> {
  switch (delivery.kind) {
    case 'ack':
      return ok(answerAck(stream, delivery.through, delivery.head));
    case 'fork':
      return ok(answerFork(stream, delivery.seq, delivery.head));
    case 'gap':
      return ok(answerGap(stream, delivery.expected));
    case 'slow_down':
      return ok(create(ShipAnswerSchema, { answer: { case: 'slowDown', value: create(SlowDownSchema, { waitMs: delivery.waitMs }) } }));
    case 'refused':
      return fail(grpcStatus('permission_denied', delivery.detail));
  }
}

const answerAck = (stream: StreamId, through: number, head: Uint8Array): ShipAnswer =>
  create(ShipAnswerSchema, { answer: { case: 'ack', value: create(AckSchema, { stream, durableThrough: BigInt(through), head }) } });
const answerFork = (stream: StreamId, seq: number, head: Uint8Array): ShipAnswer =>
  create(ShipAnswerSchema, { answer: { case: 'fork', value: create(ForkSchema, { stream, seq: BigInt(seq), heldHead: head }) } });
const answerGap = (stream: StreamId, expected: number): ShipAnswer =>
  create(ShipAnswerSchema, { answer: { case: 'gap', value: create(GapSchema, { stream, expectedSeq: BigInt(expected) }) } });

/** Waits for a slow reader: an answer that is not sent would leave the sidecar waiting for ever. */
async function send(out: StreamWriter<ShipAnswer>, answer: ShipAnswer): Promise<boolean> {
  while (!out.isOver) {
    if (out.write(answer)) return true;
    await out.drained();
  }
  return false;
}
