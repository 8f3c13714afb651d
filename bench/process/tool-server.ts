/**
 * The tool behind everything that is measured: answers any request with one kilobyte of JSON. On sockets, without Node's
 * HTTP, so that it takes as little as it can of the core that it shares with the load. Where nginx is at hand that answers.
 */

import { createServer } from 'node:net';
import { ANSWER_BODY } from '../support/policy.ts';

const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(ANSWER_BODY)}\r\n\r\n${ANSWER_BODY}`,
);
const LENGTH = /^content-length: *(\d+)/im;

const server = createServer({ noDelay: true }, (socket) => {
  let held: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      const end = held.indexOf('\r\n\r\n');
      if (end === -1) return;
      const whole = end + 4 + Number(LENGTH.exec(held.toString('latin1', 0, end))?.[1] ?? 0);
      if (held.length < whole) return;
      held = held.subarray(whole);
      socket.write(ANSWER);
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has a port');
  console.log(JSON.stringify({ port: address.port }));
});
