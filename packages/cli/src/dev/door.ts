/**
 * The way in for clients that are told a URL and nothing else: requests to it are handed on to the sidecar with the
 * session of this `dev`. It judges nothing and changes nothing but that header; whoever knows the URL may act in that
 * session, which is why part of it is secret. A request that names a session of its own keeps it.
 */

import { lstatSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { digestOf, encodeBase64Url, utf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import type { Clock, Random } from '@sallyport/model';
import { startHttpListener } from '@sallyport/net';
import type { HttpExchange, HttpListener } from '@sallyport/net';
import { readText, writeFile } from '../files.ts';
import type { DevSession, Opened } from './session.ts';

export interface DoorOptions {
  /** 0 for any that is free. */
  readonly port: number;
  readonly sidecarPort: number;
  readonly key: string;
  readonly session: DevSession;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

export interface Door {
  /** With the key in it, without a slash at its end. */
  readonly url: string;
  drain(): Promise<void>;
}

const KEY_BYTES = 16;
const KEY = /^[A-Za-z0-9_-]{22}$/;
/**
 * Of one connection, and about it: never handed on (RFC 9110 section 7.6.1). `Host` is not among them: the sidecar refuses
 * names that are not this machine's (DNS rebinding), and can do so only where it sees what the client asked for.
 */
const OWN_HEADERS: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'expect']);
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
  'upgrade',
  'trailer',
]);
const SESSION = 'Sallyport-Session';

/**
 * The key of a state folder, kept there so that the URL of a client stays good over many runs. One that others can read
 * is replaced: it may have come with a checkout, and be known to whoever put it there.
 */
export function doorKey(file: string, random: Random): string {
  const known = readText(file, { bytesMax: 64 });
  if (known.ok && KEY.test(known.value) && isOwnersAlone(file)) return known.value;
  const key = encodeBase64Url(random(KEY_BYTES));
  const written = writeFile(file, key, { mode: 0o600, as: 'replacement' });
  if (!written.ok) throw new Fault('store_failed', 'internal', `\`${file}\`: ${written.error.message}`);
  return key;
}

/** Windows has no modes to judge by. */
function isOwnersAlone(file: string): boolean {
  return process.platform === 'win32' || (lstatSync(file).mode & 0o077) === 0;
}

/** Rejects with a Fault `listen_failed` where the port is taken. */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { clock, onFailure } = options;
  const listener: HttpListener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: options.port },
    clock,
    onExchange: async (exchange) => answered(exchange, options),
    onRefusal: () => undefined,
    onBug: onFailure,
  });
  const port = listener.address.kind === 'tcp' ? listener.address.port : 0;
  return { url: `http://127.0.0.1:${port}/s/${options.key}`, drain: async () => listener.drain({ graceMs: 0 }) };
}

async function answered(exchange: HttpExchange, options: DoorOptions): Promise<void> {
  const target = targetBehind(exchange.target, options.key);
  if (target === undefined || exchange.kind !== 'request') return say(exchange, 404, 'not found\n');
  const isOwn = exchange.rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === SESSION.toLowerCase());
  try {
    const session = isOwn ? undefined : await options.session.current();
    const answer = await handOn(exchange, { target, session, port: options.sidecarPort });
    // An idle session ends before its token does; only the sidecar knows.
    if (answer.statusCode === 401 && session !== undefined) options.session.isOver(session.token);
    await exchange.respond({ status: answer.statusCode ?? 502, headers: pairsOf(answer.rawHeaders, FRAMING) }, answer);
  } catch (error) {
    if (exchange.signal.aborted) return;
    if (!(error instanceof Fault)) throw error;
    options.onFailure(error);
    await say(exchange, 502, `sallyport dev: ${error.message}\n`);
  }
}

/** What stands behind the key; `undefined` where the key is another. Compared by digest, so that time tells nothing. */
function targetBehind(target: string, key: string): string | undefined {
  const [, given = '', rest = ''] = /^\/s\/([^/?#]{1,64})(\/[^#]*)$/.exec(target) ?? [];
  return digestOf(utf8(given)) === digestOf(utf8(key)) ? rest : undefined;
}

interface Passed {
  readonly target: string;
  readonly session: Opened | undefined;
  readonly port: number;
}

async function handOn(exchange: HttpExchange, { target, session, port }: Passed): Promise<IncomingMessage> {
  const headers = [...pairsOf(exchange.rawHeaders, OWN_HEADERS), ...(session === undefined ? [] : [[SESSION, session.token]])].flat();
  const { method, signal } = exchange;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({ host: '127.0.0.1', port, method, path: target, headers, signal, agent: false }, resolve);
  sent.on('error', (cause) => reject(new Fault('upstream_unreachable', 'upstream', 'the sidecar does not answer', { cause })));
  try {
    for await (const chunk of exchange.body()) if (!sent.write(chunk)) await drained(sent);
    sent.end();
  } catch (cause) {
    sent.destroy();
    throw cause instanceof Fault ? cause : new Fault('aborted', 'downstream', 'the request broke off', { cause });
  }
  return promise;
}

function drained(sent: ReturnType<typeof request>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close'] as const) sent.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close'] as const) sent.once(event, done);
  });
}

function pairsOf(raw: readonly string[], without: ReadonlySet<string>): readonly (readonly [string, string])[] {
  return raw.flatMap((name, i) => (i % 2 === 0 && !without.has(name.toLowerCase()) ? [[name, raw[i + 1] ?? ''] as const] : []));
}

async function say(exchange: HttpExchange, status: number, text: string): Promise<void> {
  await exchange.respond(
    {
      status,
      headers: [
        ['content-type', 'text/plain; charset=utf-8'],
        ['cache-control', 'no-store'],
      ],
    },
    utf8(text),
  );
}
