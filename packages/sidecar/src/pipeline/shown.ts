/** What one caller may see of one MCP server: the same for a listing, for a stream of its changes, and for an unknown tool. */

import { serverOf, type AgentName, type Principal, type ServerName, type Tool, type ToolName } from '@sallyport/model';
import { visibleTools } from '@sallyport/policy';
import type { Snapshot } from './ports.ts';

/**
 * The tools of an MCP server that some rule could allow for this caller, and that no revocation names (`isNamed`); none of a
 * server of another kind, or that is not there.
 */
export function shownTools(
  { policy, servers }: Pick<Snapshot, 'policy' | 'servers'>,
  server: ServerName,
  who: { readonly principal: Principal; readonly agent: AgentName; readonly isNamed: (tool: ToolName) => boolean },
): readonly Tool[] {
  return servers.get(server)?.kind === 'mcp'
    ? visibleTools(policy, who).filter(({ name }) => serverOf(name) === server && !who.isNamed(name))
    : [];
}
