/**
 * A real server standing for a tool: records what reaches it, byte for byte, and answers by script. "Nothing was
 * forwarded" is `requests.length === 0` here, and nothing less. The MCP form speaks streamable HTTP, JSON or events.
 */

import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { Server as SecureServer, createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket, type SecureContextOptions } from 'node:tls';

export interface RecordedRequest {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  /** DER of the certificate that the client showed, where the server asks for one. */
  readonly shown?: Uint8Array;
}

/** What the server does with one request. */
export type ScriptedAnswer =
  | { readonly kind: 'json'; readonly body: unknown; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'bytes'; readonly body: Uint8Array; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  /** Takes the request and never says a word. */
  | { readonly kind: 'hang' }
  /** Sends a head and half a body, then breaks the connection. */
  | { readonly kind: 'close_mid_body' }
  /** Breaks the connection without a head. */
  | { readonly kind: 'close' }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number }
  /** A JSON text of this many bytes. */
  | { readonly kind: 'oversize'; readonly bytes: number }
  /** The head at once; each part when its turn is released. */
  | {
      readonly kind: 'parts';
      readonly parts: readonly (Uint8Array | string)[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly between: () => Promise<void>;
    };

export type Script = (request: RecordedRequest, nth: number) => ScriptedAnswer;

export interface RecordingUpstream {
  /** `http://127.0.0.1:<port>`, or `https:`. */
  readonly url: string;
  readonly port: number;
  /** Every request, in the order in which its body was complete. */
  readonly requests: readonly RecordedRequest[];
  /** Replaces the script for requests to come. */
  answer(script: ScriptedAnswer | Script): void;
  /** Resolves once `count` requests have arrived in all. */
  arrived(count: number): Promise<void>;
  /** What new connections are served with, of a server under TLS. */
  secure(tls: RecordingTls): void;
  close(): Promise<void>;
}

/** PEM. With `ca` every client must show a certificate of it. */
export interface RecordingTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | readonly string[];
}

const OK: ScriptedAnswer = { kind: 'json', body: { ok: true } };

/** Listens on an ephemeral port of 127.0.0.1; answers `{"ok":true}` until told otherwise. */
export async function recordingUpstream(initial: ScriptedAnswer | Script = OK, tls?: RecordingTls): Promise<RecordingUpstream> {
  const requests: RecordedRequest[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  let script = asScript(initial);
  const server = serverOf(tls, (request, response) => {
    record(request)
      .then((recorded) => {
        requests.push(recorded);
        for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
        return play(script(recorded, requests.length), response);
      })
      .catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    answer: (next) => {
      script = asScript(next);
    },
    arrived: async (count) => {
      if (requests.length >= count) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ count, resolve });
      await promise;
    },
    secure: (next) => {
      if (server instanceof SecureServer) server.setSecureContext(securing(next));
      server.closeIdleConnections();
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function serverOf(tls: RecordingTls | undefined, listener: RequestListener): Server {
  if (tls === undefined) return createServer(listener);
  const isAsking = tls.ca !== undefined;
  return createSecureServer({ ...securing(tls), requestCert: isAsking, rejectUnauthorized: isAsking }, listener);
}

function securing({ cert, key, ca }: RecordingTls): SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca: [ca].flat() }) };
}

/** A tool's call as an MCP upstream saw it. */
export interface RecordedToolCall {
  readonly name: string;
  readonly arguments: unknown;
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  /** The source text of the message, for what parsing would hide. */
  readonly source: string;
}

export interface RecordingMcpUpstream extends RecordingUpstream {
  /** `http://127.0.0.1:<port>/mcp`. */
  readonly mcpUrl: string;
  readonly calls: readonly RecordedToolCall[];
}

export interface McpScript {
  /** How responses are sent; `json` unless told. */
  readonly form?: 'json' | 'events';
  /** Omitted: the server is stateless and gives no session id. */
  readonly sessionId?: string;
  /** Messages before the answer: progress, requests of the server's own. Given the request's id and progress token. */
  readonly before?: (id: unknown, progressToken: unknown) => readonly object[];
  /** Answered 401, whatever they are. */
  readonly refuses?: (request: RecordedRequest) => boolean;
  /** `result` or `error` of a tool call; `{"content":[{"type":"text","text":"ok"}]}` unless told. */
  readonly call?: (call: RecordedToolCall) => { readonly result: unknown } | { readonly error: object };
}

