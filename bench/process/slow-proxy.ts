/** Stands in front of a port and holds every answer back: for the test that the bench notices. Arguments: port, milliseconds. */

import { connect, createServer } from 'node:net';

const [port, ms] = process.argv.slice(2).map(Number);

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host: '127.0.0.1', port: port ?? 0, noDelay: true });
  client.on('data', (chunk) => upstream.write(chunk));
  upstream.on('data', (chunk) => setTimeout(() => client.write(chunk), ms));
  client.on('close', () => upstream.destroy()).on('error', () => undefined);
  upstream.on('close', () => client.destroy()).on('error', () => undefined);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has a port');
  console.log(JSON.stringify({ port: address.port }));
});
