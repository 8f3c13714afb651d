/**
 * Tool calls over plain HTTP: the agent's POST to one ask, and the route of a tool to the request that its server gets.
 * docs/spec/http-tools.md.
 */

import { deny, fail, localNameOf, ok } from '@sallyport/model';
import type { Denial, HttpRoute, Result, Tool, ToolServer } from '@sallyport/model';
import {
  type Judged,
  type TypedArguments,
  type TypedValue,
  fillTemplate,
  routeTemplate,
  scalarText,
  serializeArguments,
  withoutMembers,
} from '@sallyport/strict';
import { type ToolAsk, membersOf } from './ask.ts';
import type { OutboundRoute } from './http-routes.ts';

/** Reads the body of a tool call. Without a body there are no arguments, which `/invoke` cannot do without. */
export function readToolCall(route: Extract<OutboundRoute, { kind: 'tool' | 'invoke' }>, body: Judged): Result<ToolAsk, Denial> {
  const members = membersOf(body);
  if (members === undefined) return malformed('the body is not an object');
  if (route.kind === 'tool') return ok({ server: route.server, tool: route.tool, arguments: body });
  const { tool } = members;
  if (!Object.hasOwn(members, 'tool') || typeof tool !== 'string') return malformed('`tool` is not text');
  const nested = body.at('arguments');
  // One rule decides between the two forms: where `arguments` stands, it is all of them.
  if (nested === undefined) return ok({ server: route.server, tool, arguments: withoutMembers(body, new Set(['tool'])) });
  if (membersOf(nested) === undefined) return malformed('`arguments` is not an object');
  const unknown = Object.keys(members).find((key) => key !== 'tool' && key !== 'arguments');
  if (unknown !== undefined) return malformed(`\`${unknown.slice(0, 64)}\` stands beside \`arguments\``);
  return ok({ server: route.server, tool, arguments: nested });
}

/** The body of `POST /session` says nothing yet: absent, or an empty object. The session is the token's. */
export function readSessionRequest(body: Judged | undefined): Result<undefined, Denial> {
  if (body === undefined) return ok(undefined);
  const members = membersOf(body);
  return members !== undefined && Object.keys(members).length === 0
    ? ok(undefined)
    : malformed('the body of a session request is `{}` or absent');
}

/** What a tool's server is sent. Headers that every request has (host, length, credentials, trace) are the sender's. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, in the one spelling that was built here. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/**
 * The request for a call. Arguments that the route's path names fill it, each as one segment; those that its `query` names,
 * and all others of a GET or DELETE, go to the query; the rest go into a JSON body. A tool without a route is
 * `POST /<tool>`. Refuses, as `schema_violation` with the argument's name, what cannot stand where the route puts it.
 */
export function upstreamRequest(server: ToolServer, tool: Tool, args: TypedArguments): Result<UpstreamRequest, Denial> {
  const route: HttpRoute = tool.route ?? { method: 'POST', path: `/${localNameOf(tool.name)}` };
  const { segments, unfit: misplaced } = fillTemplate(routeTemplate(route.path) ?? [], args);
  const unfit = [...misplaced, ...unfitForQuery(route, args)];
  if (unfit.length > 0)
    return fail(deny('schema_violation', `${unfit.join(', ')}: no place in the route of ${tool.name}`, { fields: unfit }));
  const inPath = pathArguments(route);
  const pairs: string[] = [];
  const rest = Object.create(null) as Record<string, TypedValue>;
  for (const [name, value] of Object.entries(args)) {
    if (inPath.includes(name)) continue;
    if (!isQueried(route, name)) rest[name] = value;
    else for (const text of textsOf(value)) pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(text ?? '')}`);
  }
  const hasBody = !hasQueryAlone(route);
  return ok({
    method: route.method,
    target: `${basePath(server.url)}${agentPath(server)}/${segments.map(encodeURIComponent).join('/')}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`,
    headers: { accept: 'application/json', ...(hasBody ? { 'content-type': 'application/json' } : {}) },
    // Members of typed arguments are typed values, and so is a selection of them.
    body: hasBody ? serializeArguments(rest as TypedArguments) : undefined,
  });
}

/** Arguments that the route puts into the query and that no query can say: null, an empty list, and what is nested. */
export function unfitForQuery(route: HttpRoute, args: TypedArguments): readonly string[] {
  if (!hasQueryAlone(route) && route.query === undefined) return [];
  const inPath = pathArguments(route);
  return Object.entries(args).flatMap(([name, value]) =>
    !inPath.includes(name) && isQueried(route, name) && textsOf(value).includes(undefined) ? [name] : [],
  );
}

/** The arguments that a route's path names, in order. */
export function pathArguments(route: Pick<HttpRoute, 'path'>): readonly string[] {
  return (routeTemplate(route.path) ?? []).flatMap((segment) => ('argument' in segment ? [segment.argument] : []));
}

/** Whether requests of a method have no body, so that all that is not in the path is in the query. */
export function hasQueryAlone({ method }: Pick<HttpRoute, 'method'>): boolean {
  return method === 'GET' || method === 'DELETE';
}

function isQueried(route: HttpRoute, name: string): boolean {
  return hasQueryAlone(route) || route.query?.includes(name) === true;
}

/** A list as its elements, in order. One of none has no text: left out, it would be an argument that is not there. */
function textsOf(value: TypedValue): readonly (string | undefined)[] {
  if (!Array.isArray(value)) return [scalarText(value)];
  return value.length === 0 ? [undefined] : (value as readonly TypedValue[]).map(scalarText);
}

/** Whether an upstream's status says that the tool did it. A redirect does not: it is never followed. */
export function isSuccessStatus(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** The path of an absolute URL that has neither query nor fragment, without its last slash. */
/** Another agent is asked by its name, below the place of its sidecar (inbound, section 2). */
function agentPath({ agent }: ToolServer): string {
  return agent === undefined ? '' : `/agents/${agent.name}`;
}

function basePath(url: string): string {
  const afterScheme = url.indexOf('://') + 3;
  const slash = url.indexOf('/', afterScheme);
  return slash === -1 ? '' : url.slice(slash).replace(/\/$/, '');
}

function malformed(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('malformed_request', `http: ${detail}`));
}
