/**
 * Ports for processes of our own, known before they listen. From below those that a system gives to whoever asks for any (from
 * 32768 on Linux, from 49152 elsewhere): one of these could be somebody's between the moment it is known and its use.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { systemRandom } from '@sallyport/runtime';

const LOWEST = 20_000;
const COUNT = 12_000;
const TRIES_MAX = 200;

/** As many distinct free ports of 127.0.0.1. Held together until all are known, so that no two are the same. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count; tries++) {
      if (tries > TRIES_MAX) throw new Error(`no ${count} ports of 127.0.0.1 are free between ${LOWEST} and ${LOWEST + COUNT}`);
      const port = LOWEST + (new DataView(systemRandom(4).buffer).getUint32(0) % COUNT);
      const server = createServer();
      server.listen(port, '127.0.0.1');
      const isFree = await once(server, 'listening').then(
        () => true,
        () => false,
      );
      if (!isFree) continue;
      held.push(server);
      ports.push(port);
    }
    return ports;
  } finally {
    for (const server of held) server.close();
  }
}
