/**
 * An MCP server (2025-11-25) whose one tool says at once how far it is and answers a while later, as an event stream: what
 * the first message of a stream costs on its way is measured against it.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const THINKS_MS = 20;

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly _meta?: { readonly progressToken?: number | string } };
}

async function read(incoming: IncomingMessage): Promise<Message | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString()) as Message);
}

const event = (message: object): string => `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
const INFO = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1' } };

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const message = await read(incoming);
  if (message?.method === 'initialize') {
    outgoing.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'bench' });
    outgoing.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: INFO }));
    return;
  }
  if (message?.method !== 'tools/call') {
    outgoing.writeHead(202).end();
    return;
  }
  const { progressToken } = message.params?.['_meta'] ?? {};
  outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
  outgoing.write(event({ method: 'notifications/progress', params: { progressToken, progress: 1, total: 2 } }));
  setTimeout(() => outgoing.end(event({ id: message.id, result: { content: [{ type: 'text', text: 'done' }] } })), THINKS_MS);
}

const server = createServer((incoming, outgoing) => {
  answer(incoming, outgoing).catch((error: unknown) => {
    console.error(error);
    outgoing.destroy();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has a port');
  console.log(JSON.stringify({ port: address.port }));
});
