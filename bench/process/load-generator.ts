/**
 * Load on one port of 127.0.0.1, over sockets, in a process of its own. `open`: calls begin at a constant rate whatever
 * became of those before, so that a slow answer delays no question and hides nothing (coordinated omission); a call for
 * which no connection is free waits, and its time runs. `closed`: every connection asks again once it is answered.
 *
 * Reads a `Load` from standard input; writes a `Measured` to standard output.
 */

import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Load, Measured } from '../support/load.ts';

const load = JSON.parse(await text(process.stdin)) as Load;
const REQUEST = Buffer.from(
  `POST ${load.path} HTTP/1.1\r\nHost: 127.0.0.1:${load.port}\r\n${Object.entries(load.headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}Content-Length: ${Buffer.byteLength(load.body)}\r\n\r\n${load.body}`,
);
const LENGTH = /^content-length: *(\d+)/im;
/** Calls that wait for a connection; more means that the proxy does not keep up, and the run is worthless. */
const WAITING_MAX = 5_000;

/** One connection, one call at a time. */
class Line {
  readonly #socket: Socket;
  readonly #onFree: (line: Line) => void;
  #held: Buffer = Buffer.alloc(0);
  #dueAt = 0;

  constructor(onFree: (line: Line) => void) {
    this.#onFree = onFree;
    this.#socket = connect({ host: '127.0.0.1', port: load.port, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (error) => end(`a connection failed: ${error.message}`));
    this.#socket.on('close', () => end('a connection was closed'));
  }

  ask(dueAt: number): void {
    this.#dueAt = dueAt;
    this.#socket.write(REQUEST);
  }

  #take(chunk: Buffer): void {
    const held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = held;
    const headEnd = held.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const head = held.toString('latin1', 0, headEnd);
    if (held.length < headEnd + 4 + Number(LENGTH.exec(head)?.[1] ?? 0)) return;
    this.#held = held.subarray(held.length);
    const now = performance.now();
    if (!head.startsWith('HTTP/1.1 200')) end(`answered ${held.toString('utf8').slice(0, 600)}`);
    if (now >= countFrom && now < endAt) {
      answered += 1;
      times.push(now - this.#dueAt);
    }
    this.#onFree(this);
  }
}

// Owner of all below: this process.
const begunAt = performance.now();
const countFrom = begunAt + load.warmUpSeconds * 1_000;
const endAt = countFrom + load.seconds * 1_000;
const times: number[] = [];
const late: number[] = [];
let answered = 0;
let isOver = false;

function end(failure?: string): void {
  if (isOver) return;
  isOver = true;
  if (failure !== undefined) {
    console.error(`load generator: ${failure}`);
    process.exit(1);
  }
  const measured: Measured = {
    perSecond: answered / load.seconds,
    ms: [...Float64Array.from(times).toSorted()],
    lateMs: [...Float64Array.from(late).toSorted()],
  };
  process.stdout.write(JSON.stringify(measured), () => process.exit(0));
}

function closed(): void {
  const again = (line: Line): void => {
    const now = performance.now();
    if (now >= endAt) end();
    else line.ask(now);
  };
  for (let i = 0; i < load.connections; i++) again(new Line(again));
}

/**
 * A timer wakes a millisecond or so late, by what else runs on this core; a call that is due meanwhile counts from when we
 * woke, since that delay is ours. How late we were is in the report.
 */
function open(ratePerSecond: number): void {
  const free: Line[] = [];
  const waiting: number[] = [];
  let [head, due] = [0, begunAt];
  const onFree = (line: Line): void => {
    const dueAt = waiting[head];
    if (dueAt === undefined) {
      free.push(line);
      return;
    }
    head += 1;
    line.ask(dueAt);
  };
  for (let i = 0; i < load.connections; i++) free.push(new Line(onFree));
  const wake = (): void => {
    const now = performance.now();
    if (now >= endAt) return end();
    for (; due <= now; due += 1_000 / ratePerSecond) {
      if (due >= countFrom) late.push(now - due);
      const line = free.pop();
      if (line !== undefined) line.ask(now);
      else if (waiting.push(now) - head > WAITING_MAX) return end(`more than ${WAITING_MAX} calls wait for a connection`);
    }
    setTimeout(wake, 1);
  };
  wake();
}

if (load.ratePerSecond === undefined) closed();
else open(load.ratePerSecond);
