/** Runs the vectors of mapped routes: from the target of a request to a tool, its typed arguments, and the request upstream. */

import { mappedArguments, routeOutbound, upstreamRequest } from '@sallyport/dialects';
import type { JsonObject, Tool, ToolServer } from '@sallyport/model';
import { canonicalArguments, canonicalTarget, compileSchema, judge, routeTable, routeTemplate } from '@sallyport/strict';
import { expect, it } from 'vitest';
import vectors from './mapped.json' with { type: 'json' };

const SERVER: ToolServer = { name: 'api' as never, kind: 'http', url: 'https://api.internal' };
const TOOLS = vectors.tools.map((tool) => ({ ...tool, effect: 'read', classes: [], description: '', denyAs: 'error' }) as unknown as Tool);
const TABLE = routeTable(
  TOOLS.map((tool) => ({ method: tool.route?.method ?? '', template: routeTemplate(tool.route?.path ?? '') ?? [], value: tool })),
);

interface Told {
  readonly method: string;
  readonly target: string;
  readonly body?: string;
}

const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

function answer({ method, target, body }: Told): object {
  const canonical = canonicalTarget(target, 'localhost:15001');
  const route = canonical.ok ? routeOutbound(method, canonical.value) : canonical;
  if (!route.ok) return { code: route.error.code };
  if (route.value.kind !== 'http') throw new Error(target);
  const found = TABLE.match(route.value.method, route.value.segments);
  if (found?.value.route === undefined) return { tool: null };
  const schema = compileSchema(found.value.arguments as JsonObject, '');
  const judged = body === undefined ? undefined : judge(new TextEncoder().encode(body));
  if (!schema.ok || judged?.ok === false) throw new Error('the vector is wrong');
  const ask = { server: SERVER.name, tool: '', texts: found.texts, query: route.value.query, body: judged?.value };
  const raw = mappedArguments(ask, found.value.route, schema.value.type);
  const typed = raw.ok ? schema.value.validate(raw.value) : raw;
  if (!typed.ok) return { code: typed.error[0]?.code };
  const request = upstreamRequest(SERVER, found.value, typed.value);
  if (!request.ok) return { code: request.error.code };
  const line = `${request.value.method} ${request.value.target} ${decode(request.value.body)}`.trim();
  return { tool: found.value.name, arguments: decode(canonicalArguments(typed.value)), line };
}

it.each(vectors.requests)('$method $target $body', ({ method, target, body, ...expected }) => {
  expect(answer({ method, target, ...(body === undefined ? {} : { body }) })).toEqual(expected);
});
