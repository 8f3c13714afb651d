/**
 * Finds what the request is for in its port's table of logical names. What the table lacks leads nowhere; and nowhere does
 * the inbound port lead whom the agent may not act for: of them no body is read.
 */

import { routeInbound, routeOutbound, type AgentRoute, type OutboundRoute, type SessionRoute } from '@sallyport/dialects';
import { deny, fail, type AgentName, type Denial, type Result } from '@sallyport/model';
import type { Arrival, Authenticated, Framed, Fresh, Routed } from '../facts.ts';
import { pass, refuse, type Dialect, type Gate, type Judgement } from '../gate.ts';
import { judgeClient } from '../invocation.ts';
import type { Ports } from '../ports.ts';

type Route = OutboundRoute | AgentRoute;
type Inbound = AgentRoute | SessionRoute;

export const route: Gate<Arrival & Framed & Fresh & Authenticated, Result<Route, Denial>, Routed, Ports> = {
  name: 'route',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: ({ leg, head, caller, held }, ports) => {
    if (leg === 'outbound') return routeOutbound(head.method, head.target);
    const found = toOwnAgent(routeInbound(head.method, head.target), ports.agent);
    const against = found.ok && caller.kind === 'client' ? judgeClient(caller.operator, held.snapshot, ports) : undefined;
    return against === undefined ? found : fail(against);
  },
  decide: decideRoute,
};

const DIALECT_OF: Readonly<Record<Route['kind'], Dialect>> = {
  session: 'session',
  mcp: 'mcp',
  tool: 'http-tool',
  invoke: 'http-tool',
  http: 'http-tool',
  agent: 'agent',
};

/** Passes a route of the table; whether its server exists is the tool gate's to say, and it says the same for both. */
export function decideRoute(found: Result<Route, Denial>): Judgement<Routed> {
  return found.ok ? pass({ route: found.value, dialect: DIALECT_OF[found.value.kind] }) : refuse(found.error);
}

/** One sidecar stands beside one agent, and leads to no other, whatever a caller may do there. */
function toOwnAgent(found: Result<Inbound, Denial>, own: AgentName): Result<Inbound, Denial> {
  if (!found.ok || found.value.kind === 'session' || found.value.agent === own) return found;
  return fail(deny('agent_not_registered', `agent \`${found.value.agent}\` is not this sidecar’s`));
}
