/** Finds what the request is for in the outbound port's table of logical names. What the table lacks leads nowhere. */

import { routeOutbound, type OutboundRoute } from '@sallyport/dialects';
import type { Denial, Result } from '@sallyport/model';
import type { Arrival, Authenticated, Framed, Fresh, Routed } from '../facts.ts';
import { pass, refuse, type Dialect, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

export const route: Gate<Arrival & Framed & Fresh & Authenticated, Result<OutboundRoute, Denial>, Routed, Ports> = {
  name: 'route',
  dialects: { 'http-tool': 'runs', mcp: 'runs', session: 'runs' },
  gather: ({ head }) => routeOutbound(head.method, head.target),
  decide: decideRoute,
};

const DIALECT_OF: Readonly<Record<OutboundRoute['kind'], Dialect>> = {
  session: 'session',
  mcp: 'mcp',
  tool: 'http-tool',
  invoke: 'http-tool',
  http: 'http-tool',
};

/** Passes a route of the table; whether its server exists is the tool gate's to say, and it says the same for both. */
export function decideRoute(found: Result<OutboundRoute, Denial>): Judgement<Routed> {
  return found.ok ? pass({ route: found.value, dialect: DIALECT_OF[found.value.kind] }) : refuse(found.error);
}
