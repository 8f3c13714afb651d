import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { FEATURES } from '../compile/features.ts';
import { readParts } from '../compile/parts.ts';
import { runTests } from '../suites/run-tests.ts';

const HEAD = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [api, other]
---
kind: ToolServer
name: api
http: { url: "https://api.internal" }
---
kind: ToolServer
name: other
http: { url: "https://other.internal" }
---
`;

interface Declared {
  readonly name?: string;
  readonly route: string;
  readonly args?: string;
}

const tool = ({ name, route, args = 'id: { type: string }, x: { type: string }, y: { type: string }' }: Declared, index: number): string =>
  `kind: Tool\nname: ${name ?? `api/t${'abcdefgh'[index]}`}\neffect: read\nroute: ${route}\narguments: { required: [${[
    ...args.matchAll(/(\w+):/g),
  ]
    .map(([, word]) => word)
    .filter((word) => ['id', 'x', 'y', 'z'].includes(word ?? ''))
    .join(', ')}], properties: { ${args} } }\n---\n`;

/** The problems of tools with these routes; the first tool's route stands on line 18, each further one six lines below. */
function problemsOf(...tools: readonly Declared[]): readonly string[] {
  const names = tools.map((one, index) => one.name ?? `api/t${'abcdefgh'[index]}`);
  const rules = `kind: Policy\nagent: triage\nrules: [{ id: a, allow: [${names.join(', ')}] }]\n`;
  const parsed = parseDocuments([{ path: 'p.yaml', text: HEAD + tools.map(tool).join('') + rules }]);
  return parsed.ok ? [] : parsed.error.filter(({ severity }) => severity === undefined).map(formatProblem);
}

const at = (method: string, path: string): Declared => ({ route: `{ method: ${method}, path: "${path}" }` });

describe('routes of one server', () => {
  test.each<[string, readonly Declared[]]>([
    ['literals that differ', [at('POST', '/resources/archive'), at('POST', '/resources/delete')]],
    ['a literal where the other has an argument', [at('POST', '/resources/{id}'), at('POST', '/resources/delete')]],
    ['an action behind an argument', [at('POST', '/resources/{id}/archive'), at('POST', '/resources/{id}/{x}')]],
    ['another method', [at('GET', '/resources/{id}'), at('DELETE', '/resources/{id}')]],
    ['another length', [at('GET', '/resources'), at('GET', '/resources/{id}')]],
    ['another server', [at('GET', '/resources/{id}'), { ...at('GET', '/resources/{id}'), name: 'other/t' }]],
    ['a chain of three, each more exact', [at('GET', '/{id}/{x}'), at('GET', '/a/{x}'), at('GET', '/a/b')]],
  ])('stand beside each other: %s', (_, tools) => {
    expect(problemsOf(...tools)).toEqual([]);
  });

  test.each<[string, readonly Declared[], string]>([
    [
      'two arguments in one place',
      [at('GET', '/resources/{id}'), at('GET', '/resources/{x}')],
      'p.yaml:24:30: route.path: a request can be both `GET /resources/{x}` and `GET /resources/{id}` of `api/ta` at p.yaml:18 (let one',
    ],
    ['the same path', [at('GET', '/a'), at('GET', '/a')], 'a request can be both `GET /a` and `GET /a` of `api/ta` at p.yaml:18'],
    [
      'each more exact in its own way',
      [at('PUT', '/a/{id}'), at('PUT', '/{x}/b')],
      'a request can be both `PUT /{x}/b` and `PUT /a/{id}` of `api/ta` at p.yaml:18 (let one have a literal wherever the other has one, and more)',
    ],
    [
      'an argument where the more exact one has a literal',
      [at('PUT', '/a/{id}/c/{x}'), at('PUT', '/a/b/{x}/{y}')],
      'a request can be both `PUT /a/b/{x}/{y}` and `PUT /a/{id}/c/{x}`',
    ],
    [
      'case alone',
      [at('POST', '/resources/delete'), at('POST', '/resources/Delete')],
      '`POST /resources/Delete` differs from `POST /resources/delete` of `api/ta` at p.yaml:18 by case alone (some servers do not see case: keep one of them)',
    ],
    ['case, beside an argument', [at('POST', '/A/{id}'), at('POST', '/a/b')], 'by case alone'],
  ])('are refused where one request has two readings: %s', (_, tools, problem) => {
    const problems = problemsOf(...tools);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('are refused in parts as well: a sidecar does not trust that a builder has looked', () => {
    const rules = 'kind: Policy\nagent: triage\nrules: [{ id: a, allow: [api/ta, api/tb] }]\n';
    const text = HEAD + [at('GET', '/a/{id}'), at('GET', '/b/{id}')].map(tool).join('') + rules;
    const parsed = parseDocuments([{ path: 'p.yaml', text }]);
    const built = parsed.ok ? buildParts(parsed.value) : parsed;
    if (!built.ok) throw new Error(built.error.map(formatProblem).join());
    const catalog = new TextEncoder().encode(new TextDecoder().decode(built.value.parts.catalog).replace('/b/{id}', '/a/{id}'));
    const read = readParts({ ...built.value.parts, catalog });
    expect(read.ok ? [] : read.error.map(formatProblem)).toEqual([
      expect.stringContaining('a request can be both `GET /a/{id}` and `GET /a/{id}` of `api/ta`'),
    ]);
  });

  test('a thousand of one shape are looked through, and each named once', () => {
    const tools = Array.from({ length: 1_000 }, (_, i) => tool({ name: `api/n${i}`, route: '{ method: GET, path: "/a/{id}" }' }, 0)).join(
      '',
    );
    const parsed = parseDocuments([{ path: 'p.yaml', text: HEAD + tools }]);
    expect(parsed.ok ? 0 : parsed.error.length).toBeLessThanOrEqual(201);
  });
});

test('arguments that spell the path of another tool are refused in tests as they are by a sidecar', () => {
  const declared = [
    { ...at('GET', '/named/{id}'), args: 'id: { type: string }' },
    { ...at('GET', '/named/secrets'), args: '' },
  ]
    .map(tool)
    .join('');
  const rules = 'kind: Policy\nagent: triage\nrules: [{ id: a, allow: ["api/*"] }]\n---\n';
  const cases = `kind: Test
