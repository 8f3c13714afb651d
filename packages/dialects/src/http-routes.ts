/**
 * The paths of the outbound port. Logical names alone: what is behind a name is the bundle's to say, and a path outside
 * the table leads nowhere. docs/spec/mcp.md, section 1.
 */

import { type Denial, type Result, type ServerName, deny, fail, isServerName, ok } from '@sallyport/model';
import { type CanonicalTarget, type QueryPair, readQuery } from '@sallyport/strict';

/** `POST /session` opens one on the agent's port; `DELETE /session`, on either port, ends the one whose token it shows. */
export interface SessionRoute {
  readonly kind: 'session';
  readonly closes: boolean;
}

/** What a request on the outbound port is for. */
export type OutboundRoute =
  | SessionRoute
  /** `/mcp/<server>` */
  | { readonly kind: 'mcp'; readonly server: ServerName }
  /** `/tools/<server>/<tool>`: the body is the arguments. */
  | { readonly kind: 'tool'; readonly server: ServerName; readonly tool: string }
  /** `/tools/<server>/invoke`: the body names the tool. */
  | { readonly kind: 'invoke'; readonly server: ServerName }
  /** `/http/<server>/<path>`: method and path say which tool (http-tools, section 2). */
  | MappedRoute;

/** A request to an ordinary HTTP API; the active bundle says which tool it is. */
export interface MappedRoute {
  readonly kind: 'http';
  readonly server: ServerName;
  readonly method: MappedMethod;
  /** Of the API's own path, decoded; at least one. */
  readonly segments: readonly string[];
  readonly query: readonly QueryPair[];
}

/** Not HEAD: it would carry out a GET, and nobody would see the answer that was judged. Not OPTIONS: pages are not served. */
export const MAPPED_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type MappedMethod = (typeof MAPPED_METHODS)[number];

/**
 * Every route but a mapped one takes POST alone, an MCP endpoint GET and DELETE too, and none a query. Refusals:
 * `egress_denied`, `method_not_allowed`, `malformed_request`.
 */
export function routeOutbound(method: string, target: CanonicalTarget): Result<OutboundRoute, Denial> {
  if (target.segments[0] === 'http') return routeMapped(method, target);
  const route = routeOf(method, target.segments);
  if (route === undefined) return fail(deny('egress_denied', `no route for \`${target.path.slice(0, 128)}\``));
  const isOther = (route.kind === 'mcp' && (method === 'GET' || method === 'DELETE')) || (route.kind === 'session' && route.closes);
  if (method !== 'POST' && !isOther) return fail(deny('method_not_allowed', `\`${method.slice(0, 16)}\` on ${route.kind}`));
  // A parameter in the query would be an argument that no schema judged.
  if (target.query !== undefined) return fail(deny('malformed_request', 'a query is part of no route'));
  return ok(route);
}

/** For `Allow`: the methods that are served at a path of either port, which every caller may know. */
export function allowedMethods(path: string): string {
  if (path.startsWith('/http/') || (path.startsWith('/agents/') && !/^\/agents\/[^/]*\/invoke$/i.test(path)))
    return MAPPED_METHODS.join(', ');
  return path === '/session' ? 'POST, DELETE' : 'POST';
}

function routeMapped(method: string, target: CanonicalTarget): Result<OutboundRoute, Denial> {
  const [, server = '', ...segments] = target.segments;
  const shown = target.path.slice(0, 128);
  if (!isServerName(server) || segments.length === 0) return fail(deny('egress_denied', `no route for \`${shown}\``));
  const known = MAPPED_METHODS.find((one) => one === method);
  if (known === undefined) return fail(deny('method_not_allowed', `\`${method.slice(0, 16)}\` on \`${shown}\``));
  // Some servers cut off what follows a semicolon: to them it is another path than the one judged here.
  if (segments.some((segment) => segment.includes(';'))) return fail(deny('malformed_request', 'a path segment has parameters'));
  const query = readQuery(target.query);
  return query.ok ? ok({ kind: 'http', server, method: known, segments, query: query.value }) : query;
}

function routeOf(method: string, segments: readonly string[]): OutboundRoute | undefined {
  const [first, server = '', tool = ''] = segments;
  if (first === 'session' && segments.length === 1) return { kind: 'session', closes: method === 'DELETE' };
  if (!isServerName(server)) return undefined;
  if (first === 'mcp' && segments.length === 2) return { kind: 'mcp', server };
  if (first !== 'tools' || segments.length !== 3) return undefined;
  return tool === 'invoke' ? { kind: 'invoke', server } : { kind: 'tool', server, tool };
}
