/**
 * Tool servers made with the official MCP server library: one of the legacy era alone, with sessions, and one that speaks
 * both. Both have the same tools, written once, so that whatever differs between them is the era.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NodeStreamableHTTPServerTransport, toNodeHandler, type NodeIncomingMessageLike } from '@modelcontextprotocol/node';
import { createMcpHandler, ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server';

export interface OfficialServer {
  readonly url: string;
  /** Calls of `wait` that are under way. */
  waiting(): number;
  /** Calls of `wait` that were told to end. */
  cancelled(): number;
  /** Forgets every session, as a restart would; of a server that has any. */
  restart(): void;
  close(): Promise<void>;
}

/** Their tools as a policy pins them, in the server's own words. */
export const OFFICIAL_TOOLS: readonly { readonly name: string; readonly effect: string; readonly schema: Record<string, unknown> }[] = [
  {
    name: 'add',
    effect: 'read',
    schema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        a: { type: 'integer', 'x-mcp-header': 'Left' },
        b: { type: 'integer' },
        note: { type: 'string', 'x-mcp-header': 'Note' },
      },
      required: ['a', 'b'],
    },
  },
  { name: 'fail', effect: 'read', schema: { type: 'object', additionalProperties: false } },
  { name: 'refuse', effect: 'read', schema: { type: 'object', additionalProperties: false } },
  { name: 'step', effect: 'read', schema: { type: 'object', additionalProperties: false } },
  { name: 'wait', effect: 'write', schema: { type: 'object', additionalProperties: false } },
];

interface Counts {
  waiting: number;
  cancelled: number;
}

/** The tools: a sum with structured content, a failure, a protocol error, progress, and one that ends only when it is told to. */
function tools(counts: Counts): Server {
  const server = new Server({ name: 'official', version: '1' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', () => ({
    tools: OFFICIAL_TOOLS.map(({ name, schema }) => ({ name, description: `${name} it`, inputSchema: schema as { type: 'object' } })),
  }));
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const text = (value: string): { type: 'text'; text: string } => ({ type: 'text', text: value });
    switch (params.name) {
      case 'add': {
        const { a, b } = params.arguments as { a: number; b: number };
        return { content: [text(`${a + b}`)], structuredContent: { sum: a + b, parts: [a, b], note: 'é "q"' } };
      }
      case 'fail':
        return { content: [text('out of stock')], isError: true };
      case 'refuse':
        throw new ProtocolError(-32_050, 'not on a Friday', { day: 'Friday' });
      case 'step': {
        const token = mcpReq['_meta']?.progressToken;
        for (const progress of token === undefined ? [] : [1, 2, 3])
          await mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token as string, progress, total: 3 } });
        return { content: [text('done')] };
      }
      case 'wait': {
        counts.waiting += 1;
        await new Promise<void>((resolve) => mcpReq.signal.addEventListener('abort', () => resolve(), { once: true }));
        counts.waiting -= 1;
        counts.cancelled += 1;
        return { content: [text('cancelled')] };
      }
      default:
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    }
  });
  return server;
}

/** Speaks 2026-07-28, and the older revisions without sessions. */
export async function startDualEraServer(): Promise<OfficialServer> {
  const counts: Counts = { waiting: 0, cancelled: 0 };
  const handler = createMcpHandler(() => tools(counts));
  const node = toNodeHandler(handler);
  return listening((request, response) => void node(request as NodeIncomingMessageLike, response), {
    counts,
    restart: () => {},
    end: () => handler.close(),
  });
}

/** Speaks the older revisions alone, in sessions. */
export async function startLegacyServer(): Promise<OfficialServer> {
  const counts: Counts = { waiting: 0, cancelled: 0 };
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const opened = async (): Promise<NodeStreamableHTTPServerTransport> => {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await tools(counts).connect(transport);
    return transport;
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (id !== undefined && known === undefined) response.writeHead(404).end();
    else await (known ?? (await opened())).handleRequest(request, response);
  };
  return listening((request, response) => void serve(request, response), { counts, restart: () => sessions.clear(), end: async () => {} });
}

async function listening(
  onRequest: RequestListener,
  { counts, restart, end }: { counts: Counts; restart: () => void; end: () => Promise<void> },
): Promise<OfficialServer> {
  const server = createServer(onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    waiting: () => counts.waiting,
    cancelled: () => counts.cancelled,
    restart,
    close: async () => {
      await end();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
