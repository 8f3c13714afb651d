/** The wire: gRPC over mTLS, the strict HTTP listener, the checked dialler. Nothing else opens a socket. */

export { encode } from './grpc-encoded.ts';
export type { Encoded, Sendable } from './grpc-encoded.ts';
export { grpcFault, grpcStatus } from './grpc-status.ts';
export type { GrpcCode, GrpcStatus } from './grpc-status.ts';
export type { ConnectFailure } from './connect-failure.ts';
export { WRITER_LIMITS } from './grpc-writer.ts';
export type { StreamWriter, WriterLimits } from './grpc-writer.ts';
export { GRPC_SERVER_LIMITS, serve, startGrpcServer } from './grpc-server.ts';
export type { GrpcServer, GrpcServerLimits, GrpcServerOptions, Handler, Handlers, ServedService, ServerCall } from './grpc-server.ts';
export { createClient, openChannel } from './grpc-client.ts';
export type {
  CallOptions,
  Channel,
  ChannelOptions,
  Client,
  ClientMethod,
  IncomingStream,
  ServerTrust,
  StreamOptions,
} from './grpc-client.ts';
export { applyDelta, makeDelta } from './part-delta.ts';
export { tlsHolder, verifyPeer } from './tls.ts';
export type { Peer, PeerPurpose, TlsHolder, TlsMaterial } from './tls.ts';
export { HTTP_LIMITS, startHttpListener } from './http-listener.ts';
export type { HttpLimits, HttpListener, HttpListenerOptions, ListenerRefusal, ListenerRefusalCode } from './http-listener.ts';
export type { ListenerTls } from './listener-tls.ts';
export type { AnswerHead, HttpExchange } from './http-exchange.ts';
export type { ConnectionEnd, ConnectionEnds } from './connection-ends.ts';
export { addressKind, judgeAddress } from './address.ts';
export type { AddressKind } from './address.ts';
export { createUpstreams, UPSTREAM_LIMITS } from './upstream.ts';
export { UpstreamFault } from './upstream-fault.ts';
export { isUsablePair } from './upstream-tls.ts';
export type { TlsOf, UpstreamTls } from './upstream-tls.ts';
export type { Resolve, UpstreamAnswer, UpstreamLimits, UpstreamOptions, UpstreamRequest, Upstreams } from './upstream.ts';
