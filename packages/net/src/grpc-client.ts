/** The calling side of gRPC: a channel to one server over mTLS, and a typed client per service. Statuses are values. */

import { Bug } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import type { DescMethod, DescService, MessageShape } from '@sallyport/contract';
import type { Sendable } from './grpc-encoded.ts';
import type { GrpcStatus } from './grpc-status.ts';
import type { StreamWriter, WriterLimits } from './grpc-writer.ts';
import type { Peer, PeerPurpose, TlsHolder } from './tls.ts';

type In<M extends DescMethod> = MessageShape<M['input']>;
type Out<M extends DescMethod> = MessageShape<M['output']>;

/** What bounds one call. */
export interface CallOptions {
  /** The call is over, with `deadline_exceeded`, after this long. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** What bounds a stream: it lives until it ends, its signal aborts or the connection is lost. */
export interface StreamOptions {
  readonly signal: AbortSignal;
}

/** Messages as they come; iteration ends with the stream, and `status` says how. Leaving the loop early cancels the call. */
export interface IncomingStream<T> extends AsyncIterable<T> {
  readonly status: Promise<GrpcStatus>;
}

/** One method of a client, by the kind of its descriptor. */
export type ClientMethod<M extends DescMethod> = M extends { readonly methodKind: 'unary' }
  ? (request: Sendable<In<M>>, options: CallOptions) => Promise<Result<Out<M>, GrpcStatus>>
  : M extends { readonly methodKind: 'client_streaming' }
    ? (options: CallOptions) => { readonly out: StreamWriter<In<M>>; readonly response: Promise<Result<Out<M>, GrpcStatus>> }
    : M extends { readonly methodKind: 'server_streaming' }
      ? (request: Sendable<In<M>>, options: StreamOptions) => IncomingStream<Out<M>>
      : (options: StreamOptions) => { readonly out: StreamWriter<In<M>>; readonly incoming: IncomingStream<Out<M>> };

export type Client<S extends DescService> = { readonly [M in keyof S['method']]: ClientMethod<S['method'][M]> };

/** Whom a channel believes it speaks to. A DNS name proves nothing here: the certificate's SPIFFE id does. */
export type ServerTrust =
  | {
      /** mTLS with a peer of this purpose in the trust domain, certified by one of the holder's authorities. */
      readonly kind: 'peer';
      readonly tls: TlsHolder;
      readonly trustDomain: string;
      readonly purpose: PeerPurpose;
    }
  | {
      /** Enrolment, before there is any trust: the chain must end in the CA with this digest (SHA-256 of its DER, from the join token). */
      readonly kind: 'ca_digest';
      readonly digest: Uint8Array;
      readonly trustDomain: string;
      readonly purpose: PeerPurpose;
    };

export interface ChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly trust: ServerTrust;
  readonly clock: Clock;
  readonly messageBytesMax?: number;
  readonly writer?: WriterLimits;
  /** A connection that does not answer a ping for this long is given up. */
  readonly keepaliveMs?: number;
}

/** One connection's worth of calls, re-made when lost. */
export interface Channel {
  /** The verified peer of the newest connection, once there is one. */
  readonly peer: Peer | undefined;
  /** Ends every call and connection. */
  close(): void;
}

/** Opens nothing yet: the first call connects. */
export function openChannel(options: ChannelOptions): Channel {
  throw new Bug(`to come ${options.host}`);
}

/** A typed client of one service over a channel. */
export function createClient<S extends DescService>(service: S, channel: Channel): Client<S> {
  throw new Bug(`to come ${service.typeName} ${String(channel.peer)}`);
}
