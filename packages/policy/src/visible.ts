/** Which tools a caller may know of. Reads allow, for and chain only: never scopes, bind, session facts or arguments. */

import type { AgentName, Principal, Tool, ToolName } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { CompiledPolicy } from './compile.ts';

/** Whether any allow rule could grant the tool to this principal of this agent. A tool outside `uses` is not visible. */
export function visible(_policy: CompiledPolicy, _who: { principal: Principal; agent: AgentName }, _tool: ToolName): boolean {
  throw new Bug('to come');
}

/** The visible tools, sorted by name. */
export function visibleTools(_policy: CompiledPolicy, _who: { principal: Principal; agent: AgentName }): readonly Tool[] {
  throw new Bug('to come');
}
