/** A line between two processes that a test can cut, freeze, or cut in the middle of a message. It knows nothing of what it carries. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Connections taken so far. */
  readonly connections: number;
  /** Bytes that have passed, both ways together. */
  readonly bytes: number;
  /** Every connection is reset, and new ones are as soon as they come. */
  cut(): void;
  /** Nothing passes and nothing ends: packets that get lost. */
  freeze(): void;
  /** Resets each connection once so many bytes have come down it, in the middle of whatever that is. */
  cutAfter(bytesDown: number): void;
  /** The line is whole again. What was frozen goes on. */
  heal(): void;
  close(): Promise<void>;
}

/** Listens on an ephemeral port of 127.0.0.1 and passes everything on to `to`. */
export async function tcpProxy(to: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  // Owner of everything below: this proxy.
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  let mode: 'open' | 'cut' | 'frozen' = 'open';
  let cutAfter = Number.POSITIVE_INFINITY;
  let [connections, bytes] = [0, 0];

  const server = createServer((near) => {
    connections += 1;
    if (mode === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(to);
    const pair = { near, far };
    pairs.add(pair);
    let down = 0;
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, onto] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', end);
      from.on('close', end);
      from.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        const left = from === far ? cutAfter - down : Number.POSITIVE_INFINITY;
        if (from === far) down += chunk.length;
        if (chunk.length <= left) {
          if (!onto.write(chunk)) {
            from.pause();
            onto.once('drain', () => mode !== 'frozen' && from.resume());
          }
          return;
        }
        onto.write(chunk.subarray(0, Math.max(0, left)), () => {
          near.resetAndDestroy();
          end();
        });
      });
    }
    if (mode === 'frozen') for (const socket of [near, far]) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { address: host, port } = server.address() as AddressInfo;
  const resetAll = (): void => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    pairs.clear();
  };
  return {
    host,
    port,
    get connections() {
      return connections;
    },
    get bytes() {
      return bytes;
    },
    cut() {
      mode = 'cut';
      resetAll();
    },
    freeze() {
      mode = 'frozen';
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.pause();
    },
    cutAfter(bytesDown) {
      cutAfter = bytesDown;
    },
    heal() {
      mode = 'open';
      cutAfter = Number.POSITIVE_INFINITY;
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.resume();
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      resetAll();
      await closed;
    },
  };
}
