/**
 * A gRPC server over TLS 1.3: typed handlers from a service descriptor, who is calling taken from the verified
 * certificate, everything bounded, drained in order. It decides nothing: a handler sees the peer and answers.
 */

import { type ConnectionInjector, Server, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type AddressInfo, createServer, type Server as TcpServer, type Socket } from 'node:net';
import { Fault } from '@sallyport/model';
import { listenFault } from './listen-fault.ts';
import type { Clock, Result } from '@sallyport/model';
import type { DescMethod, DescService, MessageShape } from '@sallyport/contract';
import type { Sendable } from './grpc-encoded.ts';
import { type HandlerContext, untypedHandler } from './grpc-handler.ts';
import { serviceDefinition } from './grpc-method.ts';
import type { GrpcStatus } from './grpc-status.ts';
import { type StreamWriter, WRITER_LIMITS, type WriterLimits } from './grpc-writer.ts';
import { ReloadingServerCredentials } from './tls-grpc.ts';
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
  /** A handler threw, and the caller was answered `internal`; or a peer's certificate did not hold. For the log. */
  readonly onBug: (error: unknown, method: string) => void;
}

export interface GrpcServer {
  readonly host: string;
  readonly port: number;
  /** Takes no new connections or calls, waits up to `graceMs` for the running ones, then cuts them. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

export const GRPC_SERVER_LIMITS: GrpcServerLimits = {
  ...WRITER_LIMITS,
  messageBytesMax: 1_048_576,
  connectionsMax: 4_096,
  streamsPerConnectionMax: 32,
  callMsMax: 30_000,
};

/** How often a silent connection is asked whether it is still there, and how long it has to answer. */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** What one HTTP/2 connection may hold in memory, in megabytes. */
const SESSION_MEGABYTES_MAX = 16;

/** Starts listening. Rejects with a Fault `listen_failed`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits: GrpcServerLimits = { ...GRPC_SERVER_LIMITS, ...options.limits };
  const closed = new AbortController();
  const server = new Server({
    'grpc.max_receive_message_length': limits.messageBytesMax,
    'grpc.max_send_message_length': limits.messageBytesMax,
    'grpc.max_concurrent_streams': limits.streamsPerConnectionMax,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc-node.max_session_memory': SESSION_MEGABYTES_MAX,
    'grpc.enable_channelz': 0,
  });
  const context: HandlerContext = { options, limits, cut: closed.signal };
  for (const served of options.services) server.addService(serviceDefinition(served.service), implementation(served, context));
  const credentials = new ReloadingServerCredentials(options.tls, { clients: options.clients, signal: closed.signal });
  // grpc-js would open the port itself, without a bound on connections; it takes them as well from us.
  const injector = server.createConnectionInjector(credentials);
  const sockets = new Set<Socket>();
  const listener = tcpListener(injector, sockets, limits.connectionsMax);
  const { address, port } = await listen(listener, options);
  return {
    host: address,
    port,
    async drain({ graceMs }) {
      const stopped = new Promise<void>((resolve) => listener.close(() => resolve()));
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const over = new AbortController();
      const grace = new Promise<void>((resolve) => options.clock.timer(graceMs, resolve, { signal: over.signal }));
      await Promise.race([Promise.all([stopped, ended]), grace]);
      over.abort();
      closed.abort(new Fault('aborted', 'internal', 'the server is closing'));
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await stopped;
    },
  };
}

function implementation(served: ServedService, context: HandlerContext): UntypedServiceImplementation {
  return Object.fromEntries(served.service.methods.map((method) => [method.localName, untypedHandler(served, method, context)]));
}

function tcpListener(injector: ConnectionInjector, sockets: Set<Socket>, connectionsMax: number): TcpServer {
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A connection that breaks before TLS knows it has nobody else to tell.
    socket.on('error', () => undefined);
    injector.injectConnection(socket);
  });
  listener.maxConnections = connectionsMax;
  return listener;
}

async function listen(listener: TcpServer, options: GrpcServerOptions): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    listener.once('error', (cause) => reject(listenFault(`${options.host}:${options.port}`, cause)));
    listener.listen(options.port, options.host, resolve);
  });
  return listener.address() as AddressInfo;
}
