/**
 * A yardstick: node:http in front, undici behind, both bodies held whole as a proxy must that looks at them, and nothing
 * looked at. Its argument is the tool server's port.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Pool } from 'undici';

const pool = new Pool(`http://127.0.0.1:${Number(process.argv[2])}`, { connections: 64, pipelining: 1 });

async function pass(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer): Promise<void> {
  const { method = 'GET', url: path = '/', headers } = incoming;
  // Of this connection alone; undici refuses it.
  const { connection: _connection, ...forwarded } = headers;
  const answer = await pool.request({ method, path, headers: forwarded, body });
  const bytes = await answer.body.bytes();
  outgoing.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']), 'content-length': bytes.length });
  outgoing.end(bytes);
}

const server = createServer((incoming, outgoing) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    pass(incoming, outgoing, Buffer.concat(chunks)).catch(() => outgoing.destroy());
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has a port');
  console.log(JSON.stringify({ port: address.port }));
});