cases:
  - { call: api/ta, args: { id: mine }, expect: allow }
  - { call: api/ta, args: { id: secrets }, expect: schema_violation }
  - { call: api/ta, args: { id: SECRETS }, expect: schema_violation }
  - { call: api/ta, args: { id: a/b }, expect: schema_violation }
  - { call: api/ta, args: { id: .. }, expect: schema_violation }
  - { call: api/tb, expect: allow }
`;
  const parsed = parseDocuments([{ path: 'p.yaml', text: HEAD + declared + rules + cases }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join());
  expect(runTests(built.value.policy)).toMatchObject({ passed: 6, failed: 0, problems: [] });
});

describe('the places of arguments', () => {
  test.each<[string, Declared, string]>([
    [
      'an argument in two places of a path',
      at('GET', '/{id}/{id}'),
      '`id` stands in the path twice (give each place an argument of its own)',
    ],
    ['an argument that is not there', at('GET', '/{od}'), 'no argument `od` (did you mean `id`)'],
    [
      'a list in a path',
      { ...at('GET', '/{id}'), args: 'id: { type: array, items: { type: string } }' },
      '`id` is never one segment of a path',
    ],
    ['an object in a path', { ...at('GET', '/{id}'), args: 'id: { type: object }' }, '`id` is never one segment of a path'],
    ['a query of no argument', { route: '{ method: POST, path: /a, query: [notify] }' }, 'no argument `notify`'],
    ['a query twice', { route: '{ method: POST, path: /a, query: [x, x] }' }, '`x` stands in `query` twice'],
    ['an empty query', { route: '{ method: POST, path: /a, query: [] }' }, '`query` must not be empty'],
    ['an argument in path and query', { route: '{ method: POST, path: "/{x}", query: [x] }' }, '`x` stands in the path already'],
    ['a query of what has no body', { route: '{ method: GET, path: /a, query: [x] }' }, 'the arguments of a GET are in its query anyway'],
    ['33 segments', at('GET', '/a'.repeat(33)), 'is not a path of plain segments'],
  ])('%s is refused', (_, declared, problem) => {
    expect(problemsOf(declared).join('\n')).toContain(problem);
  });

  test('an argument that no text tells is pointed out where the route puts it into path or query', () => {
    const args =
      'where: { type: object }, either: { anyOf: [{ type: string }, { type: integer }] }, q: { type: string }, tags: { type: array, items: { type: string } }';
    const warnings = (route: string): readonly string[] => {
      const text = `${HEAD}${tool({ route, args }, 0)}kind: Policy\nagent: triage\nrules: [{ id: a, allow: [api/ta] }]\n`;
      const parsed = parseDocuments([{ path: 'p.yaml', text }]);
      if (!parsed.ok) throw new Error(parsed.error.map(formatProblem).join());
      return parsed.value.warnings.map(({ message }) => /tells `(\w+)`/.exec(message)?.[1] ?? '').filter((name) => name !== '');
    };
    expect(warnings('{ method: GET, path: /a }')).toEqual(['either', 'where']);
    expect(warnings('{ method: POST, path: /a }')).toEqual([]);
    expect(warnings('{ method: POST, path: /a, query: [either, tags] }')).toEqual(['either']);
  });

  test('a query travels in the catalog, sorted, under a feature of its own', () => {
    const rules = 'kind: Policy\nagent: triage\nrules: [{ id: a, allow: [api/ta] }]\n';
    const text = HEAD + tool({ route: '{ method: POST, path: /a, query: [y, x] }' }, 0) + rules;
    const parsed = parseDocuments([{ path: 'p.yaml', text }]);
    const built = parsed.ok ? buildParts(parsed.value) : parsed;
    if (!built.ok) throw new Error(built.error.map(formatProblem).join());
    expect(built.value.policy.tool('api/ta' as never)?.route).toEqual({ method: 'POST', path: '/a', query: ['x', 'y'] });
    expect(built.value.features).toContain('route.query');
    expect(FEATURES).toEqual(FEATURES.toSorted());
  });
});
