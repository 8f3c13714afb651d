import { describe, expect, it } from 'vitest';
import { type RouteTemplate, overlapOf, routeTable, routeTemplate } from './route-table.ts';

const template = (path: string): RouteTemplate => {
  const read = routeTemplate(path);
  if (read === undefined) throw new Error(path);
  return read;
};

describe('a template', () => {
  it('is plain segments and whole arguments', () => {
    expect(routeTemplate('/orders/{order_id}/refunds')).toEqual([
      { literal: 'orders', folded: 'orders' },
      { argument: 'order_id' },
      { literal: 'refunds', folded: 'refunds' },
    ]);
  });

  it.each([
    '',
    '/',
    'orders',
    '/orders/',
    '//orders',
    '/a/../b',
    '/a/.',
    '/..',
    '/a%2fb',
    '/a;b',
    '/a?b',
    '/{a}b',
    '/a{b}',
    '/{}',
    '/{1}',
    '/{a}{b}',
    '/é',
    '/a b',
    `/{${'a'.repeat(65)}}`,
    '/a'.repeat(33),
  ])('is not %j', (path) => {
    expect(routeTemplate(path)).toBeUndefined();
  });
});

it.each([
  ['/a/b', '/a/c', 'disjoint'],
  ['/a', '/a/b', 'disjoint'],
  ['/{x}', '/{x}/b', 'disjoint'],
  ['/a/{x}/c', '/b/{x}/c', 'disjoint'],
  ['/a/{x}', '/a/b', 'ordered'],
  ['/{x}/{y}', '/a/{y}', 'ordered'],
  ['/a/{x}', '/a/{y}', 'ambiguous'],
  ['/a/b', '/a/b', 'ambiguous'],
  ['/a/{x}', '/{y}/b', 'ambiguous'],
  ['/a/{x}/c/{z}', '/a/b/{y}/{z}', 'ambiguous'],
  ['/a/B', '/a/b', 'case'],
  ['/A/{x}', '/a/b', 'case'],
  ['/A/x', '/a/y', 'disjoint'],
])('%s and %s are %s', (a, b, expected) => {
  expect([overlapOf(template(a), template(b)), overlapOf(template(b), template(a))]).toEqual([expected, expected]);
});

describe('a table', () => {
  const ROUTES = [
    'GET /resources',
    'GET /resources/{id}',
    'GET /resources/mine',
    'POST /resources/archive',
    'POST /resources/delete',
    'POST /resources/{action}',
    'POST /resources/{id}/{action}',
    'POST /resources/{id}/archive',
    'PUT /{kind}/{id}',
    'PUT /resources/{id}',
    'DELETE /A/x',
    'DELETE /a/y',
  ];
  const table = routeTable(
    ROUTES.map((value) => {
      const [method = '', path = ''] = value.split(' ');
      return { method, template: template(path), value };
    }),
  );
  const match = (method: string, ...segments: string[]): unknown => {
    const found = table.match(method, segments);
    return found === undefined ? undefined : [found.value, Object.fromEntries(found.texts)];
  };

  it.each<[string, string[], string, object]>([
    ['GET', ['resources'], 'GET /resources', {}],
    ['GET', ['resources', 'R-1'], 'GET /resources/{id}', { id: 'R-1' }],
    ['GET', ['resources', 'mine'], 'GET /resources/mine', {}],
    ['POST', ['resources', 'archive'], 'POST /resources/archive', {}],
    ['POST', ['resources', 'other'], 'POST /resources/{action}', { action: 'other' }],
    ['POST', ['resources', '7', 'archive'], 'POST /resources/{id}/archive', { id: '7' }],
    ['POST', ['resources', '7', 'delete'], 'POST /resources/{id}/{action}', { id: '7', action: 'delete' }],
    ['PUT', ['resources', '7'], 'PUT /resources/{id}', { id: '7' }],
    ['PUT', ['others', '7'], 'PUT /{kind}/{id}', { kind: 'others', id: '7' }],
    ['DELETE', ['A', 'x'], 'DELETE /A/x', {}],
    ['DELETE', ['a', 'y'], 'DELETE /a/y', {}],
    ['GET', ['resources', 'é/..'], 'GET /resources/{id}', { id: 'é/..' }],
  ])('%s %j is the route where a literal comes first', (method, segments, value, texts) => {
    expect(match(method, ...segments)).toEqual([value, texts]);
  });

  it.each<[attack: string, method: string, segments: string[]]>([
    ['an action in capitals, for a server that does not see case', 'POST', ['resources', 'DELETE']],
    ['the long s and the Kelvin sign', 'POST', ['re\u017Fources', '7', 'archive']],
    ['a literal in capitals behind an argument', 'POST', ['resources', '7', 'Archive']],
    ['a collection in capitals', 'PUT', ['Resources', '7']],
    ['another method', 'PATCH', ['resources', '7']],
    ['a method in lower case', 'get', ['resources']],
    ['a method of the prototype', 'constructor', ['resources']],
    ['one segment more', 'GET', ['resources', '7', 'owner']],
    ['one segment less', 'POST', ['resources']],
    ['nothing', 'GET', []],
    ['a segment of the prototype', 'GET', ['__proto__']],
    ['half of each of two routes', 'DELETE', ['A', 'y']],
  ])('has nothing for %s', (_, method, segments) => {
    expect(match(method, ...segments)).toBeUndefined();
  });
});
