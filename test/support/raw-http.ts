/** HTTP by hand, for what no client library sends. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { HttpAnswer } from './world.ts';

const ANSWER_MS_MAX = 10_000;

/** A connection on which bytes are written as they are. */
export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): void;
  /** The next whole answer (by its Content-Length, or to the connection's end). Rejects where the connection ends without one. */
  answer(): Promise<HttpAnswer>;
  close(): void;
}

export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await once(socket, 'connect');
  let received = Buffer.alloc(0);
  let isOver = false;
  let wake = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  for (const event of ['end', 'close', 'error'] as const) {
    socket.on(event, () => {
      isOver = true;
      wake();
    });
  }
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    answer: async () => {
      const ceiling = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
      try {
        for (;;) {
          const parsed = parseAnswer(received, isOver);
          if (parsed !== undefined) {
            received = received.subarray(parsed.length);
            return parsed.answer;
          }
          if (isOver) throw new Error(`no answer, but ${JSON.stringify(received.toString('latin1').slice(0, 200))}`);
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        clearTimeout(ceiling);
      }
    },
    close: () => socket.destroy(),
  };
}

/** One connection, these bytes, one answer. */
export async function rawRequest(port: number, bytes: string | Uint8Array): Promise<HttpAnswer> {
  const connection = await rawConnection(port);
  try {
    connection.write(bytes);
    return await connection.answer();
  } finally {
    connection.close();
  }
}

/** A request as text: start line and fields as given, in their order, and a body. */
export function rawText(lines: readonly string[], body = ''): string {
  return [...lines, '', body].join('\r\n');
}

function parseAnswer(bytes: Buffer, isOver: boolean): { answer: HttpAnswer; length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [statusLine = '', ...fields] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]),
  );
  const bodyStart = headEnd + 4;
  const length = headers['content-length'] === undefined ? undefined : bodyStart + Number(headers['content-length']);
  if (length === undefined ? !isOver : bytes.length < length) return undefined;
  const text = bytes.subarray(bodyStart, length).toString();
  const status = Number(statusLine.split(' ')[1]);
  const answer = { status, headers, text, json: () => JSON.parse(text) as Record<string, unknown> };
  return { answer, length: length ?? bytes.length };
}
