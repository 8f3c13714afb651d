/** Tools that are other agents: what an agent may hand on by calling one. Spec: policy-v1 section 17. */

import type { Agent, AgentDelegation, CalledAgent, DelegatesTo } from '@sallyport/model';

/** Of a tool that is another agent's: what the agent may hand on to it. */
export interface HandingOn {
  readonly called: CalledAgent;
  readonly depthMax: number;
  /** Absent: nothing. */
  readonly relation?: DelegatesTo;
}

/** What a call of the agent's tool would be: of a server that is an agent. */
export function handingOn(agent: Agent, server: string, called: CalledAgent): HandingOn {
  const { depthMax = 0, to = [] }: Partial<AgentDelegation> = agent.delegation ?? {};
  const relation = to.find((one) => one.server === server);
  return { called, depthMax, ...(relation === undefined ? {} : { relation }) };
}
