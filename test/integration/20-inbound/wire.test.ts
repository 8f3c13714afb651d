import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { recordingUpstream } from '@sallyport/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const REQUEST = { request: 'hello' };

describe('heads of two meanings', () => {
  let side: InboundSide;
  beforeAll(async () => {
    side = await startInbound();
  });
  afterAll(async () => side?.close());

  /** Status and code of what is answered first on a connection of these bytes. */
  async function said(bytes: string): Promise<string> {
    const socket = await side.raw();
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.on('error', () => undefined);
    const over = once(socket, 'close');
    socket.write(bytes);
    try {
      await eventually(() => /\r\n\r\n\{.*\}$/s.test(heard) || socket.destroyed, 'an answer');
      return `${heard.slice(9, 12)} ${/"code":"(\w+)"/.exec(heard)?.[1] ?? ''}`;
    } finally {
      socket.destroy();
      await over;
    }
  }
  const head = (...lines: string[]): string => [...lines, '', ''].join('\r\n');
  const bearer = (): string => `Authorization: Bearer ${side.token()}`;
  const json = ['Content-Type: application/json'];

  it.each<[string, () => string, string]>([
    [
      'two Host headers',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', 'Host: b', bearer(), 'Content-Length: 0'),
      '400 malformed_request',
    ],
    ['no Host', () => head(`POST ${INVOKE} HTTP/1.1`, bearer(), 'Content-Length: 0'), '400 malformed_request'],
    [
      'two Authorization headers',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), bearer(), 'Content-Length: 0'),
      '400 malformed_request',
    ],
    [
      'two session headers',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), 'Sallyport-Session: a', 'sallyport-session: b', 'Content-Length: 0'),
      '400 malformed_request',
    ],
    [
      'smuggling: a length beside chunks',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), ...json, 'Content-Length: 2', 'Transfer-Encoding: chunked'),
      '400 malformed_request',
    ],
    [
      'smuggling: chunks in HTTP/1.0',
      () => head(`POST ${INVOKE} HTTP/1.0`, 'Host: a', bearer(), ...json, 'Transfer-Encoding: chunked'),
      '400 malformed_request',
    ],
    [
      'smuggling: another coding',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), ...json, 'Transfer-Encoding: gzip, chunked'),
      '400 malformed_request',
    ],
    [
      'smuggling: two lengths',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), ...json, 'Content-Length: 2', 'Content-Length: 3'),
      '400 malformed_request',
    ],
    [
      'absolute form',
      () => head(`POST http://a${INVOKE} HTTP/1.1`, 'Host: a', bearer(), 'Content-Length: 0'),
      '400 direct_address_rejected',
    ],
    [
      'absolute form of another host',
      () => head(`POST http://10.0.0.5:8080${INVOKE} HTTP/1.1`, 'Host: a', bearer(), 'Content-Length: 0'),
      '400 malformed_request',
    ],
    ['CONNECT', () => head('CONNECT 10.0.0.5:8080 HTTP/1.1', 'Host: 10.0.0.5:8080', bearer()), '405 method_not_allowed'],
    [
      'an upgrade',
      () => head(`GET ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), 'Connection: upgrade', 'Upgrade: websocket'),
      '405 method_not_allowed',
    ],
    ['TRACE', () => head(`TRACE ${INVOKE} HTTP/1.1`, 'Host: a', bearer()), '405 method_not_allowed'],
    ['a head that is too large', () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', `X-A: ${'a'.repeat(20_000)}`), '431 headers_too_large'],
    [
      'a credential that Connection would drop',
      () => head(`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), 'Connection: authorization', 'Content-Length: 0'),
      '400 malformed_request',
    ],
  ])('%s', async (_name, bytes, expected) => {
    expect(await said(bytes())).toBe(expected);
    expect(side.agent.requests).toHaveLength(0);
  });

  it.each<[string, object, string]>([
    ['a form', { body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 'unsupported_content_type'],
    ['a body without a type', { body: '{}' }, 'unsupported_content_type'],
    [
      'a body in two codings',
      { body: '{}', headers: { 'content-type': 'application/json', 'content-encoding': 'gzip, gzip' } },
      'unsupported_content_type',
    ],
    ['a member twice', { body: '{"request":"a","request":"b"}', headers: { 'content-type': 'application/json' } }, 'malformed_request'],
    ['two documents', { body: '{}{}', headers: { 'content-type': 'application/json' } }, 'malformed_request'],
    ['no body', {}, 'malformed_request'],
    ['a body that is too large', { json: { request: 'a'.repeat(1_100_000) } }, 'payload_too_large'],
    ['a page of a browser', { json: REQUEST, headers: { origin: 'https://evil.example' } }, 'malformed_request'],
  ])('%s is refused', async (_name, asked, code) => {
    expect(codeOf(await side.ask(INVOKE, asked))).toBe(code);
    expect(side.agent.requests).toHaveLength(0);
  });

  const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
  it.each([
    ['a field twice', 'user=alice&user=mallory'],
    ['a second separator', 'user=alice;user=mallory'],
  ])('a form with %s is refused on every path', async (_name, body) => {
    expect(codeOf(await side.ask('/agents/support-triage/slack', { body, headers: FORM }))).toBe('malformed_request');
    expect(side.agent.requests).toHaveLength(0);
  });

  it('[R3.07] headers that name another agent or another place steer nothing', async () => {
    const other = await recordingUpstream();
    const names = ['x-agent', 'x-agent-id', 'x-target', 'x-forwarded-host', 'x-original-url', 'x-rewrite-url', 'x-envoy-original-path'];
    const headers = Object.fromEntries(names.map((name) => [name, `${other.url}/agents/reporting`]));
    const answer = await side.ask(INVOKE, {
      json: REQUEST,
      headers: { ...headers, host: 'reporting.internal', 'x-http-method-override': 'DELETE' },
      connection: { servername: 'localhost' },
    });
    expect(answer.status).toBe(200);
    expect(side.agent.requests.map(({ method, target }) => `${method} ${target}`)).toEqual(['POST /invoke']);
    expect(names.filter((name) => name in (side.agent.requests.at(-1)?.headers ?? {}))).toEqual([]);
    expect(codeOf(await side.ask('/agents/reporting/invoke', { json: REQUEST, headers: { 'x-agent': 'support-triage' } }))).toBe(
      'agent_not_registered',
    );
    expect(other.requests).toHaveLength(0);
    await other.close();
  });

  it('a form of one meaning reaches the agent as it came, as what it is', async () => {
    const body = 'command=%2Fask&text=hello+there';
    expect((await side.ask('/agents/support-triage/slack', { body, headers: FORM })).status).toBe(200);
    expect(side.agent.requests.at(-1)).toMatchObject({ body, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  });
});

describe('an agent that misbehaves', () => {
  let side: InboundSide;
  let server: Server;
  let answer: (socket: Socket) => void = (socket) => socket.destroy();
  const sockets = new Set<Socket>();
  beforeAll(async () => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => answer(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    side = await startInbound({ inbound: { url }, sidecar: { config: { upstream: { first_byte_ms_max: 400, idle_ms_max: 400 } } } });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    server?.close();
    await side?.close();
  });

  const says =
    (text: string, ends = true): ((socket: Socket) => void) =>
    (socket) => {
      socket.write(text);
      if (ends) socket.end();
    };
  it.each<[string, (socket: Socket) => void, string]>([
    ['is gone', (socket) => void socket.destroy(), '502 upstream_error'],
    [
      'switches protocols',
      says('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', false),
      '502 upstream_error',
    ],
    ['sends two lengths', says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'), '502 upstream_error'],
    [
      'sends a length beside chunks',
      says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
      '502 upstream_error',
    ],
    [
      'sends two types',
      says('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n'),
      '502 upstream_error',
    ],
    [
      'never ends its head',
      (socket) => {
        const more = (): void => void (socket.destroyed || socket.write(`X-A: ${'a'.repeat(4_000)}\r\n`, more));
        socket.write('HTTP/1.1 200 OK\r\n', more);
      },
      '502 upstream_error',
    ],
    [
      'breaks off in its body',
      says('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"half":'),
      '502 upstream_error',
    ],
    ['says nothing', () => undefined, '504 upstream_timeout'],
    [
      'stops in its body',
      says('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"half":', false),
      '504 upstream_timeout',
    ],
    ['redirects', says('HTTP/1.1 302 Found\r\nLocation: http://10.0.0.5/\r\nContent-Length: 0\r\n\r\n'), '502 upstream_error'],
    ['encodes unasked', says('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}'), '502 upstream_error'],
    [
      'says in an envelope what is no JSON',
      says('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{},"a":1,{}}'),
      '502 upstream_error',
    ],
  ])('and %s', async (_name, script, expected) => {
    answer = script;
    const said = await side.ask(INVOKE, { json: REQUEST });
    expect(`${said.status} ${codeOf(said)}`).toBe(expected);
    expect(said.headers['sallyport-session']).toBeUndefined();
  });

  it('and says more than it was asked: nobody else hears it (response queue poisoning)', async () => {
    const whole = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    let asked = 0;
    answer = (socket) => {
      const nth = ++asked;
      // The surplus comes when the next caller is already waiting on a connection that was kept.
      socket.write(whole(`answer ${nth}`), () => setTimeout(() => socket.write(whole('the answer to somebody else')), 60));
    };
    for (let nth = 1; nth <= 5; nth++) {
      const said = await side.ask('/agents/support-triage/ask', { method: 'GET' });
      expect(said.text).toBe(`answer ${nth}`);
    }
  });
});

describe('answers', () => {
  let side: InboundSide;
  beforeAll(async () => {
    side = await startInbound({ inbound: { headers: ['x-team'] } });
  });
  afterAll(async () => side?.close());
  afterEach(() => side.agent.answer({ kind: 'json', body: { ok: true } }));

  it('the agent’s own refusal is its answer, and what it says of this hop stays here', async () => {
    side.agent.answer({
      kind: 'json',
      status: 422,
      body: { wrong: 'x' },
      headers: { 'set-cookie': 'a=b', 'sallyport-session': 'forged', 'x-own': '1' },
    });
    const said = await side.ask(INVOKE, { json: REQUEST });
    expect([said.status, said.text, said.headers['x-own'], said.headers['set-cookie']]).toEqual([422, '{"wrong":"x"}', '1', undefined]);
    expect(said.headers['sallyport-session']).not.toBe('forged');
  });

  it('paths, methods, queries and a declared header reach the agent as asked', async () => {
    const said = await side.ask('/agents/support-triage/runs/7?full=1', { method: 'GET', headers: { 'x-team': 'blue', 'x-other': '1' } });
    expect([said.status, said.text]).toEqual([200, '{"ok":true}']);
    const seen = side.agent.requests.at(-1);
    expect([seen?.method, seen?.target, seen?.headers['x-team'], seen?.headers['x-other']]).toEqual([
      'GET',
      '/runs/7?full=1',
      'blue',
      undefined,
    ]);
  });

  /** A stream whose parts the test lets out one by one. */
  function streaming(): { readonly next: () => Promise<void>; readonly heard: () => string; readonly ended: () => string; open(): void } {
    const gates: (() => void)[] = [];
    side.agent.answer({
      kind: 'parts',
      parts: ['data: one\n\n', 'data: two\n\n', 'data: three\n\n'],
      between: () => new Promise((resolve) => gates.push(resolve)),
    });
    let text = '';
    let ended = '';
    return {
      async next() {
        const gate = await eventually(() => gates.shift(), 'the agent’s next part');
        gate();
      },
      heard: () => text,
      ended: () => ended,
      open() {
        const headers = { authorization: `Bearer ${side.token({ sub: 'erin@company.com' })}`, 'content-type': 'application/json' };
        const sent = httpsRequest(
          { host: '127.0.0.1', port: side.port, path: INVOKE, method: 'POST', ca: side.ca, headers, agent: false },
          (response) => {
            ended = `${response.statusCode} ${response.headers['content-type']}`;
            response.on('data', (chunk: Buffer) => (text += chunk.toString()));
            response.on('end', () => (ended = 'whole'));
            response.on('error', () => (ended = 'cut'));
          },
        );
        sent.on('error', () => (ended = 'cut'));
        sent.end(JSON.stringify(REQUEST));
      },
    };
  }

  it('a stream passes as it comes, its head before its first part', async () => {
    const stream = streaming();
    stream.open();
    await eventually(() => stream.ended() === '200 text/event-stream', 'the head');
    for (const [count, part] of ['one', 'two', 'three'].entries()) {
      await stream.next();
      await eventually(() => stream.heard().includes(part), part);
      if (count < 2) expect(stream.ended()).toBe('200 text/event-stream');
    }
    await eventually(() => stream.ended() === 'whole', 'the end');
    expect(stream.heard()).toBe('data: one\n\ndata: two\n\ndata: three\n\n');
  });

  it('revoked while it streams: the connection ends without the end of the stream', async () => {
    const stream = streaming();
    stream.open();
    await stream.next();
    await eventually(() => stream.heard().includes('one'), 'the first part');
    await side.world.admin.revoke('principal', 'erin@company.com');
    await eventually(() => stream.ended() === 'cut', 'the cut');
    const cut = await eventually(
      async () => (await allCalls(side.world)).find((call) => call.operator === 'erin@company.com' && call.result === 'cut'),
      'the cut on record',
    );
    expect(cut.code).toBe('token_revoked');
  });
});

describe('an agent on a Unix socket', () => {
  it('is reached there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
    const socket = join(dir, 'agent.sock');
    const server = createHttpServer((request, response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ at: request.url })),
    );
    server.listen(socket);
    await once(server, 'listening');
    const side = await startInbound({ inbound: { socket } });
    try {
      expect((await side.ask(INVOKE, { json: REQUEST })).json()['result']).toEqual({ at: '/invoke' });
      await side.world.admin.publish(inboundPolicy(side, ''));
      const refused = await eventually(async () => {
        const next = await side.ask(INVOKE, { json: REQUEST });
        return next.status === 200 ? undefined : next;
      }, 'an agent that names no callers');
      expect(codeOf(refused)).toBe('no_matching_policy');
    } finally {
      await side.close();
      server.close();
      rmSync(dir, { recursive: true });
    }
  });
});
