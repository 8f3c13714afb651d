/** One call of a client, of each of the four kinds. Deadlines run on the Clock; every end is a status, nothing is thrown. */

import type { ClientDuplexStream, ClientReadableStream, ServiceError, StatusObject } from '@grpc/grpc-js';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DescMethod } from '@sallyport/contract';
import type { CallOptions, IncomingStream, OpenChannel, StreamOptions } from './grpc-client.ts';
import { connectFailure } from './connect-failure.ts';
import { toWire } from './grpc-encoded.ts';
import { methodDefinition } from './grpc-method.ts';
import { grpcCode, type GrpcStatus, grpcStatus } from './grpc-status.ts';
import { streamWriter, type StreamWriter, type WritableCall } from './grpc-writer.ts';

type Reply = (error: ServiceError | null, value?: unknown) => void;
/** What is common to all kinds. */
interface Cancellable {
  cancel(): void;
  on(event: 'error', listener: () => void): unknown;
  once(event: 'status', listener: (status: StatusObject) => void): unknown;
}

/** The function that a typed client has under this method's name. */
export function clientMethod(method: DescMethod, channel: OpenChannel): unknown {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const writerFor = (call: WritableCall & Cancellable): StreamWriter<unknown> => {
    const over = new AbortController();
    call.once('status', () => over.abort());
    return streamWriter(call, {
      toWire: (message) => toWire(method.input, message as never) as never,
      limits: channel.writer,
      over: over.signal,
    });
  };
  switch (method.methodKind) {
    case 'unary':
      return (request: unknown, options: CallOptions) =>
        answered(channel, options, (reply) => channel.raw.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, reply))
          .response;
    case 'client_streaming':
      return (options: CallOptions) => {
        const { call, response } = answered(channel, options, (reply) =>
          channel.raw.makeClientStreamRequest(path, requestSerialize, responseDeserialize, reply),
        );
        return { out: writerFor(call), response };
      };
    case 'server_streaming':
      return (request: unknown, options: StreamOptions) =>
        incoming(channel.raw.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request), options);
    case 'bidi_streaming':
      return (options: StreamOptions) => {
        const call: ClientDuplexStream<unknown, unknown> = channel.raw.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
        return { out: writerFor(call), incoming: incoming(call, options) };
      };
  }
}

/** A call with one response: ends by it, by a status, by its deadline or by its signal. */
function answered<C extends Cancellable>(
  channel: OpenChannel,
  options: CallOptions,
  start: (reply: Reply) => C,
): { readonly call: C; readonly response: Promise<Result<unknown, GrpcStatus>> } {
  const settled = new AbortController();
  const { promise, resolve } = Promise.withResolvers<Result<unknown, GrpcStatus>>();
  const call = start((error, value) => resolve(error === null ? ok(value) : fail(statusOf(error))));
  call.on('error', () => undefined);
  const giveUp = (status: GrpcStatus): void => {
    resolve(fail(status));
    call.cancel();
  };
  channel.clock.timer(options.deadlineMs, () => giveUp(grpcStatus('deadline_exceeded', `no answer in ${options.deadlineMs} ms`)), {
    signal: settled.signal,
  });
  const { signal } = options;
  const abort = (): void => giveUp(grpcStatus('cancelled', 'the caller gave up'));
  if (signal?.aborted === true) abort();
  else signal?.addEventListener('abort', abort, { signal: settled.signal });
  const response = promise.finally(() => settled.abort());
  return { call, response };
}

/** The receiving side of a stream. */
function incoming(call: ClientReadableStream<unknown>, { signal }: StreamOptions): IncomingStream<unknown> {
  const { promise: status, resolve } = Promise.withResolvers<GrpcStatus>();
  const ended = new AbortController();
  const cancel = (): void => call.cancel();
  // The status says the same; without a listener the error would end the process.
  call.on('error', () => undefined);
  call.once('status', (wire: StatusObject) => {
    ended.abort();
    resolve(statusOf(wire));
  });
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { signal: ended.signal });

  async function* messages(): AsyncGenerator {
    try {
      // Left alone, the end of what comes in would destroy what goes out.
      yield* call.iterator({ destroyOnReturn: false });
    } catch {
      // How a stream ends is a value here, in `status`; iteration just ends.
    } finally {
      call.cancel();
    }
  }
  return { [Symbol.asyncIterator]: messages, status };
}

function statusOf(status: Pick<StatusObject, 'code' | 'details'>): GrpcStatus {
  const code = grpcCode(status.code);
  return code === 'unavailable' ? { code, ...connectFailure(status.details) } : grpcStatus(code, status.details);
}
