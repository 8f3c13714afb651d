/** NATS from the PATH, on a port that the kernel picks, with JetStream on disk. */

import { firstAnswer, type Running, startServer } from './running.ts';

export function startNats(): Promise<Running> {
  return startServer({
    name: 'nats',
    command: (directory) => ({
      file: 'nats-server',
      args: ['--addr', '127.0.0.1', '--port', '-1', '--jetstream', '--store_dir', directory],
    }),
    ready: /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/,
    greet: async (match) => {
      const port = Number(match[1]);
      const info = await firstAnswer({ host: '127.0.0.1', port });
      if (!info.startsWith('INFO {')) throw new Error(`nats-server said \`${info.slice(0, 40)}\` instead of INFO`);
      return { detail: `nats-server ${/"version":"([^"]+)"/.exec(info)?.[1] ?? '?'}`, address: `nats://127.0.0.1:${port}` };
    },
  });
}
