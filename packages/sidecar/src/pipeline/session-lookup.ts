/** The session that a proven token names, and the agent that sessions are opened of. What is not there has no rights. */

import { deny, fail, ok, type Agent, type AgentName, type Denial, type Result } from '@sallyport/model';
import { unlessTakenStill } from './delegated.ts';
import type { Caller } from './facts.ts';
import { unlessJobStill } from './job-session.ts';
import type { OpenSession, Ports, Snapshot } from './ports.ts';
import { revocationSubject } from './revocable.ts';

/** By the token of a session, or by what a request that is under way knows of its own. */
interface Named {
  readonly claims: Pick<Extract<Caller, { kind: 'session' }>['claims'], 'sessionId' | 'agent'>;
}

/** The open session, if it is this agent's and nothing of it has been revoked. */
export function openSessionOf({ claims }: Named, snapshot: Snapshot, ports: Ports): Result<OpenSession, Denial> {
  const { sessionId, agent } = claims;
  if (agent !== ports.agent) return fail(deny('session_binding_mismatch', `the token is agent \`${agent}\`'s`));
  const open = ports.sessions.find(sessionId);
  if (open === 'unknown') return fail(deny('session_unknown', 'no session of this id'));
  if (open === 'expired') return fail(deny('session_expired', 'the session is over, or of an earlier start'));
  const entry = registered(agent, snapshot);
  if (!entry.ok) return entry;
  if (snapshot.revocations.denies(revocationSubject(open, { agent, session: open.id }), ports.clock.wall()))
    return fail(deny('token_revoked', 'session, token, run, principal or agent revoked'));
  const untaken =
    open.delegation === undefined ? unlessJobStill(open, entry.value) : unlessTakenStill(open, open.delegation, { snapshot, ports });
  return untaken === undefined ? ok(open) : fail(untaken);
}

/** The agent, whoever opens sessions of it. */
export function registered(name: AgentName, { agents }: Snapshot): Result<Agent, Denial> {
  const agent = agents.get(name);
  return agent === undefined ? fail(deny('agent_not_registered', `agent \`${name}\` is not in the bundle`)) : ok(agent);
}

/** The agent, if operators may open sessions of it. */
export function agentForOperators(name: AgentName, snapshot: Snapshot): Result<Agent, Denial> {
  const agent = registered(name, snapshot);
  if (agent.ok && !agent.value.sessions.roots.includes('operator'))
    return fail(deny('agent_not_registered', 'operators may not open sessions of this agent'));
  return agent;
}
