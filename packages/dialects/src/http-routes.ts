/**
 * The paths of the outbound port. Logical names alone: what is behind a name is the bundle's to say, and a path outside
 * the table leads nowhere. docs/spec/mcp.md, section 1.
 */

import { type Denial, type Result, type ServerName, deny, fail, isServerName, ok } from '@sallyport/model';
import type { CanonicalTarget } from '@sallyport/strict';

/** What a request on the outbound port is for. */
export type OutboundRoute =
  /** `/session` */
  | { readonly kind: 'session' }
  /** `/mcp/<server>` */
  | { readonly kind: 'mcp'; readonly server: ServerName }
  /** `/tools/<server>/<tool>`: the body is the arguments. */
  | { readonly kind: 'tool'; readonly server: ServerName; readonly tool: string }
  /** `/tools/<server>/invoke`: the body names the tool. */
  | { readonly kind: 'invoke'; readonly server: ServerName };

/** Every route takes POST alone and no query. Refusals: `egress_denied`, `method_not_allowed`, `malformed_request`. */
export function routeOutbound(method: string, target: CanonicalTarget): Result<OutboundRoute, Denial> {
  const route = routeOf(target.segments);
  if (route === undefined) return fail(deny('egress_denied', `no route for \`${target.path.slice(0, 128)}\``));
  if (method !== 'POST') return fail(deny('method_not_allowed', `\`${method.slice(0, 16)}\` on ${route.kind}`));
  // A parameter in the query would be an argument that no schema judged.
  if (target.query !== undefined) return fail(deny('malformed_request', 'a query is part of no route'));
  return ok(route);
}

function routeOf(segments: readonly string[]): OutboundRoute | undefined {
  const [first, server = '', tool = ''] = segments;
  if (first === 'session' && segments.length === 1) return { kind: 'session' };
  if (!isServerName(server)) return undefined;
  if (first === 'mcp' && segments.length === 2) return { kind: 'mcp', server };
  if (first !== 'tools' || segments.length !== 3) return undefined;
  return tool === 'invoke' ? { kind: 'invoke', server } : { kind: 'tool', server, tool };
}
