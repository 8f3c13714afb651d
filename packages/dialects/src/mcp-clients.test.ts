import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type DenialCode, type Tool, deny, publicDenial } from '@sallyport/model';
import { type HeaderLookup, judge } from '@sallyport/strict';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WireAnswer } from './ask.ts';
import { type RpcId, rpcNotification, rpcResult } from './jsonrpc.ts';
import { acceptedAnswer, discoverAnswer, initializeAnswer, listToolsAnswer, mcpMessage, pingAnswer } from './mcp-answers.ts';
import { mcpDenial } from './mcp-denial.ts';
import { MCP_JUDGE_OPTIONS, mcpReplyTo, readMcp } from './mcp.ts';
import { problemAnswer } from './problem.ts';
import { writeSseComment, writeSseEvent } from './sse.ts';

const SERVER = { name: 'sallyport', version: '0.1.0' };

/** The unmodified official clients against nothing but this package's own answers: no gate, no upstream. */
const TOOLS: readonly Tool[] = [
  {
    name: 'files/echo' as Tool['name'],
    effect: 'read',
    classes: [],
    description: 'says it again',
    arguments: { required: ['message'], properties: { message: { type: 'string' } } },
    denyAs: 'tool_result',
  },
];

const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const denied = (code: DenialCode) => publicDenial(deny(code, 'inner'), { decisionId: '01KAF0Z5H8Q7M3T9V2X4C6B8N0', effect: 'none' });

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const answer = answerTo(request, Buffer.concat(chunks));
  if ('slow' in answer) {
    const result = { resultType: 'complete', content: [{ type: 'text', text: 'slow' }] };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(writeSseComment());
    response.write(
      writeSseEvent({ data: rpcNotification('notifications/progress', jsonBytes({ progressToken: answer.token, progress: 1 })) }),
    );
    response.end(writeSseEvent({ data: rpcResult(answer.slow, jsonBytes(result)) }));
    return;
  }
  response.writeHead(answer.status, { ...answer.headers });
  response.end(answer.body);
}

function answerTo(request: IncomingMessage, body: Buffer): WireAnswer | { slow: RpcId; token: unknown } {
  if (request.method !== 'POST') return problemAnswer(denied('method_not_allowed'));
  const judged = judge(body, MCP_JUDGE_OPTIONS);
  if (!judged.ok) return problemAnswer(denied('malformed_request'));
  const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const lookup: HeaderLookup = { get: (name) => headers.get(name), has: (name) => headers.has(name), entries: () => headers.entries() };
  const [ask, to] = [readMcp(lookup, judged.value), mcpReplyTo(lookup, judged.value)];
  if (!ask.ok) return mcpDenial(denied(ask.error.code), to, { rpc: ask.error.rpc });
  switch (ask.value.kind) {
    case 'initialize':
      return initializeAnswer(ask.value.id, { version: ask.value.version, serverInfo: SERVER, mcpSession: 'm-1' });
    case 'discover':
      return discoverAnswer(ask.value.id, SERVER);
    case 'ping':
      return pingAnswer(ask.value.id);
    case 'list_tools':
      return listToolsAnswer(ask.value.id, TOOLS, ask.value.era);
    case 'notification':
      return acceptedAnswer();
    case 'open_stream':
    case 'end_session':
      throw new Error('a POST asks for neither');
    case 'call_tool': {
      const { tool, id } = ask.value;
      if (tool === 'slow') return { slow: id, token: ask.value.meta.progressToken };
      if (tool === 'no_matching_policy' || tool === 'session_expired') return mcpDenial(denied(tool), to);
      if (tool === 'budget_exceeded') return mcpDenial(denied(tool), to, { denyAs: 'error' });
      if (tool !== 'echo') return mcpDenial(denied('tool_not_allowed'), to);
      const { message } = ask.value.arguments.tree as { message: string };
      return mcpMessage(rpcResult(id, jsonBytes({ resultType: 'complete', content: [{ type: 'text', text: message }] })));
    }
  }
}

interface AnyClient {
  listTools(): Promise<{ tools: readonly object[] }>;
  callTool(name: string, args: Record<string, unknown>, onprogress?: (progress: { progress: number }) => void): Promise<object>;
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

type Connect = (url: URL) => Promise<AnyClient>;

const CLIENTS: Readonly<Record<string, Connect>> = {
  v1: async (url) => {
    const client = new ClientV1({ name: 'agent', version: '1' });
    await client.connect(new TransportV1(url));
    return {
      listTools: async () => client.listTools(),
      callTool: async (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, onprogress && { onprogress }),
      ping: async () => client.ping(),
      close: async () => client.close(),
    };
  },
  v2: async (url) => connectV2(url, {}),
  'v2 told to negotiate': async (url) => connectV2(url, { versionNegotiation: { mode: 'auto' } }),
};

async function connectV2(url: URL, options: ConstructorParameters<typeof ClientV2>[1]): Promise<AnyClient> {
  const client = new ClientV2({ name: 'agent', version: '1' }, options);
  await client.connect(new TransportV2(url));
  return {
    listTools: async () => client.listTools(),
    callTool: async (name, args, onprogress) => client.callTool({ name, arguments: args }, onprogress && { onprogress }),
    // The modern era has no ping.
    ping: async () => (options?.versionNegotiation === undefined ? client.ping() : undefined),
    close: async () => client.close(),
  };
}

describe.each(Object.entries(CLIENTS))('the official client %s', (_, connect) => {
  let server: Server;
  let client: AnyClient;

  beforeEach(async () => {
    server = createServer((request, response) => void respond(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    client = await connect(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp/files`));
  });
  afterEach(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('shakes hands, pings, and lists the pinned tools', async () => {
    await client.ping();
    expect((await client.listTools()).tools).toEqual([
      {
        name: 'echo',
        description: 'says it again',
        inputSchema: { type: 'object', additionalProperties: false, required: ['message'], properties: { message: { type: 'string' } } },
        annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
      },
    ]);
  });

  it('calls a tool, and another that tells of its progress', async () => {
    expect(await client.callTool('echo', { message: 'hi' })).toMatchObject({ content: [{ type: 'text', text: 'hi' }] });
    const seen: number[] = [];
    expect(await client.callTool('slow', {}, ({ progress }) => seen.push(progress))).toMatchObject({ content: [{ text: 'slow' }] });
    expect(seen).toEqual([1]);
  });

  it('hands a refusal to the model as a result', async () => {
    expect(await client.callTool('no_matching_policy', {})).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('[no_matching_policy]') }],
      _meta: { 'dev.sallyport/denial': { code: 'no_matching_policy', next_action: 'use_allowed_tool' } },
    });
  });

  it('throws for a refusal as an error, and for a tool that is not there', async () => {
    await expect(client.callTool('budget_exceeded', {})).rejects.toMatchObject({ code: 403, data: { code: 'budget_exceeded' } });
    await expect(client.callTool('delete_all', {})).rejects.toMatchObject({
      code: -32_602,
      message: expect.stringContaining('Unknown tool: delete_all') as string,
    });
  });

  it('is told with a status when its session is over', async () => {
    await expect(client.callTool('session_expired', {})).rejects.toThrow(/401|Unauthorized|session/);
  });
});
