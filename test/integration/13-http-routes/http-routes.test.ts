/** An ordinary HTTP API behind a base URL: its clients are not changed, and each of its paths is a tool under policy. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { rawRequest, rawText } from '../../support/raw-http.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const ID = 'resource_id: { type: string, pattern: "^R-[0-9]{1,6}$" }';
const NAME = 'name: { type: string, maxLength: 64 }';

const tool = (name: string, effect: string, route: string, args: string): string => `
kind: Tool
name: orders/${name}
effect: ${effect}
route: ${route}
arguments: ${args}
---`;

const DOCUMENTS = `
${tool('archive', 'write', '{ method: POST, path: /api/resources/archive }', `{ required: [resource_id], properties: { ${ID}, amount: { type: number, format: decimal } } }`)}
${tool('delete', 'destructive', '{ method: POST, path: /api/resources/delete }', `{ required: [resource_id], properties: { ${ID} } }`)}
${tool('archive_one', 'write', '{ method: POST, path: "/api/resources/{resource_id}/archive", query: [notify] }', `{ required: [resource_id], properties: { ${ID}, notify: { type: boolean }, note: { type: string } } }`)}
${tool('delete_one', 'destructive', '{ method: POST, path: "/api/resources/{resource_id}/delete" }', `{ required: [resource_id], properties: { ${ID} } }`)}
${tool('list', 'read', '{ method: GET, path: /api/resources }', '{ properties: { limit: { type: integer, maximum: 50 }, tag: { type: array, items: { type: string }, maxItems: 5 }, q: { type: string } } }')}
${tool('get', 'read', '{ method: GET, path: "/api/resources/{resource_id}" }', `{ required: [resource_id], properties: { ${ID} } }`)}
${tool('secrets', 'read', '{ method: GET, path: /api/named/secrets }', '{}')}
${tool('named', 'read', '{ method: GET, path: "/api/named/{name}" }', `{ required: [name], properties: { ${NAME} } }`)}
${tool('forget', 'destructive', '{ method: DELETE, path: "/api/named/{name}" }', `{ required: [name], properties: { ${NAME} } }`)}
${tool('tenant_report', 'read', '{ method: GET, path: "/tenants/{tenant}/report" }', '{ required: [tenant], properties: { tenant: { type: string } } }')}
kind: Policy
agent: support-triage
rules:
  - { id: use, allow: [orders/archive, orders/archive_one, orders/list, orders/get, orders/named, orders/forget], for: { roles: [support-rep] } }
  - { id: delete, allow: [orders/delete, orders/delete_one, orders/secrets], for: { roles: [admin] } }
  - { id: own-tenant, allow: [orders/tenant_report], for: { roles: [support-rep] }, bind: [args.tenant == principal.tenant] }
---
kind: Test
given: { roles: [support-rep], tenant: acme }
cases:
  - { call: orders/archive, args: { resource_id: R-1 }, expect: allow }
  - { call: orders/delete, args: { resource_id: R-1 }, expect: tool_not_allowed }
  - { call: orders/tenant_report, args: { tenant: other }, expect: resource_binding_mismatch }
`;

interface Sent {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

let world: World;
let up: RecordingUpstream;
let sidecar: RunningSidecar;
let session: string;
/** Requests of earlier tests. */
let before = 0;
const forwarded = (): readonly string[] =>
  up.requests.slice(before).map(({ method, target, body }) => `${method} ${target} ${body}`.trim());
const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.json()['code']];

