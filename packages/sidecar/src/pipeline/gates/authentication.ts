/**
 * Proves who calls before a byte of the body is read: first that it is the agent, where a credential of its own is
 * configured, then for whom. A call carries the session's own token; only a request that opens a session carries its
 * operator's, or names a job of the bundle's. On the inbound leg it is the caller who proves itself, every time. Loopback, headers that name users and bodies prove nothing.
 */

import { deny, ok, type AgentName, type Denial, type Result } from '@sallyport/model';
import type { Arrival, Authenticated, Caller, Framed, Fresh } from '../facts.ts';
import { orAnonymous } from '../anonymous.ts';
import { clientCaller } from '../client-caller.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import { JOB_HEADER, jobCaller } from '../job-session.ts';
import type { Ports } from '../ports.ts';
import { presentedBy } from '../presented.ts';
import { sessionCaller } from '../session-caller.ts';

export const authentication: Gate<Arrival & Framed & Fresh, Proof, Authenticated, Ports> = {
  name: 'authentication',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: (facts, ports) => {
    const { leg, head, peerChain } = facts;
    if (leg === 'inbound') return clientCaller(facts, undefined, ports).then((caller) => ({ agentId: ports.agent, caller }));
    const agent = ports.agentCredential.judge(head.headers.get('sallyport-agent'), peerChain);
    return agent instanceof Promise ? agent.then((proven) => ofAgent(proven, facts, ports)) : ofAgent(agent, facts, ports);
  },
  decide: decideAuthentication,
};

/** What the credentials of a request prove. */
interface Proof {
  /** Absent where not even the agent is proven. */
  readonly agentId?: AgentName;
  readonly caller: Result<Caller, Denial>;
}

/** Passes a caller whose credential verified; otherwise the verifier's own code. */
export function decideAuthentication({ agentId, caller }: Proof): Judgement<Authenticated> {
  if (!caller.ok) return refuse(caller.error, { agentId });
  if (agentId === undefined) return refuse(deny('unauthenticated', 'no agent is proven'));
  return pass({ caller: caller.value, agentId });
}

/** On the outbound leg: whose credential it is has been judged; now for whom the agent calls. */
function ofAgent(agent: Result<AgentName, Denial>, facts: Framed & Fresh, ports: Ports): Proof | Promise<Proof> {
  if (!agent.ok) return { caller: agent };
  const agentId = agent.value;
  const caller = outboundCaller(facts, ports);
  return caller instanceof Promise ? caller.then((proven) => ({ agentId, caller: proven })) : { agentId, caller };
}

function outboundCaller({ head, held }: Framed & Fresh, ports: Ports): Result<Caller, Denial> | Promise<Result<Caller, Denial>> {
  const now = ports.clock.wall();
  if (head.target.path !== '/session' || head.method === 'DELETE') return sessionCaller({ head, held }, ports);
  const job = head.headers.get(JOB_HEADER);
  const { outbound } = ports.schemes;
  if (job !== undefined) return jobCaller({ head, held }, { name: job, presented: () => presentedBy(head, outbound) }, ports);
  const presented = presentedBy(head, outbound);
  if (!presented.ok) return presented;
  const { token, ...how } = presented.value;
  const { issuers, policyDigest } = held.snapshot;
  return ports.operatorTokens.verify(token, { issuers, bundle: policyDigest, now, ...how }).then((verified): Result<Caller, Denial> => {
    const operator = orAnonymous(verified, { agent: held.snapshot.agents.get(ports.agent), namesSession: false, now });
    return operator.ok ? ok({ kind: 'operator', operator: operator.value }) : operator;
  });
}
