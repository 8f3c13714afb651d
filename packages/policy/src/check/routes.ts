/**
 * Routes of HTTP tools: every argument has one place, and every request has one reading. Two routes that one request
 * could fit, where neither is plainly the more exact, are refused here, so that no gate ever has to choose.
 * Spec: policy-v1 section 3, http-tools section 2.
 */

import { serverOf } from '@sallyport/model';
import type { HttpRoute, Tool } from '@sallyport/model';
import { overlapOf, routeTemplate, textKindOf } from '@sallyport/strict';
import type { PropertyType, RouteTemplate, SchemaType } from '@sallyport/strict';
import { routeArguments } from '../grammar/catalog.ts';
import type { DeclaredServer } from '../grammar/catalog.ts';
import type { Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';

/** Whether a tool has a route exactly if its server is spoken to by one, and the route's arguments exist. */
export function checkRoute({ value, node }: Located<Tool>, server: DeclaredServer, problems: Problems): void {
  const { route } = value;
  if (server.kind === 'mcp' && route !== undefined)
    problems.add(placeAt(node, 'route'), 'a tool of an MCP server has no route', { remedy: 'leave it out' });
  if (server.kind !== 'mcp' && route === undefined)
    problems.add(placeAt(node), `a tool of an ${server.kind === 'http' ? 'HTTP server' : 'agent'} needs a \`route\``, {
      remedy: 'route: { method: POST, path: /orders }',
    });
  if (route === undefined) return;
  const properties = value.arguments['properties'];
  const named = typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
  const required = value.arguments['required'];
  const inPath = routeArguments(route.path);
  const path = placeAt(node, 'route', 'path');
  for (const [index, name] of inPath.entries()) {
    if (!named.includes(name))
      problems.add(path, `no argument ${quote(name)}`, { remedy: didYouMean(name, named) ?? 'declare it under `arguments`' });
    else if (!Array.isArray(required) || !required.includes(name))
      problems.add(path, `${quote(name)} may be absent, and the path needs it`, { remedy: 'list it in `required`' });
    if (inPath.indexOf(name) < index)
      problems.add(path, `${quote(name)} stands in the path twice`, { remedy: 'give each place an argument of its own' });
  }
  for (const [index, name] of (route.query ?? []).entries()) {
    const place = placeAt(node, 'route', 'query', index);
    if (!named.includes(name))
      problems.add(place, `no argument ${quote(name)}`, { remedy: didYouMean(name, named) ?? 'declare it under `arguments`' });
    else if (inPath.includes(name))
      problems.add(place, `${quote(name)} stands in the path already`, { remedy: 'one place for each argument' });
  }
  if (route.query !== undefined && hasQueryAlone(route))
    problems.add(placeAt(node, 'route', 'query'), `the arguments of a ${route.method} are in its query anyway`, { remedy: 'leave it out' });
}

/** Whether what is not in the path goes into the query: such requests have no body. */
function hasQueryAlone({ method }: HttpRoute): boolean {
  return method === 'GET' || method === 'DELETE';
}

interface Routed {
  readonly item: Located<Tool>;
  readonly route: HttpRoute;
  readonly template: RouteTemplate;
}

/** Reports each route that a request to another one could be taken for, with the places of both. */
export function checkOverlaps(tools: readonly Located<Tool>[], problems: Problems): void {
  const groups = new Map<string, Routed[]>();
  for (const item of tools) {
    const { route, name } = item.value;
    const template = route === undefined ? undefined : routeTemplate(route.path);
    if (route === undefined || template === undefined) continue;
    const key = `${serverOf(name)} ${route.method} ${template.length}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    const one = { item, route, template };
    // One for each route: a thousand routes of one shape are a thousand mistakes, not a million.
    const other = group.find((known) => ['ambiguous', 'case'].includes(overlapOf(template, known.template)));
    if (other !== undefined) reportOverlap(one, other, problems);
    group.push(one);
  }
}

function reportOverlap(one: Routed, other: Routed, problems: Problems): void {
  const isByCase = overlapOf(one.template, other.template) === 'case';
  const { file, line } = placeAt(other.item.node, 'route', 'path');
  const where = file === undefined ? '' : ` at ${file}:${line ?? 1}`;
  const [mine, theirs] = [`${one.route.method} ${one.route.path}`, `${other.route.method} ${other.route.path}`];
  const message = isByCase
    ? `${quote(mine)} differs from ${quote(theirs)} of ${quote(other.item.value.name)}${where} by case alone`
    : `a request can be both ${quote(mine)} and ${quote(theirs)} of ${quote(other.item.value.name)}${where}`;
  const remedy = isByCase
    ? 'some servers do not see case: keep one of them'
    : 'let one have a literal wherever the other has one, and more';
  problems.add(placeAt(one.item.node, 'route', 'path'), message, { remedy });
}

/** Arguments in the path or query that a caller by path has no words for: a text does not say which value is meant. */
export function untoldArguments(route: HttpRoute, properties: ReadonlyMap<string, PropertyType>): readonly string[] {
  const inPath = routeArguments(route.path);
  const isText = (name: string): boolean => inPath.includes(name) || hasQueryAlone(route) || route.query?.includes(name) === true;
  return [...properties].flatMap(([name, { type }]) => {
    const scalar = type.kind === 'list' ? type.element : type;
    return isText(name) && textKindOf(scalar) === undefined ? [name] : [];
  });
}

/** Arguments of the path that no path can hold: a list, an object or null is no segment. */
export function unfitForPath(route: HttpRoute, typeOf: (name: string) => SchemaType | undefined): readonly string[] {
  return routeArguments(route.path).filter((name) => ['list', 'object', 'null'].includes(typeOf(name)?.kind ?? ''));
}
