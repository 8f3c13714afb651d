/**
 * One exchange with an MCP server: a message POSTed, and the messages of its answer in whichever form they come. What is
 * held of an answer is charged to the account of buffered bytes.
 */

import {
  mediaTypeOf,
  readUpstreamMessage,
  SseReader,
  upstreamHeaders,
  type ClientInfo,
  type RpcId,
  type UpstreamMessage,
  type UpstreamSession,
} from '@sallyport/dialects';
import type { Destination, ToolServer } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { HeldBytes } from '@sallyport/runtime';
import type { Carried, Header } from '../secrets/credentials.ts';
import { charge, readAnswer, refuseEncoded, shareOf, singleHeader } from './answer-body.ts';
import { ASSERTION_HEADER, type ForwardOptions } from './forward-options.ts';
import type { SignRequest } from './request-signing.ts';
import { traceHeaders } from './trace-headers.ts';

/** Where to, and in which session; none before the handshake. */
export interface McpPeer {
  readonly server: ToolServer;
  readonly destination: Destination;
  /** What its messages carry: the same for all of them. */
  readonly carried: Carried;
  readonly session: UpstreamSession | undefined;
}

export interface PostOptions {
  readonly options: ForwardOptions;
  readonly traceparent?: string | undefined;
  /** Of the call, or of the one that a handshake is for; what only ends or answers something has none. */
  readonly assertion?: string | undefined;
  /** Of the call alone. */
  readonly sign?: SignRequest | undefined;
  readonly signal: AbortSignal;
  /** What a message of the modern era repeats in its head. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Who we say we are. */
export function clientInfoOf({ build }: ForwardOptions): ClientInfo {
  return { name: 'sallyport', version: build };
}

/** One POST, to be ended by its signal alone. */
export async function postMessage(
  { server, destination, session, carried }: McpPeer,
  body: Uint8Array,
  { options, traceparent, assertion, sign, signal, headers: mirrored = {} }: PostOptions,
): Promise<UpstreamAnswer> {
  const asserted = assertion === undefined ? [] : [[ASSERTION_HEADER, assertion] as const];
  const method = 'POST';
  const path = new URL(server.url).pathname;
  const headers: readonly Header[] = [
    ...Object.entries(upstreamHeaders(session)),
    ...Object.entries(mirrored),
    ...carried.headers(destination.server),
    ...asserted,
    ...traceHeaders(traceparent),
  ];
  return options.upstreams.request(destination, {
    method,
    path,
    headers: sign === undefined ? headers : await sign({ method, path, headers, body }),
    body,
    signal,
    bodyBytesMax: options.limits.answerBytesMax,
  });
}

type Messages = AsyncGenerator<UpstreamMessage, void, void>;

/**
 * The messages of a response, whichever form it takes, until the one that answers `id`. A message's bytes are valid until
 * the next is asked for. Rejects with an `UpstreamFault`.
 */
export async function* messagesOf(answer: UpstreamAnswer, id: RpcId, { account, limits }: ForwardOptions): Messages {
  const bytesMax = limits.answerBytesMax;
  const read = (bytes: Uint8Array): UpstreamMessage => {
    const message = readUpstreamMessage(bytes, id, { bytesMax });
    if (!message.ok) throw new UpstreamFault('upstream_protocol', `${message.error.code}: ${message.error.message}`, { wasSent: true });
    return message.value;
  };
  if (mediaTypeOf(singleHeader(answer.rawHeaders, 'content-type')) === 'application/json') {
    const held = await readAnswer(answer, { account, bytesMax });
    try {
      yield read(held.bytes);
    } finally {
      held.release();
    }
    return;
  }
  refuseEncoded(answer);
  const share = shareOf(account);
  try {
    yield* eventsOf(answer, share, { bytesMax, read });
  } finally {
    share.release();
  }
}

async function* eventsOf(
  answer: UpstreamAnswer,
  share: HeldBytes,
  { bytesMax, read }: { bytesMax: number; read: (bytes: Uint8Array) => UpstreamMessage },
): Messages {
  const reader = new SseReader({ eventBytesMax: bytesMax });
  for await (const chunk of answer.body) {
    charge(share, chunk.byteLength);
    const items = reader.push(chunk);
    if (!items.ok) throw new UpstreamFault('upstream_protocol', `events: ${items.error.code}`, { wasSent: true });
    for (const item of items.value) {
      if (item.kind !== 'event' || item.data.byteLength === 0) continue;
      const message = read(item.data);
      yield message;
      if (message.kind === 'result' || message.kind === 'error') return;
    }
    // What came before the event that ended in this chunk is done with.
    if (items.value.some(({ kind }) => kind === 'event')) share.shrinkTo(chunk.byteLength);
  }
}
