/** The calling side of gRPC: a channel to one server over mTLS, and a typed client per service. Statuses are values. */

import { Client as RawClient } from '@grpc/grpc-js';
import { isIP } from 'node:net';
import { invariant } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import type { DescMethod, DescService, MessageShape } from '@sallyport/contract';
import { clientMethod } from './grpc-call.ts';
import type { Sendable } from './grpc-encoded.ts';
import type { GrpcStatus } from './grpc-status.ts';
import { type StreamWriter, WRITER_LIMITS, type WriterLimits } from './grpc-writer.ts';
import { TrustingChannelCredentials } from './tls-grpc.ts';
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

/**
 * Messages as they come; iteration ends with the stream, and `status` says how, once all messages have been read.
 * Leaving the loop early cancels the call.
 */
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

/** One connection's worth of calls, re-made when lost, and when this side has another certificate. */
export interface Channel {
  /** The verified peer of the newest connection, once there is one. */
  readonly peer: Peer | undefined;
  /** Ends every call and connection. */
  close(): void;
}

/** What a channel is inside; only this package makes one. */
export interface OpenChannel extends Channel {
  /** For a call that begins now. */
  readonly raw: RawClient;
  readonly clock: Clock;
  readonly writer: WriterLimits;
}

const MESSAGE_BYTES_MAX = 1_048_576;
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;

/** Opens nothing yet: the first call connects. */
export function openChannel(options: ChannelOptions): Channel {
  // Owner: this channel, through the handshake.
  let peer: Peer | undefined;
  const credentials = new TrustingChannelCredentials(options.trust, options.clock, (verified) => (peer = verified));
  const messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
  const connect = (): RawClient =>
    new RawClient(target(options.host, options.port), credentials, {
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
      'grpc.keepalive_time_ms': options.keepaliveMs ?? KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
      // A proxy of the environment would see where we go, and a TXT record could tell us how to behave.
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      // Whether a call is repeated is for its caller to say.
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
    });
  // Owner: this channel, through `onReplace`.
  let raw = connect();
  const over = new AbortController();
  // A connection is worth as much as the certificate that it was opened with. What runs on it goes on; the next call is made
  // under the new one, and the old connection ends with the last of its calls.
  const renewed = (): void => {
    const before = raw;
    raw = connect();
    before.close();
  };
  if (options.trust.kind === 'peer') options.trust.tls.onReplace(renewed, { signal: over.signal });
  const channel: OpenChannel = {
    get peer() {
      return peer;
    },
    get raw() {
      return raw;
    },
    clock: options.clock,
    writer: options.writer ?? WRITER_LIMITS,
    close() {
      over.abort();
      raw.close();
    },
  };
  return channel;
}

/** A typed client of one service over a channel. */
export function createClient<S extends DescService>(service: S, channel: Channel): Client<S> {
  invariant('raw' in channel, 'a channel is made by `openChannel`');
  const open = channel as OpenChannel;
  const methods = service.methods.map((method) => [method.localName, clientMethod(method, open)] as const);
  return Object.fromEntries(methods) as unknown as Client<S>;
}

function target(host: string, port: number): string {
  switch (isIP(host)) {
    case 4:
      return `ipv4:${host}:${port}`;
    case 6:
      return `ipv6:[${host}]:${port}`;
    default:
      return `dns:${host}:${port}`;
  }
}
