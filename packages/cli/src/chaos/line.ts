/**
 * The line from a sidecar to its control plane, in an attacker's hands: it passes, holds, or leads somewhere else. It knows
 * nothing of what it carries, which is under TLS.
 */

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Line {
  readonly port: number;
  /** Connections are reset, and lead to this port of 127.0.0.1 from now on; nothing that is held stays so. */
  leadTo(port: number): void;
  /** Nothing passes and nothing ends: what comes is swallowed for as long as this lasts. */
  hold(): void;
  /** Connections are reset, and new ones are as soon as they come. */
  cut(): void;
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and leads to `port`. */
export async function openLine(port: number): Promise<Line> {
  // Owner of everything below: this line.
  const pairs = new Set<readonly [near: Socket, far: Socket]>();
  let mode: 'open' | 'held' | 'cut' = 'open';
  let target = port;
  const server = createServer((near) => {
    // Errors of a line that is cut on purpose are its business.
    near.on('error', () => near.destroy());
    if (mode === 'cut') near.resetAndDestroy();
    else join(near);
  });
  const join = (near: Socket): void => {
    const far = connect({ host: '127.0.0.1', port: target });
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.pipe(far);
    far.pipe(near);
    if (mode === 'held') for (const socket of pair) socket.unpipe().pause();
  };
  const reset = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    pairs.clear();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    leadTo(next) {
      target = next;
      mode = 'open';
      reset();
    },
    hold() {
      mode = 'held';
      for (const pair of pairs) for (const socket of pair) socket.unpipe().pause();
    },
    cut() {
      mode = 'cut';
      reset();
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      reset();
      await closed;
    },
  };
}
