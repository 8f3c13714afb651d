/**
 * Finds exactly one tool that some rule could allow for this principal and agent. One that no rule could allow answers
 * exactly as an unknown one, through the same function that filters listings: what is forbidden does not exist.
 */

import { DEFAULT_DENY, visible } from '@sallyport/policy';
import { deny, toolName } from '@sallyport/model';
import type { Asked, HeadFacts, InSession, Named } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement, type LocalAnswer } from '../gate.ts';
import { askedTool } from '../asked.ts';
import { agentAsNamed } from '../invocation.ts';
import { mcpLocalAnswer } from '../mcp-answers.ts';
import type { Ports } from '../ports.ts';
import { namedBy } from '../revocable.ts';
import { shownTools } from '../shown.ts';

type Gathered =
  | { readonly found: Named }
  /** An MCP message that names no tool; `undefined` where the server shows nothing to this caller. */
  | { readonly local: LocalAnswer | undefined }
  | { readonly missing: string }
  /** It is there, and no rule is for this caller. The record says so; the caller hears what it hears of a missing one. */
  | { readonly forbidden: string };

export const tool: Gate<HeadFacts & Asked & InSession, Gathered, Named, Ports> = {
  name: 'tool',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: { notApplicable: 'names no tool: the session gate answers it' } },
  gather: (facts, ports) => {
    const { ask, route, session, held } = facts;
    if (route.kind === 'agent') return { found: agentAsNamed(route.agent) };
    if (route.kind === 'session' || ask.dialect === 'agent' || ask.dialect === 'session') return { missing: 'no tool is named' };
    const isNamed = namedBy(held.snapshot, session, ports.clock.wall());
    const who = { principal: session.principal, agent: session.agent, isNamed };
    const { policy, servers, tools, destinations } = held.snapshot;
    const server = servers.get(route.server);
    if (ask.dialect === 'mcp' && ask.message.kind !== 'call_tool') {
      const tools = shownTools(held.snapshot, route.server, who);
      // Whoever may not use a server any more may still take leave of it.
      if (tools.length === 0 && ask.message.kind !== 'end_session') return { local: undefined };
      return { local: mcpLocalAnswer(ask.message, { tools, server: route.server, facts, ports }) };
    }
    const asked = askedTool(ask);
    const name = asked === undefined ? undefined : toolName(route.server, asked);
    const pinned = name === undefined ? undefined : tools.get(name);
    const destination = destinations.get(route.server);
    // Over plain HTTP a tool is called by its name whatever its server speaks; over MCP, only a server that speaks it.
    const isSpoken = server?.kind === 'mcp' || ((server?.kind === 'http' || server?.kind === 'agent') && ask.dialect === 'http-tool');
    if (pinned === undefined || server === undefined || !isSpoken || destination === undefined) {
      return { missing: asked === undefined ? unmapped(facts) : `\`${route.server}/${asked}\` is not in the catalog` };
    }
    if (!visible(policy, who, pinned.tool.name)) return { forbidden: `no rule could allow ${pinned.tool.name}` };
    if (isNamed(pinned.tool.name)) return { missing: `${pinned.tool.name} is revoked` };
    return { found: { tool: pinned, server, destination } };
  },
  decide: decideTool,
};

function unmapped({ head, route }: HeadFacts): string {
  return `no route of \`${'server' in route ? route.server : ''}\` fits \`${head.method} ${head.target.path.slice(0, 128)}\``;
}

/** Passes the one tool; everything else is `tool_not_allowed`, and a server that shows nothing `egress_denied`. */
export function decideTool(gathered: Gathered): Judgement<Named> {
  if ('found' in gathered) return pass(gathered.found);
  if ('missing' in gathered) return refuse(deny('tool_not_allowed', gathered.missing));
  if ('forbidden' in gathered) return refuse(deny('tool_not_allowed', gathered.forbidden, { ruleId: DEFAULT_DENY }));
  return gathered.local ?? refuse(deny('egress_denied', 'no tool of this server is visible to the caller'));
}
