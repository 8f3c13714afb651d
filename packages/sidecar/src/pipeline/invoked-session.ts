/**
 * The session of a request on the inbound leg: opened for it, or the one that its client has open. The credential is proven
 * once more by the release that the call is judged by: between its head and here a body may have trickled.
 */

import { deny, fail, ok, type Agent, type Denial, type Principal, type Result } from '@sallyport/model';
import type { VerifiedOperator } from '@sallyport/credentials';
import { clientCaller } from './client-caller.ts';
import type { Asked, HeadFacts, InSession } from './facts.ts';
import { asInvoked, judgeClient } from './invocation.ts';
import type { Ports } from './ports.ts';
import { presentedAgain } from './presented.ts';
import { agentForOperators, openSessionOf } from './session-lookup.ts';

/** The session of a request to the agent. Nobody whom the agent may not act for opens one, or goes on in one. */
export async function invokedSession(facts: HeadFacts & Asked, ports: Ports): Promise<Result<InSession, Denial>> {
  const caller = await clientCaller(facts, presentedAgain(facts.head, facts.leg), ports);
  if (!caller.ok) return caller;
  const { operator, client } = caller.value;
  const { snapshot } = facts.held;
  const against = judgeClient(operator, snapshot, ports);
  if (against !== undefined) return fail(against);
  const agent = agentForOperators(ports.agent, snapshot);
  if (!agent.ok) return agent;
  if (client === undefined) {
    if (facts.route.kind === 'session') return fail(deny('session_unknown', 'no Sallyport-Session header'));
    return openedFor(operator, agent.value, ports);
  }
  if (client.operator !== operator.principal.id) return fail(deny('session_binding_mismatch', 'the session token is another principal’s'));
  const open = openSessionOf({ kind: 'session', claims: client }, snapshot, ports);
  if (!open.ok) return open;
  if (!isSame(open.value.principal, operator.principal))
    return fail(deny('session_binding_mismatch', 'the session is another principal’s'));
  if (operator.case !== null && operator.case !== open.value.case)
    return fail(deny('session_binding_mismatch', 'the credential is for another case than the session'));
  return ok({ session: asInvoked(open.value) });
}

function openedFor(
  { principal, case: kase, purpose, tokenId, times, origin }: VerifiedOperator,
  agent: Agent,
  { sessions }: Ports,
): Result<InSession, Denial> {
  const room = sessions.hasRoom();
  const opening = { principal, agent, case: kase, purpose, tokenId, tokenExpiresAt: times.expiresAt, origin };
  const open = room ? sessions.open(opening) : undefined;
  if (open === undefined) return fail(deny('overloaded', 'sessions_max are open'));
  return ok({ session: asInvoked(open), opened: { close: () => sessions.close(open.id) } });
}

/** One person under one name; two issuers, or two tenants, may each have an `alice`. */
function isSame(a: Principal, b: Principal): boolean {
  return a.kind === b.kind && a.id === b.id && a.tenant === b.tenant && a.issuer === b.issuer;
}
