import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@sallyport/runtime';
import { Fault } from '@sallyport/model';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { doorKey, openDoor } from './door.ts';
import type { Door } from './door.ts';
import type { DevSession } from './session.ts';

interface Heard {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

const KEY = 'AAAAAAAAAAAAAAAAAAAAAA';
let heard: Heard[];
let answer: (request: IncomingMessage, nth: number) => { status: number; headers?: Record<string, string>; parts: readonly string[] };
let sidecar: Server;
let door: Door;
let tokens: string[];
let over: string[];
let failures: unknown[];

const session: DevSession = {
  current: async () => {
    const [token = 'T0'] = tokens;
    if (token === 'none') throw new Fault('upstream_protocol', 'upstream', 'while opening a session: agent_not_registered');
    return { id: 's', token };
  },
  isOver: (token) => {
    over.push(token);
    tokens.shift();
  },
};

beforeEach(async () => {
  [heard, tokens, over, failures] = [[], ['T1', 'T2'], [], []];
  answer = () => ({ status: 200, headers: { 'content-type': 'text/plain', 'x-own': 'kept' }, parts: ['one', 'two'] });
  sidecar = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      heard.push({
        method: request.method ?? '',
        url: request.url ?? '',
        rawHeaders: request.rawHeaders,
        body: Buffer.concat(chunks).toString(),
      });
      const { status, headers, parts } = answer(request, heard.length);
      response.writeHead(status, headers);
      for (const part of parts) response.write(part);
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(sidecar, 'listening');
  door = await openDoor({
    port: 0,
    sidecarPort: (sidecar.address() as AddressInfo).port,
    key: KEY,
    session,
    clock: systemClock(),
    onFailure: (error) => failures.push(error),
  });
});
afterEach(async () => {
  await door.drain();
  sidecar.close();
});

async function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<{ status: number; headers: IncomingMessage['headers']; text: string }> {
  const { port } = new URL(door.url);
  const sent = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: options.method ?? 'GET',
    headers: options.headers ?? {},
    agent: false,
  });
  sent.end(options.body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}
const valueOf = (raw: readonly string[], name: string): readonly string[] =>
  raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name);

describe('the door', () => {
  it('hands on method, target, headers and body as they are, with the session, and the answer as it comes', async () => {
    const { port } = new URL(door.url);
    const body = 'x'.repeat(300_000);
    const got = await ask(`/s/${KEY}/mcp/orders?a=%2f#`.replace('#', ''), {
      method: 'POST',
      headers: { 'X-Twice': 'a, b', 'Content-Type': 'application/json' },
      body,
    });
    expect(got).toMatchObject({ status: 200, text: 'onetwo', headers: { 'x-own': 'kept', 'content-type': 'text/plain' } });
    expect(heard[0]).toMatchObject({ method: 'POST', url: '/mcp/orders?a=%2f', body });
    const { rawHeaders } = heard[0] as Heard;
    expect([valueOf(rawHeaders, 'sallyport-session'), valueOf(rawHeaders, 'x-twice'), valueOf(rawHeaders, 'content-type')]).toEqual([
      ['T1'],
      ['a, b'],
      ['application/json'],
    ]);
    expect(valueOf(rawHeaders, 'host')).toEqual([`127.0.0.1:${port}`]);
  });

  it('hides no page behind itself: the sidecar sees the name that was rebound, and the origin', async () => {
    await ask(`/s/${KEY}/tools/a/b`, { headers: { host: 'rebound.example:80', origin: 'http://rebound.example' } });
    const { rawHeaders } = heard[0] as Heard;
    expect([valueOf(rawHeaders, 'host'), valueOf(rawHeaders, 'origin')]).toEqual([['rebound.example:80'], ['http://rebound.example']]);
  });

  it.each([
    ['another key', `/s/${'B'.repeat(22)}/tools/a/b`],
    ['a key with more behind it', `/s/${KEY}x/tools/a/b`],
    ['no key', '/tools/a/b'],
    ['a key alone', `/s/${KEY}`],
    ['a key as a query', `/?s=${KEY}`],
  ])('opens nothing to %s', async (_, path) => {
    expect((await ask(path)).status).toBe(404);
    expect(heard).toEqual([]);
  });

  it('leaves a session that the client names alone, and does not give up its own for it', async () => {
    answer = () => ({ status: 401, parts: [] });
    expect((await ask(`/s/${KEY}/tools/a/b`, { headers: { 'SALLYPORT-SESSION': 'mine' } })).status).toBe(401);
    expect(valueOf(heard[0]?.rawHeaders ?? [], 'sallyport-session')).toEqual(['mine']);
    expect(over).toEqual([]);
  });

  it('gives up a session that the sidecar does not know any more: the next call has another', async () => {
    answer = (_, nth) => ({ status: nth === 1 ? 401 : 200, parts: [] });
    expect((await ask(`/s/${KEY}/tools/a/b`)).status).toBe(401);
    expect((await ask(`/s/${KEY}/tools/a/b`)).status).toBe(200);
    expect([over, heard.map(({ rawHeaders }) => valueOf(rawHeaders, 'sallyport-session')[0])]).toEqual([['T1'], ['T1', 'T2']]);
  });

  it('says why where no session can be had, and where the sidecar is gone', async () => {
    tokens = ['none'];
    expect(await ask(`/s/${KEY}/tools/a/b`)).toMatchObject({
      status: 502,
      text: 'sallyport dev: while opening a session: agent_not_registered\n',
    });
    tokens = ['T1'];
    sidecar.close();
    sidecar.closeAllConnections();
    expect(await ask(`/s/${KEY}/tools/a/b`)).toMatchObject({ status: 502, text: 'sallyport dev: the sidecar does not answer\n' });
    expect(failures).toHaveLength(2);
  });

  it('rejects a port that is taken', async () => {
    const { port } = sidecar.address() as AddressInfo;
    const options = { port, sidecarPort: port, key: KEY, session, clock: systemClock(), onFailure: () => undefined };
    await expect(openDoor(options)).rejects.toMatchObject({ code: 'listen_failed' });
  });
});

describe('its key', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-door-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  // Not run on Windows: it has no modes of files, which tell our own key from one that came along.
  it.skipIf(process.platform === 'win32')('is not one that came with a checkout, which its sender knows', () => {
    const file = join(dir, 'url-key');
    writeFileSync(file, KEY, { mode: 0o644 });
    expect(doorKey(file, systemRandom)).not.toBe(KEY);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    symlinkSync(file, join(dir, 'link'));
    expect(doorKey(join(dir, 'link'), systemRandom)).not.toBe(readFileSync(file, 'utf8'));
  });

  it('is made once, for its owner alone, and kept; what is no key is replaced', () => {
    const file = join(dir, 'url-key');
    const key = doorKey(file, systemRandom);
    expect(key).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect([doorKey(file, systemRandom), statSync(file).mode & 0o777]).toEqual([key, 0o600]);
    writeFileSync(file, '');
    expect(doorKey(file, systemRandom)).not.toBe(key);
    expect(readFileSync(file, 'utf8')).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });
});