/** A tiny MCP server of revision 2025-11-25: handshake, ping and tool calls, whatever the tool's name. */
export async function recordingMcpUpstream(script: McpScript = {}, tls?: RecordingTls): Promise<RecordingMcpUpstream> {
  const calls: RecordedToolCall[] = [];
  const upstream = await recordingUpstream((request) => answerMcp(request, script, calls), tls);
  return { ...upstream, mcpUrl: `${upstream.url}/mcp`, calls };
}

interface McpRequest {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: unknown; readonly _meta?: Readonly<Record<string, unknown>> };
}

function answerMcp(request: RecordedRequest, script: McpScript, calls: RecordedToolCall[]): ScriptedAnswer {
  if (script.refuses?.(request) === true) return { kind: 'json', status: 401, body: {} };
  if (request.method === 'DELETE') return { kind: 'json', body: {} };
  if (request.method !== 'POST') return { kind: 'json', status: 405, body: {} };
  const message = JSON.parse(request.body) as McpRequest;
  if (message.id === undefined || message.method === undefined) return { kind: 'bytes', status: 202, body: new Uint8Array() };
  if (message.method === 'initialize') {
    const result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'recording', version: '1' } };
    return respond(message.id, [], { result }, script);
  }
  if (script.sessionId !== undefined && request.headers['mcp-session-id'] !== script.sessionId)
    return { kind: 'json', status: 404, body: {} };
  if (message.method === 'ping') return respond(message.id, [], { result: {} }, script);
  if (message.method !== 'tools/call') return respond(message.id, [], { error: { code: -32_601, message: 'Method not found' } }, script);
  const { params } = message;
  const meta = params?.['_meta'];
  const call = { name: params?.name ?? '', arguments: params?.arguments, meta, source: request.body };
  calls.push(call);
  const outcome = script.call?.(call) ?? { result: { content: [{ type: 'text', text: 'ok' }] } };
  return respond(message.id, script.before?.(message.id, meta?.['progressToken']) ?? [], outcome, script);
}

function respond(id: unknown, before: readonly object[], outcome: object, script: McpScript): ScriptedAnswer {
  const headers = script.sessionId === undefined ? {} : { 'mcp-session-id': script.sessionId };
  const answer = { jsonrpc: '2.0', id, ...outcome };
  if ((script.form ?? 'json') === 'json') return { kind: 'json', body: answer, headers };
  const events = [...before, answer].map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`).join('');
  // As real servers do it: an event that only sets an id comes first.
  const body = Buffer.from(`id: 0\ndata: \n\n${events}`);
  return { kind: 'bytes', body, headers: { ...headers, 'content-type': 'text/event-stream' } };
}

function asScript(script: ScriptedAnswer | Script): Script {
  return typeof script === 'function' ? script : () => script;
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { method = '', url = '', headers, rawHeaders, socket } = request;
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
  const body = Buffer.concat(chunks).toString();
  return { method, target: url, headers, rawHeaders, body, ...(shown === undefined ? {} : { shown }) };
}

async function play(answer: ScriptedAnswer, response: ServerResponse): Promise<void> {
  switch (answer.kind) {
    case 'json': {
      const body = JSON.stringify(answer.body);
      return send(response, answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers }, body);
    }
    case 'bytes':
      return send(response, answer.status ?? 200, { ...answer.headers }, answer.body);
    case 'hang':
      return;
    case 'close':
      response.destroy();
      return;
    case 'close_mid_body':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"half":', () => response.destroy());
      return;
    case 'redirect':
      return send(response, answer.status ?? 302, { location: answer.location }, '');
    case 'oversize':
      return send(response, 200, { 'content-type': 'application/json' }, JSON.stringify('x'.repeat(answer.bytes - 2)));
    case 'parts':
      response.writeHead(200, { 'content-type': 'text/event-stream', ...answer.headers });
      response.flushHeaders();
      for (const part of answer.parts) {
        await answer.between();
        response.write(part);
      }
      response.end();
  }
}

function send(response: ServerResponse, status: number, headers: Record<string, string>, body: string | Uint8Array): void {
  response.writeHead(status, headers);
  response.end(body);
}
