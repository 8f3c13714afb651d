import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const JSON_TYPE = 'Content-Type: application/json';
const BODY = '{"a":1}';
const LENGTH = `Content-Length: ${BODY.length}`;
const CHUNKED = 'Transfer-Encoding: chunked';

let side: InboundSide;
let before = 0;
beforeAll(async () => {
  side = await startInbound({ inbound: { headers: ['x-team'] } });
});
afterAll(async () => side?.close());

/** What reached the agent since `said` began: method, target, body. */
const reached = (): readonly string[] => side.agent.requests.slice(before).map(({ method, target, body }) => `${method} ${target} ${body}`);
const bearer = (): string => `Authorization: Bearer ${side.token()}`;
const text = (lines: readonly string[], body = ''): string => [...lines, '', body].join('\r\n');
/** A request that would be served, with more fields. */
const post = (more: readonly string[], body = BODY): string =>
  text([`POST ${INVOKE} HTTP/1.1`, 'Host: a', bearer(), JSON_TYPE, ...more], body);

/** The statuses of all answers on a connection of these bytes, and the code of the last; `closed` where it then ended. */
async function said(bytes: string, { until }: { until: 'answered' | 'closed' }): Promise<string> {
  before = side.agent.requests.length;
  const socket = await side.raw();
  let [heard, isClosed] = ['', false];
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  socket.write(Buffer.from(bytes, 'latin1'));
  const hasAnswer = (): boolean => /\r\n\r\n\{.*\}$/s.test(heard);
  await eventually(() => isClosed || (until === 'answered' && hasAnswer()), 'an end');
  socket.destroy();
  const statuses = [...heard.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
  return [...statuses, /"code":"(\w+)"/.exec(heard)?.[1]].filter((part) => part !== undefined).join(' ');
}

describe('a head that another reader would read otherwise', () => {
  it.each<[string, () => string]>([
    ['a credential that is folded', () => post([LENGTH]).replace('Bearer ', 'Bearer\r\n ')],
    ['a field that is folded', () => post(['X-Team: a\r\n\tb', LENGTH])],
    ['white space before a colon', () => post([LENGTH.replace(':', ' :')])],
    ['line feeds alone', () => post([LENGTH]).replaceAll('\r\n', '\n')],
    ['a line feed alone in a value', () => post(['X-Team: a\nX-Other: b', LENGTH])],
    ['a carriage return alone in a value', () => post(['X-Team: a\rX-Other: b', LENGTH])],
    ['a zero in a value', () => post(['X-Team: a\0b', LENGTH])],
    ['a value that is not ASCII', () => post(['X-Team: \u00e9', LENGTH])],
    ['a field without a colon', () => post(['Garbage', LENGTH])],
    ['a field without a name', () => post([': x', LENGTH])],
    ['a length with a sign', () => post(['Content-Length: +7'])],
    ['a length with a leading zero', () => post(['Content-Length: 07'])],
    ['a list of equal lengths', () => post(['Content-Length: 7, 7'])],
    ['one length twice', () => post([LENGTH, LENGTH])],
    ['a length beyond 64 bits', () => post(['Content-Length: 18446744073709551623'])],
    ['chunks twice', () => post([CHUNKED, CHUNKED], '7\r\n{"a":1}\r\n0\r\n\r\n')],
    ['a coding with a vertical tab', () => post(['Transfer-Encoding: \u000bchunked'], '7\r\n{"a":1}\r\n0\r\n\r\n')],
    ['a coding that is nearly chunked', () => post(['Transfer-Encoding: xchunked'], '7\r\n{"a":1}\r\n0\r\n\r\n')],
    ['an identity coding beside a length', () => post(['Transfer-Encoding: identity', LENGTH])],
    ['a chunk size in another notation', () => post([CHUNKED], '0x7\r\n{"a":1}\r\n0\r\n\r\n')],
    ['a chunk size with a space', () => post([CHUNKED], '7 \r\n{"a":1}\r\n0\r\n\r\n')],
    ['a chunk size beyond 64 bits', () => post([CHUNKED], 'ffffffffffffffff7\r\n{"a":1}\r\n0\r\n\r\n')],
    ['a chunk that is longer than its size', () => post([CHUNKED], '7\r\n{"a":1}XX\r\n0\r\n\r\n')],
    ['chunks between line feeds', () => post([CHUNKED], '7\n{"a":1}\n0\n\n')],
    ['a chunk extension that ends in a line feed', () => post([CHUNKED], '7;x\n{"a":1}\r\n0\r\n\r\n')],
    ['a quoted line break in a chunk extension', () => post([CHUNKED], '7;x="\r\n"\r\n{"a":1}\r\n0\r\n\r\n')],
    ['two expectations', () => post([LENGTH, 'Expect: 100-continue', 'Expect: 100-continue'])],
    ['a session that Connection would drop', () => post([LENGTH, 'Connection: sallyport-session'])],
    ['a version of the future', () => post([LENGTH]).replace('HTTP/1.1', 'HTTP/1.2')],
    ['no version', () => `GET ${INVOKE}\r\n\r\n`],
    ['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a tab in the start line', () => post([LENGTH]).replace(`POST ${INVOKE} `, `POST\t${INVOKE}\t`)],
    ['a path that is not ASCII', () => post([LENGTH]).replace('/invoke', '/caf\u00e9')],
    ['a back slash', () => post([LENGTH]).replace('/invoke', '/a\\b')],
    ['a fragment', () => post([LENGTH]).replace('/invoke', '/a?b#c')],
    ['an escape of an escape', () => post([LENGTH]).replace('/invoke', '/%252e%252e/a')],
    ['an overlong encoding of a dot', () => post([LENGTH]).replace('/invoke', '/%c0%ae%c0%ae/a')],
    ['a zero in the path', () => post([LENGTH]).replace('/invoke', '/a%00b')],
    ['a line break in the path', () => post([LENGTH]).replace('/invoke', '/a%0d%0aSallyport-Session:%20x')],
    ['dots with a parameter', () => post([LENGTH]).replace('/invoke', '/..;/a')],
    ['a server of all', () => post([LENGTH]).replace(INVOKE, '*')],
    ['two hosts in one', () => post([LENGTH]).replace('Host: a', 'Host: a, b')],
    ['a host with a user', () => post([LENGTH]).replace('Host: a', 'Host: alice@a')],
  ])('%s is refused, and reaches nobody', async (_name, bytes) => {
    expect(await said(bytes(), { until: 'answered' })).toBe('400 malformed_request');
    expect(reached()).toEqual([]);
  });

  it.each<[string, () => string, string]>([
    ['two credentials in one field', () => post([LENGTH]).replace(/(Bearer \S+)/, '$1, Basic eDp5'), '401 unauthenticated'],
    ['a token by another scheme', () => post([LENGTH]).replace('Bearer', 'Basic'), '401 unauthenticated'],
    ['a proof beside a bearer’s token', () => post([LENGTH, 'DPoP: x']), '401 unauthenticated'],
    ['the credential of a proxy', () => post([LENGTH]).replace('Authorization', 'Proxy-Authorization'), '401 unauthenticated'],
    ['the twin of a credential', () => post([LENGTH]).replace('Authorization:', 'Authorization_:'), '401 unauthenticated'],
  ])('%s proves nobody', async (_name, bytes, expected) => {
    expect(await said(bytes(), { until: 'answered' })).toBe(expected);
    expect(reached()).toEqual([]);
  });
});

describe('what is sent behind a request', () => {
  it.each<[string, () => string]>([
    [
      'a request in a body that is longer than said',
      () => `${post([LENGTH])}${text(['GET /agents/support-triage/x HTTP/1.1', 'Host: a'])}`,
    ],
    [
      'a second request, though it is the same caller’s',
      () => `${post([LENGTH])}${text(['GET /agents/support-triage/x HTTP/1.1', 'Host: a', bearer()])}`,
    ],
    [
      'a request behind the last chunk',
      () => `${post([CHUNKED], '7\r\n{"a":1}\r\n0\r\n\r\n')}${text(['GET /agents/support-triage/x HTTP/1.1', 'Host: a', bearer()])}`,
    ],
  ])('%s is never served: the connection ends with the first answer', async (_name, bytes) => {
    expect(await said(bytes(), { until: 'closed' })).toBe('200');
    expect(reached()).toEqual([`POST /invoke ${BODY}`]);
  });

  it('a request behind an upgrade is none', async () => {
    const upgrade = text(['GET /agents/support-triage/x HTTP/1.1', 'Host: a', bearer(), 'Connection: upgrade', 'Upgrade: h2c']);
    expect(await said(upgrade + post([LENGTH]), { until: 'closed' })).toBe('405 method_not_allowed');
    expect(reached()).toEqual([]);
  });

  it('trailers are nobody’s headers', async () => {
    const trailers = 'X-Team: evil\r\nAuthorization: Bearer x\r\nSallyport-Session: x\r\n';
    expect(await said(post([CHUNKED, 'Trailer: X-Team'], `7\r\n${BODY}\r\n0\r\n${trailers}\r\n`), { until: 'answered' })).toBe('200');
    const seen = side.agent.requests.at(-1);
    expect([seen?.body, seen?.headers['x-team'], seen?.headers['sallyport-session'] === 'x']).toEqual([BODY, undefined, false]);
  });
});

describe('twins of names', () => {
  it('with underscores, dots or another case do not reach the agent in the name of the one that does', async () => {
    const twins = ['Sallyport_Session: forged', 'Sallyport.Session: forged', 'X_Team: red', 'User_Agent: x', 'Transfer_Encoding: chunked'];
    expect(await said(post([LENGTH, ...twins, 'X-TEAM: blue']), { until: 'answered' })).toBe('200');
    const { headers = {} } = side.agent.requests.at(-1) ?? {};
    expect(Object.keys(headers).filter((name) => /[_.]/.test(name))).toEqual([]);
    expect([headers['x-team'], headers['sallyport-session'] === 'forged']).toEqual(['blue', false]);
  });
});

describe('bodies', () => {
  const packed = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  it.each<[string, string | Uint8Array, Record<string, string>, string]>([
    ['that unpack to more than a body may have', gzipSync(Buffer.alloc(50_000_000, 32)), packed, 'payload_too_large'],
    ['with a second text behind the packed one', Buffer.concat([gzipSync(BODY), Buffer.from(BODY)]), packed, 'malformed_request'],
    ['that only say they are packed', BODY, packed, 'malformed_request'],
    ['in another character set', BODY, { 'content-type': 'application/json; charset=utf-16' }, 'unsupported_content_type'],
    [
      'that name an operator in another case',
      '{"Human_Operator":"bob@company.com"}',
      { 'content-type': 'application/json' },
      'resource_binding_mismatch',
    ],
  ])('%s are refused', async (_name, body, headers, code) => {
    before = side.agent.requests.length;
    expect(codeOf(await side.ask(INVOKE, { body, headers }))).toBe(code);
    expect(reached()).toEqual([]);
  });
});

it('no record holds the password of an absolute target', async () => {
  await said(post([LENGTH]).replace(INVOKE, `http://alice:hunter2@a${INVOKE}`), { until: 'answered' });
  const calls = await eventually(async () => {
    const all = await allCalls(side.world);
    return all.some(({ action }) => action.includes(`http://a${INVOKE}`)) ? all : undefined;
  }, 'the refusal on record');
  expect(JSON.stringify(calls)).not.toContain('hunter2');
});
