/** An MCP server over streamable HTTP: dialled as the sidecar dials it, so that what can be imported can be called. */

import { SseReader, mediaTypeOf, readUpstreamMessage, upstreamHeaders } from '@sallyport/dialects';
import type { RpcId, UpstreamMessage } from '@sallyport/dialects';
import { Fault } from '@sallyport/model';
import type { Destination } from '@sallyport/model';
import type { UpstreamAnswer, Upstreams } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { Io } from '../io.ts';
import { ANSWER_BYTES_MAX, ASIDES_MAX, ServerFault } from './mcp-wire.ts';
import type { McpWire, WireHead } from './mcp-wire.ts';

export interface HttpServer {
  /** As it was given, for messages. */
  readonly url: string;
  readonly destination: Destination;
  readonly path: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
}

/** How long one answer may take, its stream included. */
const ANSWER_MS_MAX = 30_000;
const GOODBYE_MS_MAX = 2_000;

export async function httpWire(server: HttpServer, io: Pick<Io, 'clock' | 'signal'>): Promise<McpWire> {
  // Loaded by who dials, not by everybody who asks for help.
  const { createUpstreams } = await import('@sallyport/net');
  const upstreams = createUpstreams({ clock: io.clock });
  const post = async (body: Uint8Array, head: WireHead, signal: AbortSignal): Promise<UpstreamAnswer> =>
    send(upstreams, server, { method: 'POST', headers: headersOf(head, server), body, signal });
  return {
    name: server.url,
    async ask(id, message, head) {
      return inTime(io, ANSWER_MS_MAX, async (signal) => {
        const answer = await post(message, head, signal);
        const found = await answerTo(id, answer, head);
        return { message: found, sessionId: headerOf(answer, 'mcp-session-id') };
      });
    },
    async tell(message, head) {
      await inTime(io, ANSWER_MS_MAX, async (signal) => {
        const answer = await post(message, head, signal);
        answer.discard();
        if (answer.status >= 300) throw refusedStatus(answer, head);
      });
    },
    async close(session) {
      try {
        if (session?.era === 'legacy' && session.sessionId !== undefined)
          await inTime(io, GOODBYE_MS_MAX, async (signal) => {
            const headers = headersOf({ method: '', session }, server).filter(([name]) => name !== 'content-type');
            (await send(upstreams, server, { method: 'DELETE', headers, signal })).discard();
          });
      } catch (error) {
        // The server forgets the session by itself.
        if (!(error instanceof Fault)) throw error;
      } finally {
        upstreams.close();
      }
    },
  };
}

interface Sent {
  readonly method: 'POST' | 'DELETE';
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

function send(upstreams: Upstreams, { destination, path }: HttpServer, sent: Sent): Promise<UpstreamAnswer> {
  return upstreams.request(destination, { ...sent, path, bodyBytesMax: ANSWER_BYTES_MAX });
}

function headersOf({ method, session }: WireHead, { token }: HttpServer): readonly (readonly [string, string])[] {
  return Object.entries({
    ...upstreamHeaders(session),
    // The revision without sessions wants repeated in headers what the body says (2026-07-28, streamable HTTP).
    ...(session?.era === 'modern' ? { 'mcp-method': method } : {}),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });
}

async function inTime<T>(io: Pick<Io, 'clock' | 'signal'>, ms: number, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const fault = (): Fault => new Fault('upstream_timeout', 'upstream', `no whole answer within ${ms / 1_000} s`);
  const over = deadline(io.clock, ms, { signal: io.signal, fault });
  try {
    return await act(over.signal);
  } catch (error) {
    if (over.signal.aborted && !io.signal.aborted) throw fault();
    throw error;
  } finally {
    over.clear();
  }
}

/** The message that answers, out of a JSON body or a stream of events. */
async function answerTo(id: RpcId, answer: UpstreamAnswer, head: WireHead): Promise<UpstreamMessage> {
  const type = mediaTypeOf(headerOf(answer, 'content-type'));
  const isEvents = type === 'text/event-stream';
  // An error status may still carry the JSON-RPC error that says why.
  if (answer.contentEncoding !== undefined || (!isEvents && type !== 'application/json') || (isEvents && answer.status !== 200)) {
    answer.discard();
    throw refusedStatus(answer, head);
  }
  let asides = 0;
  for await (const source of isEvents ? eventsOf(answer.body) : wholeOf(answer.body)) {
    const read = readUpstreamMessage(source, id, { bytesMax: ANSWER_BYTES_MAX });
    if (!read.ok) {
      if (answer.status !== 200) throw refusedStatus(answer, head);
      // Once it has shaken hands it is an MCP server, and has a mistake.
      const options = head.session === undefined ? { remedy: 'is this the address of an MCP server? they commonly listen at /mcp' } : {};
      throw new ServerFault(`the answer is no message of MCP: ${read.error.message}`, options);
    }
    if (read.value.kind === 'result' || read.value.kind === 'error') return read.value;
    if (++asides > ASIDES_MAX) throw new ServerFault(`more than ${ASIDES_MAX} messages came before the answer`);
  }
  throw new ServerFault('the answer ended before it came');
}

async function* wholeOf(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  yield new Uint8Array(Buffer.concat(chunks));
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = new SseReader({ eventBytesMax: ANSWER_BYTES_MAX });
  for await (const chunk of body) {
    const items = reader.push(chunk);
    if (!items.ok) throw new ServerFault(`the stream of events cannot be read: ${items.error.code}`);
    for (const item of items.value) if (item.kind === 'event' && item.event === 'message' && item.data.byteLength > 0) yield item.data;
  }
}

function refusedStatus(answer: UpstreamAnswer, { method }: WireHead): ServerFault {
  const { status } = answer;
  const asked = method === '' ? 'the request' : `\`${method}\``;
  if (status === 401 || status === 403)
    return new ServerFault(`${asked} was answered ${status}: the server wants credentials`, {
      remedy: 'hand a token over with --token-file',
    });
  if (status >= 300 && status < 400)
    return new ServerFault(`${asked} was answered ${status}: redirects are not followed`, { remedy: 'name the address that it leads to' });
  if (status === 404 || status === 405)
    return new ServerFault(`${asked} was answered ${status}`, {
      remedy: 'is the path right? MCP servers commonly listen at /mcp',
      mayBeRevision: true,
    });
  if (status === 200 || status === 202)
    return new ServerFault(`${asked} was answered with something that is not MCP`, { remedy: 'is this the address of an MCP server?' });
  return new ServerFault(`${asked} was answered ${status}`, { mayBeRevision: status === 400 });
}

function headerOf({ rawHeaders }: UpstreamAnswer, name: string): string | undefined {
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === name) return rawHeaders[at + 1];
  return undefined;
}
