import { Decimal, type HttpRoute, type Tool, type ToolName, type ToolServer } from '@sallyport/model';
import { type TypedArguments, judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { isSuccessStatus, readSessionRequest, readToolCall, upstreamRequest } from './http-tools.ts';

const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
describe('the body of a tool call', () => {
  const read = (kind: 'tool' | 'invoke', body: string): ReturnType<typeof readToolCall> => {
    const judged = judge(new TextEncoder().encode(body));
    if (!judged.ok) throw new Error(body);
    const server = 'orders' as never;
    return readToolCall(kind === 'tool' ? { kind, server, tool: 'refund' } : { kind, server }, judged.value);
  };

  it.each<['tool' | 'invoke', string, string, unknown]>([
    ['tool', '{"a":1}', 'refund', { a: 1 }],
    ['tool', '{"tool":"other","arguments":{}}', 'refund', { tool: 'other', arguments: {} }],
    ['invoke', '{"tool":"x","arguments":{"a":1}}', 'x', { a: 1 }],
    ['invoke', '{"tool":"x","a":1}', 'x', { a: 1 }],
    ['invoke', '{"tool":"x"}', 'x', {}],
    ['invoke', '{"tool":"x","arguments":{"arguments":1,"tool":2}}', 'x', { arguments: 1, tool: 2 }],
  ])('%s %s', (kind, body, tool, args) => {
    const call = read(kind, body);
    expect(call.ok && [call.value.tool, call.value.arguments.tree]).toEqual([tool, args]);
  });

  it.each<['tool' | 'invoke', string]>([
    ['tool', '[]'],
    ['tool', 'null'],
    ['invoke', '{"a":1}'],
    ['invoke', '{"tool":null}'],
    ['invoke', '{"tool":["x"]}'],
    ['invoke', '{"tool":"x","arguments":[]}'],
    ['invoke', '{"tool":"x","arguments":null}'],
    ['invoke', '{"tool":"x","arguments":{},"a":1}'],
  ])('%s %s is refused', (kind, body) => {
    expect(read(kind, body)).toMatchObject({ error: { code: 'malformed_request' } });
  });

  it('in its flat form keeps numbers exact, at the top and below', () => {
    const call = read('invoke', '{"tool":"x","n":9007199254740993,"list":[1e400]}');
    if (!call.ok) throw new Error('refused');
    const { arguments: args } = call.value;
    const tree = args.tree as { list: object };
    expect(args.numberText(tree, 'n')).toBe('9007199254740993');
    expect(args.numberText(tree.list, 0)).toBe('1e400');
    expect(args.at('n')?.numberText(undefined, '')).toBe('9007199254740993');
    expect(args.at('tool')).toBeUndefined();
    expect(args.at('list', 0)).toBeDefined();
  });
});

describe('the request to a tool’s server', () => {
  const SERVER: ToolServer = { name: 'orders' as never, kind: 'http', url: 'http://127.0.0.1:8080/api/' };
  const request = (route: HttpRoute | undefined, args: Record<string, unknown>): ReturnType<typeof upstreamRequest> => {
    const tool: Tool = {
      name: 'orders/refund' as ToolName,
      effect: 'write',
      classes: [],
      description: '',
      arguments: {},
      denyAs: 'error',
      ...(route === undefined ? {} : { route }),
    };
    return upstreamRequest(SERVER, tool, args as TypedArguments);
  };

  it.each<[string, HttpRoute | undefined, Record<string, unknown>, string, string | undefined]>([
    ['no route', undefined, { a: 1n }, 'POST /api/refund', '{"a":1}'],
    [
      'the path filled, the rest in the body',
      { method: 'POST', path: '/orders/{id}/refunds' },
      { id: 'O-1', amount: Decimal.parse('9.90') },
      'POST /api/orders/O-1/refunds',
      '{"amount":9.9}',
    ],
    [
      'the rest in the query',
      { method: 'GET', path: '/orders/{id}' },
      { id: 7n, deep: true, tag: ['a b', '&c=1'] },
      'GET /api/orders/7?deep=true&tag=a%20b&tag=%26c%3D1',
      undefined,
    ],
    ['nothing left for the query', { method: 'DELETE', path: '/orders/{id}' }, { id: 'x' }, 'DELETE /api/orders/x', undefined],
    [
      'some in the query, the rest in the body',
      { method: 'PUT', path: '/{a}', query: ['q', 'n'] },
      { a: 'x', q: ['1', 'b&'], b: true },
      'PUT /api/x?q=1&q=b%26',
      '{"b":true}',
    ],
    ['reserved characters', { method: 'GET', path: '/q/{a}' }, { a: '?#&=%é ..' }, 'GET /api/q/%3F%23%26%3D%25%C3%A9%20..', undefined],
  ])('%s', (_, route, args, line, body) => {
    const built = request(route, args);
    if (!built.ok) throw new Error(built.error.detail);
    expect(`${built.value.method} ${built.value.target}`).toBe(line);
    expect(built.value.body === undefined ? undefined : decode(built.value.body)).toBe(body);
    expect(Object.hasOwn(built.value.headers, 'content-type')).toBe(body !== undefined);
  });

  it.each<[string, unknown]>([
    ['path traversal', '..'],
    ['the same directory', '.'],
    ['nothing', ''],
    ['a slash', '../admin'],
    ['a backslash', '..\\admin'],
    ['parameters that some servers cut off', 'O-1;x'],
    ['climbing behind them', '..;x'],
    ['a NUL', 'a\0'],
    ['a line feed', 'a\r\nX: 1'],
    ['null', null],
    ['a list', ['a']],
    ['an object', {}],
    ['an absent argument', undefined],
  ])('refuses %s in its path', (_, id) => {
    const args = id === undefined ? {} : { id };
    expect(request({ method: 'GET', path: '/orders/{id}' }, args)).toMatchObject({ error: { code: 'schema_violation', fields: ['id'] } });
  });

  it('refuses an empty list in its query: left out, `DELETE /orders` would be all of them', () => {
    const route: HttpRoute = { method: 'DELETE', path: '/orders' };
    expect(request(route, { ids: [] })).toMatchObject({ error: { code: 'schema_violation', fields: ['ids'] } });
    expect(request({ method: 'POST', path: '/orders', query: ['ids'] }, { ids: [] })).toMatchObject({ error: { fields: ['ids'] } });
    expect(request({ method: 'POST', path: '/orders' }, { ids: [] })).toMatchObject({ ok: true });
  });

  it('refuses what a query cannot say', () => {
    expect(request({ method: 'GET', path: '/' }, { a: null, b: { c: 1n }, d: [['x']] })).toMatchObject({
      error: { fields: ['a', 'b', 'd'] },
    });
  });

  it('does not fill a path from the prototype', () => {
    expect(request({ method: 'GET', path: '/{constructor}' }, {})).toMatchObject({ error: { fields: ['constructor'] } });
  });
});

it.each([
  [200, true],
  [204, true],
  [299, true],
  [199, false],
  [300, false],
  [302, false],
  [404, false],
  [500, false],
])('status %i of a tool’s server is a success: %s', (status, expected) => {
  expect(isSuccessStatus(status)).toBe(expected);
});

describe('a session request', () => {
  it.each([
    [undefined, true],
    ['{}', true],
    ['{"human_reviewed":true}', false],
    ['[]', false],
    ['null', false],
  ])('with body %s is read: %s', (body, expected) => {
    const judged = body === undefined ? undefined : judge(new TextEncoder().encode(body));
    expect(readSessionRequest(judged?.ok === true ? judged.value : undefined).ok).toBe(expected);
  });
});
