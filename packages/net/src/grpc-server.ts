/**
 * A gRPC server over TLS 1.3: typed handlers from a service descriptor, who is calling taken from the verified
 * certificate, everything bounded, drained in order. It decides nothing: a handler sees the peer and answers.
 */

import { Bug } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import type { DescMethod, DescService, MessageShape } from '@sallyport/contract';
import type { Sendable } from './grpc-encoded.ts';
import type { GrpcStatus } from './grpc-status.ts';
import type { StreamWriter, WriterLimits } from './grpc-writer.ts';
import type { Peer, PeerPurpose, TlsHolder } from './tls.ts';

/** What a handler knows of its call besides the messages. */
export interface ServerCall {
  /** `undefined` only on a server that was started for strangers (`clients: 'anyone'`). */
  readonly peer: Peer | undefined;
  /** `203.0.113.9:4711`; for logs and limits, never for trust. */
  readonly address: string;
  /** Aborts when the caller has gone, its deadline or ours has passed, or the drain's grace is over. */
  readonly signal: AbortSignal;
}

type In<M extends DescMethod> = MessageShape<M['input']>;
type Out<M extends DescMethod> = MessageShape<M['output']>;

/** One method's handler. A refusal is a value; what is thrown becomes `internal`, without its text. */
export type Handler<M extends DescMethod> = M extends { readonly methodKind: 'unary' }
  ? (request: In<M>, call: ServerCall) => Promise<Result<Sendable<Out<M>>, GrpcStatus>>
  : M extends { readonly methodKind: 'client_streaming' }
    ? (incoming: AsyncIterable<In<M>>, call: ServerCall) => Promise<Result<Sendable<Out<M>>, GrpcStatus>>
    : M extends { readonly methodKind: 'server_streaming' }
      ? (request: In<M>, out: StreamWriter<Out<M>>, call: ServerCall) => Promise<Result<void, GrpcStatus>>
      : (incoming: AsyncIterable<In<M>>, out: StreamWriter<Out<M>>, call: ServerCall) => Promise<Result<void, GrpcStatus>>;

/** A handler for every method of a service; a missing one does not compile. */
export type Handlers<S extends DescService> = { readonly [M in keyof S['method']]: Handler<S['method'][M]> };

/** A service with its handlers, and which peers may call it at all. */
export interface ServedService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
  /** Empty only on a server for strangers. */
  readonly purposes: readonly PeerPurpose[];
}

/** Ties handlers to a descriptor; any peer of another purpose is answered `permission_denied` before the handler. */
export function serve<S extends DescService>(
  service: S,
  options: { readonly purposes: readonly PeerPurpose[]; readonly handlers: Handlers<S> },
): ServedService {
  return { service, handlers: options.handlers, purposes: options.purposes };
}

export interface GrpcServerLimits extends WriterLimits {
  /** Largest message, either way. */
  readonly messageBytesMax: number;
  readonly connectionsMax: number;
  readonly streamsPerConnectionMax: number;
  /** A unary or client-streaming call is answered `deadline_exceeded` after this long. */
  readonly callMsMax: number;
}

export interface GrpcServerOptions {
  readonly host: string;
  /** 0 asks for any free port. */
  readonly port: number;
  readonly tls: TlsHolder;
  readonly trustDomain: string;
  /** `verified`: mTLS, a connection without a certificate of ours does not come up. `anyone`: enrolment. */
  readonly clients: 'verified' | 'anyone';
  readonly services: readonly ServedService[];
  readonly clock: Clock;
  readonly limits?: Partial<GrpcServerLimits>;
  /** A handler threw: the caller was answered `internal`; here is what happened. */
  readonly onBug: (error: unknown, method: string) => void;
}

export interface GrpcServer {
  readonly host: string;
  readonly port: number;
  /** Takes no new connections or calls, waits up to `graceMs` for the running ones, then cuts them. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

/** Starts listening. Rejects with a Fault `listen_failed`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  throw new Bug(`to come ${options.host}`);
}
