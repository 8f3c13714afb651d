/**
 * The paths of the inbound port. An agent is named, never addressed: what is behind its name is the sidecar's own
 * configuration to say, and no header, query or body chooses. docs/spec/inbound.md, section 2.
 */

import { type AgentName, type Denial, type Result, deny, fail, isAgentName, ok } from '@sallyport/model';
import type { CanonicalTarget } from '@sallyport/strict';
import { MAPPED_METHODS, type MappedMethod, type SessionRoute } from './http-routes.ts';

/** What a request on the inbound port is for. */
export interface AgentRoute {
  readonly kind: 'agent';
  readonly agent: AgentName;
  /** `/agents/<name>/invoke`: the answer names the session. */
  readonly isInvoke: boolean;
  readonly method: MappedMethod;
  /** What the agent is asked for: the rest of the path in its one spelling, and the query as it was sent. */
  readonly target: string;
}

/** What somebody writes who wants to say where an agent is: a scheme, a port, a host name or address with dots, brackets. */
const ADDRESS = /[:.[\]]/;

/**
 * `/agents/<name>[/<path>]`, and `DELETE /session`. Refusals: `direct_address_rejected` where an address stands in the place of the name,
 * `agent_not_registered` for what is no route, `method_not_allowed`, `malformed_request`.
 */
export function routeInbound(method: string, { path, segments, query }: CanonicalTarget): Result<AgentRoute | SessionRoute, Denial> {
  if (path === '/session' && query === undefined && method === 'DELETE') return ok({ kind: 'session', closes: true });
  const [root, name = '', ...rest] = segments;
  const shown = path.slice(0, 128);
  if (root !== 'agents' || name === '') return fail(deny('agent_not_registered', `no route for \`${shown}\``));
  if (isAddress(name)) return fail(deny('direct_address_rejected', `an address in place of an agent’s name in \`${shown}\``));
  if (!isAgentName(name)) return fail(deny('agent_not_registered', `no agent can be called so in \`${shown}\``));
  const known = MAPPED_METHODS.find((one) => one === method);
  // There are servers to which case makes no other path: it is an invocation to them, and judged as one.
  const isInvoke = rest.length === 1 && rest[0]?.toLowerCase() === 'invoke';
  if (known === undefined || (isInvoke && known !== 'POST'))
    return fail(deny('method_not_allowed', `\`${method.slice(0, 16)}\` on \`${shown}\``));
  // Some servers cut off what follows a semicolon: to them it is another path than the one judged here.
  if (rest.some((segment) => segment.includes(';'))) return fail(deny('malformed_request', 'a path segment has parameters'));
  const target = `/${rest.map(encodeURIComponent).join('/')}${query === undefined ? '' : `?${query}`}`;
  return ok({ kind: 'agent', agent: name, isInvoke, method: known, target });
}

/** Whether a text says where something is instead of what it is called. */
export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}
