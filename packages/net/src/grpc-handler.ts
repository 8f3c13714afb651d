/**
 * Between grpc-js and a typed handler: who calls, whether that peer may call this service at all, how long, and what
 * becomes of what the handler returns or throws. A peer that cannot be named is refused before any of its messages is read.
 */

import type { UntypedHandleCall } from '@grpc/grpc-js';
import { Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DescMethod } from '@sallyport/contract';
import { toWire } from './grpc-encoded.ts';
import type { GrpcServerLimits, GrpcServerOptions, ServedService, ServerCall } from './grpc-server.ts';
import { grpcNumber, type GrpcStatus, grpcStatus } from './grpc-status.ts';
import { streamWriter, type WritableCall } from './grpc-writer.ts';
import { type Peer, verifyPeer } from './tls.ts';

export interface HandlerContext {
  readonly options: GrpcServerOptions;
  readonly limits: GrpcServerLimits;
  /** Aborts when the drain's grace is over. */
  readonly cut: AbortSignal;
}

/** What this file uses of grpc-js's four kinds of call. */
interface RawCall extends WritableCall {
  iterator(options: { readonly destroyOnReturn: false }): AsyncIterable<unknown>;
  readonly request: unknown;
  readonly cancelled: boolean;
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Uint8Array } };
  on(event: 'cancelled' | 'error', listener: () => void): unknown;
  once(event: 'cancelled', listener: () => void): unknown;
  emit(event: 'error', status: WireStatus): unknown;
}

interface WireStatus {
  readonly code: number;
  readonly details: string;
}

type Reply = (error: WireStatus | null, value?: unknown) => void;
type Run = (call: ServerCall) => Promise<Result<unknown, GrpcStatus>>;
type AnyHandler = (...given: unknown[]) => Promise<Result<unknown, GrpcStatus>>;

/** A function for `addService`. */
export function untypedHandler(served: ServedService, method: DescMethod, context: HandlerContext): UntypedHandleCall {
  const handler = served.handlers[method.localName] as AnyHandler;
  const path = `${served.service.typeName}/${method.name}`;
  const judged = (raw: RawCall, isStream: boolean, run: Run): Promise<Result<unknown, GrpcStatus>> =>
    judgedRun({ raw, served, path, isStream, context }, run);

  const single = (raw: RawCall, reply: Reply): void => {
    const given = method.methodKind === 'unary' ? raw.request : incomingOf(raw);
    void judged(raw, false, (call) => handler(given, call)).then((result) =>
      result.ok ? reply(null, result.value) : reply(wireStatus(result.error)),
    );
  };
  const stream = (raw: RawCall): void => {
    const given = method.methodKind === 'server_streaming' ? raw.request : incomingOf(raw);
    const run: Run = (call) => {
      const write = (message: unknown): never => toWire(method.output, message as never) as never;
      return handler(given, streamWriter(raw, { toWire: write, limits: context.limits, over: call.signal }), call);
    };
    void judged(raw, true, run).then((result) => (result.ok ? raw.end() : raw.emit('error', wireStatus(result.error))));
  };
  const isStream = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
  return (isStream ? stream : single) as unknown as UntypedHandleCall;
}

interface Judged {
  readonly raw: RawCall;
  readonly served: ServedService;
  readonly path: string;
  readonly isStream: boolean;
  readonly context: HandlerContext;
}

/** Never rejects: what the handler throws is reported and answered `internal`, without its text. */
async function judgedRun({ raw, served, path, isStream, context }: Judged, run: Run): Promise<Result<unknown, GrpcStatus>> {
  const { options, limits, cut } = context;
  const over = new AbortController();
  const finished = new AbortController();
  const end = (why: Fault): void => over.abort(why);
  raw.on('cancelled', () => end(new Fault('aborted', 'downstream', 'the caller has gone')));
  cut.addEventListener('abort', () => end(cut.reason as Fault), { signal: finished.signal });
  try {
    const peer = callerOf(raw, served, options);
    if (!peer.ok) return peer;
    const call: ServerCall = { peer: peer.value, address: raw.getPeer(), signal: over.signal };
    if (isStream) return await run(call);
    const late = new Promise<Result<unknown, GrpcStatus>>((resolve) => {
      options.clock.timer(
        limits.callMsMax,
        () => {
          end(new Fault('upstream_timeout', 'internal', 'the call took too long'));
          resolve(fail(grpcStatus('deadline_exceeded', 'the call took too long')));
        },
        { signal: finished.signal },
      );
    });
    return await Promise.race([run(call), late]);
  } catch (error) {
    options.onBug(error, path);
    return fail(grpcStatus('internal', 'internal error'));
  } finally {
    finished.abort();
  }
}

/** The verified peer, `undefined` for a stranger where strangers are served, or a refusal. */
function callerOf(raw: RawCall, served: ServedService, options: GrpcServerOptions): Result<Peer | undefined, GrpcStatus> {
  if (options.clients === 'anyone') return ok(undefined);
  const certificate = raw.getAuthContext().sslPeerCertificate?.raw;
  if (certificate === undefined) return fail(grpcStatus('unauthenticated', 'no client certificate'));
  const { authorities } = options.tls.current;
  const terms = { authorities, trustDomain: options.trustDomain, usage: 'tls-client', now: options.clock.wall() } as const;
  const peer = verifyPeer(new Uint8Array(certificate), terms);
  if (!peer.ok) return fail(grpcStatus('unauthenticated', 'the client certificate is not accepted'));
  if (!served.purposes.includes(peer.value.purpose)) return fail(grpcStatus('permission_denied', 'this service is not for you'));
  return peer;
}

/** Messages until the caller has said all, or has gone: which of the two, the call's signal tells. */
async function* incomingOf(raw: RawCall): AsyncGenerator {
  try {
    // Left alone, the end of what comes in would destroy what goes out.
    yield* raw.iterator({ destroyOnReturn: false });
  } catch (error) {
    if (!raw.cancelled) throw error;
  }
}

function wireStatus(status: GrpcStatus): WireStatus {
  return { code: grpcNumber(status.code), details: status.message };
}
