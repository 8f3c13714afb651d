/** Redis from the PATH, on a Unix socket of its own, without persistence. */

import { join } from 'node:path';
import { firstAnswer, type Running, startServer } from './running.ts';

export function startRedis(): Promise<Running> {
  const socket = (directory: string): string => join(directory, 'redis.sock');
  return startServer({
    name: 'redis',
    command: (directory) => ({
      file: 'redis-server',
      args: ['--port', '0', '--unixsocket', socket(directory), '--save', '', '--appendonly', 'no', '--dir', directory],
    }),
    ready: /version=([0-9.]+)[\s\S]*ready to accept connections/i,
    greet: async (match, directory) => {
      const answer = await firstAnswer({ path: socket(directory) }, Buffer.from('PING\r\n'));
      if (!answer.startsWith('+PONG')) throw new Error(`redis answered PING with \`${answer.trim()}\``);
      return { detail: `redis ${match[1] ?? '?'}`, address: socket(directory) };
    },
  });
}