/** What an HTTP client sends that knows of the gateway its base URL and one header. */
const send = (line: string, { body, headers = {} }: Sent = {}): Promise<HttpAnswer> => {
  const [method = '', path = ''] = line.split(' ');
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  return sidecar.request(`/http/orders${path}`, {
    method,
    headers: { ...type, 'sallyport-session': session, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
};

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
beforeEach(() => {
  before = up.requests.length;
  up.answer({ kind: 'json', body: { ok: true } });
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});

describe('[R8.06] paths of an HTTP API are tools', () => {
  it('an allowed action goes out, a forbidden one does not, and neither does what no route is for', async () => {
    const body = { resource_id: 'R-1' };
    const answers = [
      await send('POST /api/resources/archive', { body }),
      await send('POST /api/resources/delete', { body }),
      await send('POST /api/resources/purge', { body }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 403]);
    expect(answers.slice(1).map((answer) => answer.json()['code'])).toEqual(['tool_not_allowed', 'tool_not_allowed']);
    expect(forwarded()).toEqual(['POST /api/resources/archive {"resource_id":"R-1"}']);
    const calls = await callsOfSession(world, session, 3);
    expect(calls.slice(-3).map(({ tool: name, decision, rule_id: rule, gate }) => [name, decision, rule, gate])).toEqual([
      ['orders/archive', 'allow', 'use', 'authorization'],
      ['orders/delete', 'deny', 'default-deny', 'tool'],
      ['-', 'deny', 'gate:tool', 'tool'],
    ]);
  });

  it('an action behind an identifier is a tool of its own, whatever the identifier', async () => {
    const answers = [
      await send('POST /api/resources/R-7/archive'),
      await send('POST /api/resources/R-7/delete'),
      await send('POST /api/resources/R-7/purge'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 403]);
    expect(forwarded()).toEqual(['POST /api/resources/R-7/archive {}']);
  });

  it('what is forbidden is told exactly as what does not exist', async () => {
    const [forbidden, missing, method] = [
      await send('POST /api/resources/delete', { body: { resource_id: 'R-1' } }),
      await send('POST /api/resources/purge', { body: { resource_id: 'R-1' } }),
      await send('PUT /api/resources/R-1', { body: {} }),
    ].map((answer) => ({ ...answer.json(), decision_id: '', instance: '' }));
    expect(forbidden).toEqual(missing);
    expect(method).toEqual(missing);
  });

  it('another principal’s rules are asked of the same paths', async () => {
    const admin = await sidecar.session({ roles: ['admin'] });
    const answer = await send('POST /api/resources/delete', { body: { resource_id: 'R-1' }, headers: { 'sallyport-session': admin } });
    expect(answer.status).toBe(200);
    expect(
      (await send('POST /api/resources/archive', { body: { resource_id: 'R-1' }, headers: { 'sallyport-session': admin } })).status,
    ).toBe(403);
  });
});

describe('a client that knows nothing of the gateway', () => {
  it('works with its base URL and a default header alone', async () => {
    up.answer({ kind: 'json', status: 201, body: { id: 'R-3' } });
    const answer = await fetch(`${sidecar.url}/http/orders/api/resources/R-3/archive?notify=true`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sallyport-session': session },
      body: JSON.stringify({ note: 'é' }),
    });
    expect([answer.status, await answer.json()]).toEqual([201, { id: 'R-3' }]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(forwarded()).toEqual(['POST /api/resources/R-3/archive?notify=true {"note":"é"}']);
  });

  it('gets what its API answers: status and type as they were', async () => {
    up.answer({ kind: 'bytes', status: 204, body: new Uint8Array() });
    const answer = await send('DELETE /api/named/draft');
    expect([answer.status, answer.text]).toEqual([204, '']);
    up.answer({ kind: 'bytes', status: 200, body: new TextEncoder().encode('done'), headers: { 'content-type': 'text/plain' } });
    expect((await send('GET /api/resources/R-1')).headers['content-type']).toBe('text/plain; charset=utf-8');
    up.answer({ kind: 'json', status: 404, body: { error: 'no such' } });
    const missing = await send('GET /api/resources/R-1');
    expect(missing.headers['content-type']).toBe('application/problem+json');
    expect(codeOf(missing)).toEqual([502, 'upstream_error']);
  });

  it('has its request built anew: its own credentials, headers, cookies and spellings stay behind', async () => {
    const answer = await send('GET /api/resources?tag=b%2fc&tag=a+d&%6Cimit=5&q=%26x%3D1', {
      headers: { authorization: 'Bearer key-of-the-api', cookie: 'a=b', 'x-tenant-id': 'other', 'x-http-method-override': 'DELETE' },
    });
    expect(answer.status).toBe(200);
    const [request] = up.requests.slice(before);
    expect(request?.target).toBe('/api/resources?tag=b%2Fc&tag=a%20d&limit=5&q=%26x%3D1');
    expect(Object.keys(request?.headers ?? {}).filter((name) => /auth|cookie|tenant|override|session/.test(name))).toEqual([]);
  });

  it('without a session is nobody', async () => {
    const answer = await sidecar.request('/http/orders/api/resources', {
      method: 'GET',
      headers: { authorization: 'Bearer key-of-the-api' },
    });
    expect(codeOf(answer)).toEqual([401, 'unauthenticated']);
    expect(forwarded()).toEqual([]);
  });
});

describe('[R3.31] a tenant named by the path', () => {
  it('is the one of the verified token, or the call is refused', async () => {
    const own = await send('GET /tenants/acme/report');
    const other = await send('GET /tenants/other/report');
    expect([own.status, ...codeOf(other)]).toEqual([200, 403, 'resource_binding_mismatch']);
    expect(forwarded()).toEqual(['GET /tenants/acme/report']);
    expect(await recordOf(world, other)).toMatchObject({ tool: 'orders/tenant_report', rule_id: 'own-tenant', tenant_id: 'acme' });
  });

  it('is not another one because a header or another spelling says so', async () => {
    const headers = { 'x-tenant-id': 'other', 'x-forwarded-user': 'bob@other.com' };
    expect((await send('GET /tenants/acme/report', { headers })).status).toBe(200);
    expect(codeOf(await send('GET /tenants/other/report', { headers: { 'x-tenant-id': 'acme' } }))).toEqual([
      403,
      'resource_binding_mismatch',
    ]);
    expect(codeOf(await send('GET /tenants/%61cme%20/report'))).toEqual([403, 'resource_binding_mismatch']);
    expect(forwarded()).toEqual(['GET /tenants/acme/report']);
    expect(up.requests.at(-1)?.headers['x-tenant-id']).toBeUndefined();
  });
});

const MALFORMED = [400, 'malformed_request'] as const;
const FORBIDDEN = [403, 'tool_not_allowed'] as const;
const VIOLATION = [422, 'schema_violation'] as const;
const NOWHERE = [403, 'egress_denied'] as const;

describe('path confusion', () => {
  it.each<[attack: string, target: string, expected: readonly [number, string]]>([
    ['an encoded slash', '/http/orders/api/named/a%2fsecrets', MALFORMED],
    ['an encoded slash in capitals', '/http/orders/api/named/a%2Fsecrets', MALFORMED],
    ['an encoded slash, encoded twice', '/http/orders/api/named/a%252fsecrets', MALFORMED],
    ['an encoded backslash', '/http/orders/api/named/..%5csecrets', MALFORMED],
    ['climbing', '/http/orders/api/named/x/../secrets', MALFORMED],
    ['climbing, encoded', '/http/orders/api/named/%2e%2e/secrets', MALFORMED],
    ['climbing, encoded twice', '/http/orders/api/named/%252e%252e', MALFORMED],
    ['climbing out of the API', '/http/orders/../../tools/orders/secrets', MALFORMED],
    ['standing still', '/http/orders/api/./named/secrets', MALFORMED],
    ['parameters of a segment', '/http/orders/api/named/x;secrets', MALFORMED],
    ['parameters of a segment, encoded', '/http/orders/api/named/x%3Bsecrets', MALFORMED],
    ['parameters of the server', '/http/orders;x/api/named/x', NOWHERE],
    ['climbing behind parameters', '/http/orders/api/named/..;/secrets', MALFORMED],
    ['an empty segment', '/http/orders/api//named/x', MALFORMED],
    ['an empty first segment', '/http/orders//api/named/x', MALFORMED],
    ['a trailing slash', '/http/orders/api/named/x/', MALFORMED],
    ['a NUL', '/http/orders/api/named/x%00', MALFORMED],
    ['a line feed', '/http/orders/api/named/x%0d%0aX:%201', MALFORMED],
    ['bytes that are no UTF-8', '/http/orders/api/named/%ff', MALFORMED],
    ['an overlong slash', '/http/orders/api/named/a%c0%afsecrets', MALFORMED],
    ['half a surrogate pair', '/http/orders/api/named/%ed%a0%80', MALFORMED],
    ['an escape that is none', '/http/orders/api/named/%zz', MALFORMED],
    ['a forbidden path in escapes', '/http/orders/api/named/%73ecrets', FORBIDDEN],
    ['a forbidden path in capitals, for a server that does not see case', '/http/orders/api/named/SECRETS', FORBIDDEN],
    ['the long s for an s', '/http/orders/api/named/%C5%BFecrets', FORBIDDEN],
    ['a path in capitals', '/http/orders/API/named/x', FORBIDDEN],
    ['a longer path', '/http/orders/api/named/x/secrets', FORBIDDEN],
    ['a shorter one', '/http/orders/api', FORBIDDEN],
    ['the prototype', '/http/orders/__proto__', FORBIDDEN],
    ['no path', '/http/orders', NOWHERE],
    ['a server that nobody knows', '/http/mystery/api/named/x', FORBIDDEN],
    ['an address for a server', '/http/127.0.0.1/api/named/x', NOWHERE],
    ['a query without `=`', '/http/orders/api/resources?q', MALFORMED],
    ['an empty query', '/http/orders/api/resources?', MALFORMED],
    ['an argument of the path in the query', '/http/orders/api/named/x?name=secrets', [422, 'field_not_allowed']],
    ['an unknown query', '/http/orders/api/resources?admin=true', [422, 'field_not_allowed']],
    ['a value twice', '/http/orders/api/resources?limit=1&limit=100', VIOLATION],
    ['a number in another spelling', '/http/orders/api/resources?limit=0x32', VIOLATION],
    ['a number above the schema’s', '/http/orders/api/resources?limit=51', VIOLATION],
    ['a list that is too long', `/http/orders/api/resources?${Array.from({ length: 6 }, () => 'tag=x').join('&')}`, VIOLATION],
  ])('%s reaches no tool', async (_, target, expected) => {
    const answer = await rawRequest(
      sidecar.port,
      rawText([`GET ${target} HTTP/1.1`, 'Host: 127.0.0.1', `Sallyport-Session: ${session}`], ''),
    );
    expect(codeOf(answer)).toEqual(expected);
    expect(forwarded()).toEqual([]);
    expect((await recordOf(world, answer)).decision).toBe('deny');
  });

  it('a very long path is refused before it is read', async () => {
    const answer = await send(`GET /api/named/${'a'.repeat(8_200)}`);
    expect(codeOf(answer)).toEqual([431, 'headers_too_large']);
    expect(forwarded()).toEqual([]);
  });

  it.each<[attack: string, name: string]>([
    ['the very word', 'secrets'],
    ['in capitals', 'Secrets'],
    ['climbing', '..'],
    ['a slash', 'x/../secrets'],
    ['parameters that some servers cut off', 'secrets;x'],
  ])('no argument of a call by name spells the path of another tool: %s', async (_, name) => {
    const answer = await sidecar.call('orders/named', { name }, session);
    expect(codeOf(answer)).toEqual(VIOLATION);
    expect(answer.json()['fields']).toEqual(['name']);
    expect(forwarded()).toEqual([]);
    expect(await recordOf(world, answer)).toMatchObject({ gate: 'validation', tool: 'orders/named' });
  });

  it('and one that spells none of them goes out as one segment', async () => {
    expect((await sidecar.call('orders/named', { name: 'a b?c#d&e=%2' }, session)).status).toBe(200);
    expect((await send('GET /api/named/a%20b%3Fc%23d&e=%25')).status).toBe(200);
    expect(forwarded()).toEqual(['GET /api/named/a%20b%3Fc%23d%26e%3D%252', 'GET /api/named/a%20b%3Fc%23d%26e%3D%25']);
  });
});

describe('method and body', () => {
  it.each(['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'])('%s is not served', async (method) => {
    const answer = await send(`${method} /api/resources/R-1`);
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, POST, PUT, PATCH, DELETE']);
    expect(forwarded()).toEqual([]);
  });

  it.each<[attack: string, line: string, sent: Sent, expected: readonly [number, string]]>([
    [
      'a GET with a body, which some servers read',
      'GET /api/resources',
      { body: '{"limit":1}', headers: { 'content-length': '11' } },
      MALFORMED,
    ],
    [
      'a form',
      'POST /api/resources/archive',
      { body: 'resource_id=R-1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      [415, 'unsupported_content_type'],
    ],
    ['a key twice', 'POST /api/resources/archive', { body: '{"resource_id":"R-1","resource_id":"R-2"}' }, MALFORMED],
    ['a list', 'POST /api/resources/archive', { body: '[]' }, VIOLATION],
    [
      'an argument of the path in the body',
      'POST /api/resources/R-1/archive',
      { body: { resource_id: 'R-2' } },
      [422, 'field_not_allowed'],
    ],
    ['an argument of the query in the body', 'POST /api/resources/R-1/archive', { body: { notify: true } }, [422, 'field_not_allowed']],
    ['an argument of the body in the query', 'POST /api/resources/R-1/archive?note=x', { body: {} }, [422, 'field_not_allowed']],
    ['a number as text', 'POST /api/resources/archive', { body: { resource_id: 'R-1', amount: '1' } }, VIOLATION],
    ['no argument', 'POST /api/resources/archive', {}, VIOLATION],
  ])('%s is refused', async (_, line, sent, expected) => {
    const answer = await send(line, sent);
    expect(codeOf(answer)).toEqual(expected);
    expect(forwarded()).toEqual([]);
  });

  it('numbers of the body go out with all their digits', async () => {
    await send('POST /api/resources/archive', { body: '{"resource_id":"R-1","amount":0.10000000000000000001}' });
    expect(forwarded()).toEqual(['POST /api/resources/archive {"resource_id":"R-1","amount":0.10000000000000000001}']);
  });
});
