/**
 * Two real MCP servers from npm, unmodified, on loopback: `server-everything` speaks streamable HTTP itself,
 * `server-filesystem` speaks stdio and is bridged. Every process is ended by its pid.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Fault } from '@sallyport/model';
import { processEnvironment } from '@sallyport/runtime';
import type { RunningMcpServer, StdioServer } from './stdio-bridge.ts';

export type { RunningMcpServer, StdioServer } from './stdio-bridge.ts';

const require = createRequire(import.meta.url);

/**
 * Runs inside the server's process before its own code. The server asks for `PORT` on every interface and never says
 * which port it got; here every listener is moved to an ephemeral port of 127.0.0.1 and reported to the parent.
 */
const MOVE_TO_LOOPBACK = `
import { Server } from 'node:net';
const listen = Server.prototype.listen;
Server.prototype.listen = function (...args) {
  this.once('listening', () => process.send({ port: this.address().port }));
  const last = args.at(-1);
  return listen.call(this, { port: 0, host: '127.0.0.1' }, typeof last === 'function' ? last : undefined);
};
process.on('disconnect', () => process.exit(0));
`;

/** Starts `@modelcontextprotocol/server-everything` in its streamable HTTP mode. Rejects if the process ends before it listens. */
export async function startEverything(): Promise<RunningMcpServer> {
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(MOVE_TO_LOOPBACK)}`, entryOf('server-everything'), 'streamableHttp'],
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], env: { PATH: processEnvironment()['PATH'] } },
  );
  const port = await reportedPort(child);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    pids: () => (child.exitCode === null && child.signalCode === null && child.pid !== undefined ? [child.pid] : []),
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Serves `@modelcontextprotocol/server-filesystem` for one directory; it refuses paths outside of it. */
export async function startFilesystem(directory: string): Promise<RunningMcpServer> {
  return startStdioServer({ command: process.execPath, args: [entryOf('server-filesystem'), directory] });
}

/** Serves any stdio MCP server over streamable HTTP on loopback. */
export async function startStdioServer(server: StdioServer): Promise<RunningMcpServer> {
  // Only who bridges pays for loading the SDK.
  const { serveStdio } = await import('./stdio-bridge.ts');
  return serveStdio(server);
}

function entryOf(name: string): string {
  const packageName = `@modelcontextprotocol/${name}`;
  try {
    return require.resolve(`${packageName}/dist/index.js`);
  } catch (cause) {
    const why = `\`${packageName}\` is not installed beside this command: npm install ${packageName}`;
    throw new Fault('config_invalid', 'internal', why, { cause });
  }
}

async function reportedPort(child: ChildProcess): Promise<number> {
  const ended = new AbortController();
  try {
    return await Promise.race([
      once(child, 'message', { signal: ended.signal }).then(([message]) => (message as { port: number }).port),
      once(child, 'exit', { signal: ended.signal }).then(([code, signal]) => {
        throw new Error(`the server ended before it listened (${String(code ?? signal)})`);
      }),
    ]);
  } finally {
    ended.abort();
  }
}
