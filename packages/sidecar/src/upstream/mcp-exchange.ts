/** One exchange with an MCP server: a message POSTed, and the messages of its answer in whichever form they come. */

import {
  mediaTypeOf,
  readUpstreamMessage,
  SseReader,
  upstreamHeaders,
  type UpstreamMessage,
  type UpstreamSession,
} from '@sallyport/dialects';
import type { Destination, ToolServer } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import { readAnswer, refuseEncoded, singleHeader } from './answer-body.ts';
import type { ForwardOptions } from './forward-options.ts';
import { traceHeaders } from './trace-headers.ts';

/** Where to, and in which session; none before the handshake. */
export interface McpPeer {
  readonly server: ToolServer;
  readonly destination: Destination;
  readonly session: UpstreamSession | undefined;
}

/** One POST. The agent's leaving does not cancel it: in this era a disconnect is no cancellation. */
export async function postMessage(
  { server, destination, session }: McpPeer,
  body: Uint8Array,
  { options, traceparent }: { options: ForwardOptions; traceparent: string | undefined },
): Promise<UpstreamAnswer> {
  return options.upstreams.request(destination, {
    method: 'POST',
    path: new URL(server.url).pathname,
    headers: [...Object.entries(upstreamHeaders(session)), ...traceHeaders(traceparent)],
    body,
    signal: NEVER,
    bodyBytesMax: options.limits.answerBytesMax,
  });
}

/** For what goes on to its end whoever leaves. */
export const NEVER: AbortSignal = new AbortController().signal;

/** The messages of a response, whichever form it takes, until the one that answers `id`. Rejects with an `UpstreamFault`. */
export async function* messagesOf(
  answer: UpstreamAnswer,
  id: number,
  { account, limits }: ForwardOptions,
): AsyncGenerator<UpstreamMessage, void, void> {
  const read = (bytes: Uint8Array): UpstreamMessage => {
    const message = readUpstreamMessage(bytes, id, { bytesMax: limits.answerBytesMax });
    if (!message.ok) throw new UpstreamFault('upstream_protocol', `${message.error.code}: ${message.error.message}`, { wasSent: true });
    return message.value;
  };
  if (mediaTypeOf(singleHeader(answer.rawHeaders, 'content-type')) === 'application/json') {
    const held = await readAnswer(answer, account);
    try {
      yield read(held.bytes);
    } finally {
      held.release();
    }
    return;
  }
  refuseEncoded(answer);
  const reader = new SseReader({ eventBytesMax: limits.answerBytesMax });
  for await (const chunk of answer.body) {
    const items = reader.push(chunk);
    if (!items.ok) throw new UpstreamFault('upstream_protocol', `events: ${items.error.code}`, { wasSent: true });
    for (const item of items.value) {
      if (item.kind !== 'event' || item.data.byteLength === 0) continue;
      const message = read(item.data);
      yield message;
      if (message.kind === 'result' || message.kind === 'error') return;
    }
  }
}
