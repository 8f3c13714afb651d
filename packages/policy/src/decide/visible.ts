/** Which tools a caller may know of. Reads allow, for and chain only: never scopes, bind, session facts or arguments. */

import type { AgentName, Principal, Tool, ToolName } from '@sallyport/model';
import { entriesOf, entryOf } from '../compile/compile.ts';
import type { CompiledPolicy, Entry } from '../compile/compile.ts';
import { compareText } from '../reader/node.ts';
import { isFor } from './requirements.ts';

/** Who asks. */
export interface Viewer {
  readonly principal: Principal;
  readonly agent: AgentName;
}

/**
 * Whether any allow rule could grant the tool to this principal of this agent. A tool outside the agent's `uses`, or not
 * in the catalog, is not visible; the gate answers it exactly as one that does not exist.
 */
export function visible(policy: CompiledPolicy, who: Viewer, tool: ToolName): boolean {
  const entry = entryOf(policy, who.agent, tool);
  return entry !== undefined && isVisible(entry, who);
}

/** The visible tools, sorted by name. */
export function visibleTools(policy: CompiledPolicy, who: Viewer): readonly Tool[] {
  const tools: Tool[] = [];
  for (const entry of entriesOf(policy, who.agent)) if (isVisible(entry, who)) tools.push(entry.tool);
  return tools.toSorted((a, b) => compareText(a.name, b.name));
}

function isVisible(entry: Entry, who: Viewer): boolean {
  return entry.allows.some((compiled) => isFor(compiled, who.principal));
}
