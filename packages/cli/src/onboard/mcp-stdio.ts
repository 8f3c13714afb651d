/**
 * An MCP server that is a command: one message a line on its standard input and output. Its environment is the few names
 * that a program needs to start, so that it cannot list what it finds in ours; its standard error goes nowhere.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readUpstreamMessage } from '@sallyport/dialects';
import type { RpcId } from '@sallyport/dialects';
import { Fault } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import { reasonOf } from '../files.ts';
import type { Io } from '../io.ts';
import { ANSWER_BYTES_MAX, ASIDES_MAX, ServerFault } from './mcp-wire.ts';
import type { McpWire, WireAnswer } from './mcp-wire.ts';

/** A package runner may have to fetch the server first. */
const ANSWER_MS_MAX = 60_000;
const END_MS_MAX = 2_000;
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TEMP', 'SYSTEMROOT', 'APPDATA', 'LOCALAPPDATA', 'USERPROFILE'];
const LF = 0x0a;

/** Starts the command in the folder of the terminal. */
export function stdioWire(argv: readonly [string, ...string[]], io: Pick<Io, 'clock' | 'signal' | 'env' | 'cwd'>): McpWire {
  const [command, ...args] = argv;
  const env = Object.fromEntries(PASSED_ON.flatMap((name) => (io.env[name] === undefined ? [] : [[name, io.env[name]]])));
  const child = spawn(command, args, { cwd: io.cwd, env, stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = linesOf(child);
  const write = (message: Uint8Array): void => {
    child.stdin?.write(message);
    child.stdin?.write('\n');
  };
  return {
    name: `\`${command}\``,
    async ask(id, message) {
      const fault = (): Fault => new Fault('upstream_timeout', 'upstream', `no answer within ${ANSWER_MS_MAX / 1_000} s`);
      const over = deadline(io.clock, ANSWER_MS_MAX, { signal: io.signal, fault });
      try {
        write(message);
        return await answerTo(id, lines, { write, signal: over.signal });
      } finally {
        over.clear();
      }
    },
    async tell(message) {
      write(message);
    },
    async close() {
      await ended(child, io);
    },
  };
}

interface Lines {
  /** The next line; rejects with a Fault once there will be none. */
  next(signal: AbortSignal): Promise<Uint8Array>;
}

async function answerTo(
  id: RpcId,
  lines: Lines,
  { write, signal }: { readonly write: (message: Uint8Array) => void; readonly signal: AbortSignal },
): Promise<WireAnswer> {
  for (let asides = 0; asides <= ASIDES_MAX; asides++) {
    const line = await lines.next(signal);
    const read = readUpstreamMessage(line, id, { bytesMax: ANSWER_BYTES_MAX });
    if (!read.ok)
      throw new ServerFault(`a line of its output is no message of MCP: ${read.error.message}`, {
        remedy: 'a stdio server logs to standard error',
      });
    const message = read.value;
    if (message.kind === 'request') write(message.answer);
    else if (message.kind !== 'notification') return { message, sessionId: undefined };
  }
  throw new ServerFault(`more than ${ASIDES_MAX} messages came before the answer`);
}

/** Cuts the child's output into lines; holds at most what one answer may have. */
function linesOf(child: ChildProcess): Lines {
  // Owner: this reader. Whole lines that nobody has taken, and the beginning of the next.
  const state: { ready: Uint8Array[]; readyBytes: number; rest: Buffer; over: Fault | undefined; wake: () => void } = {
    ready: [],
    readyBytes: 0,
    rest: Buffer.alloc(0),
    over: undefined,
    wake: () => undefined,
  };
  const end = (fault: Fault): void => {
    state.over ??= fault;
    state.wake();
  };
  child.stdin?.on('error', () => undefined);
  child.once('error', (error) =>
    end(new Fault('upstream_unreachable', 'upstream', `cannot be started: ${reasonOf(error)}`, { cause: error })),
  );
  child.once('close', (code, signal) =>
    end(new Fault('upstream_unreachable', 'upstream', `the command ended (${String(code ?? signal)})`)),
  );
  child.stdout?.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      const line = new Uint8Array(Buffer.concat([state.rest, chunk.subarray(from, at)]));
      state.rest = Buffer.alloc(0);
      from = at + 1;
      if (line.some((byte) => byte > 0x20)) {
        state.ready.push(line);
        state.readyBytes += line.byteLength;
      }
    }
    state.rest = Buffer.concat([state.rest, chunk.subarray(from)]);
    if (state.readyBytes + state.rest.byteLength > ANSWER_BYTES_MAX) {
      child.kill('SIGKILL');
      end(new ServerFault(`more than ${ANSWER_BYTES_MAX} bytes came without being asked for`));
    }
    state.wake();
  });
  return {
    async next(signal) {
      for (;;) {
        const line = state.ready.shift();
        if (line !== undefined) {
          state.readyBytes -= line.byteLength;
          return line;
        }
        if (state.over !== undefined) throw state.over;
        await new Promise<void>((resolve, reject) => {
          const stop = (): void => reject(signal.reason as Error);
          if (signal.aborted) stop();
          else signal.addEventListener('abort', stop, { once: true });
          state.wake = () => {
            signal.removeEventListener('abort', stop);
            resolve();
          };
        });
      }
    },
  };
}

/** Closes its input, as the transport says, and does not wait long. */
async function ended(child: ChildProcess, io: Pick<Io, 'clock'>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin?.end();
  const limit = new AbortController();
  io.clock.timer(END_MS_MAX, () => child.kill('SIGKILL'), { signal: limit.signal });
  await gone;
  limit.abort();
}
