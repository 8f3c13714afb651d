import type { HttpRoute, JsonObject, Tool, ToolServer } from '@sallyport/model';
import {
  canonicalArguments,
  canonicalTarget,
  compileSchema,
  judge,
  routeTable,
  routeTemplate,
  type TypedArguments,
} from '@sallyport/strict';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mappedArguments } from './http-mapped.ts';
import { routeOutbound } from './http-routes.ts';
import { upstreamRequest } from './http-tools.ts';

const PROPERTIES: JsonObject = {
  id: { type: 'string' },
  q: { type: 'string' },
  limit: { type: 'integer' },
  amount: { type: 'number', format: 'decimal' },
  deep: { type: 'boolean' },
  tags: { type: 'array', items: { type: 'string' } },
};
const compiled = compileSchema({ type: 'object', required: ['id'], properties: PROPERTIES }, '');
const SERVER: ToolServer = { name: 'api' as never, kind: 'http', url: 'https://api.internal' };

const toolAt = (name: string, route: HttpRoute): Tool => ({ name: `api/${name}` as never, route }) as unknown as Tool;
const OTHERS = [toolAt('secrets', { method: 'GET', path: '/a/secrets' }), toolAt('put-secrets', { method: 'PUT', path: '/a/secrets' })];

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('secrets', 'SECRETS', '%41', '..', ';', 'a b', '+', '&=', 'é', '١'));
const args = fc.record(
  {
    id: text,
    q: text,
    limit: fc.bigInt().map(String),
    amount: fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.bigInt({ min: 0n, max: 10n ** 10n }))
      .map(([whole, part]) => `${whole}.${part}`),
    deep: fc.boolean(),
    tags: fc.array(text, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: ['id'] },
);

function typed(members: Readonly<Record<string, unknown>>): TypedArguments {
  const written = Object.entries(members).map(
    ([name, value]) => `${JSON.stringify(name)}:${name === 'limit' || name === 'amount' ? String(value) : JSON.stringify(value)}`,
  );
  const judged = judge(new TextEncoder().encode(`{${written.join(',')}}`));
  const result = judged.ok && compiled.ok ? compiled.value.validate(judged.value) : undefined;
  if (result?.ok !== true) throw new Error(JSON.stringify(members));
  return result.value;
}

/** The arguments of this tool that a request under `/http` says; `undefined` where it is refused or is not this tool. */
function readBack(tool: Tool, request: { method: string; target: string; body: Uint8Array | undefined }): TypedArguments | undefined {
  const target = canonicalTarget(`/http/api${request.target}`, 'localhost', { bytesMax: 1_000_000 });
  const route = target.ok ? routeOutbound(request.method, target.value) : target;
  if (!route.ok || route.value.kind !== 'http' || tool.route === undefined || !compiled.ok) return undefined;
  const all = [tool, ...OTHERS].map((value) => ({
    method: value.route?.method ?? '',
    template: routeTemplate(value.route?.path ?? '') ?? [],
    value,
  }));
  const found = routeTable(all).match(request.method, route.value.segments);
  if (found?.value !== tool) return undefined;
  const body = request.body === undefined ? undefined : judge(request.body);
  const ask = {
    server: SERVER.name,
    tool: 'x',
    texts: found.texts,
    query: route.value.query,
    body: body?.ok === true ? body.value : undefined,
  };
  const raw = mappedArguments(ask, tool.route, compiled.value.type);
  const result = raw.ok ? compiled.value.validate(raw.value) : undefined;
  return result?.ok === true ? result.value : undefined;
}

test('what goes upstream, sent to the mapped path instead, is the same call with the same arguments, or is refused', () => {
  const routes: HttpRoute[] = [
    { method: 'GET', path: '/a/{id}' },
    { method: 'PUT', path: '/a/{id}', query: ['q', 'limit', 'tags'] },
  ];
  let same = 0;
  fc.assert(
    fc.property(args, fc.constantFrom(...routes), (members, route) => {
      fc.pre(
        Object.values(members)
          .flat()
          .every((value) => typeof value !== 'string' || value.isWellFormed()),
      );
      const tool = toolAt('it', route);
      const wanted = typed(members);
      const request = upstreamRequest(SERVER, tool, wanted);
      const got = request.ok ? readBack(tool, request.value) : undefined;
      if (got === undefined) return;
      same += 1;
      expect(new TextDecoder().decode(canonicalArguments(got))).toBe(new TextDecoder().decode(canonicalArguments(wanted)));
    }),
    { numRuns: 2_000 },
  );
  // Refusals are the exception: a table that refused everything would prove nothing.
  expect(same).toBeGreaterThan(500);
});
