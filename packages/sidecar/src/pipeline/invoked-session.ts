/**
 * The session of a request on the inbound leg: opened for it, or the one that its client has open. The credential is proven
 * once more by the release that the call is judged by: between its head and here a body may have trickled.
 */

import { deny, fail, ok, type Agent, type Denial, type Principal, type Result } from '@sallyport/model';
import type { VerifiedOperator } from '@sallyport/credentials';
import { clientCaller, clientOperator } from './client-caller.ts';
import type { Asked, CallFacts, HeadFacts, InSession } from './facts.ts';
import { fingerprintOf } from './fingerprint.ts';
import { asInvoked, judgeClient } from './invocation.ts';
import type { OpenSession, Ports } from './ports.ts';
import { operatorOf, type ProvenOperator } from './delegated.ts';
import { agentForOperators, openSessionOf, registered } from './session-lookup.ts';

/** The session of a request to the agent. Nobody whom the agent may not act for opens one, or goes on in one. */
export async function invokedSession(facts: HeadFacts & Asked, ports: Ports): Promise<Result<InSession, Denial>> {
  const caller = await clientCaller(facts, earlierOf(facts), ports);
  if (!caller.ok) return caller;
  const { operator, client } = caller.value;
  const { snapshot } = facts.held;
  const against = judgeClient(operator, snapshot, ports);
  if (against !== undefined) return fail(against);
  const agent = operator.delegation === undefined ? agentForOperators(ports.agent, snapshot) : registered(ports.agent, snapshot);
  if (!agent.ok) return agent;
  const fingerprint = fingerprintOf(facts, ports.sessionBinding);
  if (!fingerprint.ok) return fingerprint;
  if (client === undefined) {
    if (facts.route.kind === 'session') return fail(deny('session_unknown', 'no Sallyport-Session header'));
    return openedFor(operator, { agent: agent.value, fingerprint: fingerprint.value }, ports);
  }
  if (client.operator !== operator.principal.id) return fail(deny('session_binding_mismatch', 'the session token is another principal’s'));
  const open = openSessionOf({ claims: client }, snapshot, ports);
  if (!open.ok) return open;
  if (open.value.fingerprint !== fingerprint.value)
    return fail(deny('session_binding_mismatch', `the session was opened by another ${ports.sessionBinding}`));
  const unbound = judgeBinding(operator, open.value);
  return unbound === undefined ? ok({ session: asInvoked(open.value) }) : fail(unbound);
}

/**
 * What stands against a request that the agent is answering, once other facts are in force: the credential is proven anew by
 * them (its issuer may be trusted no longer), and the session must be open, unrevoked, and the caller's.
 */
export async function judgeInvoked(call: CallFacts, ports: Ports): Promise<Denial | undefined> {
  const { held, session } = call;
  // A list of hops is judged as it enters: what it opened is judged by what it said then.
  const entered = session.delegation;
  const operator =
    entered === undefined
      ? await clientOperator(call, earlierOf(call), ports)
      : ok(operatorOf(entered, held.snapshot.agents.get(ports.agent), ports.clock.wall()));
  if (!operator.ok) return operator.error;
  const against = judgeClient(operator.value, held.snapshot, ports);
  if (against !== undefined) return against;
  const open = openSessionOf({ claims: { sessionId: session.id, agent: session.agent } }, held.snapshot, ports);
  return open.ok ? judgeBinding(operator.value, open.value) : open.error;
}

/** What the request has proven at its head. */
function earlierOf({ caller }: HeadFacts): VerifiedOperator | undefined {
  return caller.kind === 'client' ? caller.operator : undefined;
}

function judgeBinding(operator: VerifiedOperator, open: OpenSession): Denial | undefined {
  const { principal } = open;
  if (!isSame(principal, operator.principal)) return deny('session_binding_mismatch', 'the session is another principal’s');
  // Calls in it are judged by what it was opened with: a role that was taken away, or a token for less, must not go on with more.
  const lost = [...without(principal.roles, operator.principal.roles), ...without(principal.scopes, operator.principal.scopes)];
  if (lost.length > 0) return deny('session_binding_mismatch', `the session has \`${lost[0] ?? ''}\`, which the credential lacks`);
  const { task, step } = open.facts();
  const said: readonly (readonly [what: string, shown: string | null | undefined, held: string | null | undefined])[] = [
    ['case', operator.case, open.case],
    ['task', operator.purpose.task, task],
    ['tool', operator.purpose.step, step],
    ['customer', operator.origin.customerId, open.origin.customerId],
    ['purpose', operator.origin.purpose, open.origin.purpose],
  ];
  // A credential that says less goes on with what the session was opened for; one that says otherwise was issued for less or other.
  const other = said.find(([, shown, held]) => shown !== undefined && shown !== null && shown !== held);
  return other === undefined ? undefined : deny('session_binding_mismatch', `the credential is for another ${other[0]} than the session`);
}

function openedFor(
  { principal, case: kase, purpose, tokenId, tokenDigest, times, origin, delegation }: ProvenOperator,
  { agent, fingerprint }: { readonly agent: Agent; readonly fingerprint: string | undefined },
  { sessions }: Ports,
): Result<InSession, Denial> {
  const room = sessions.hasRoom(principal);
  const opening = {
    principal,
    agent,
    case: kase,
    purpose,
    tokenId,
    tokenDigest,
    tokenExpiresAt: times.expiresAt,
    origin,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(delegation === undefined ? {} : { delegation }),
  };
  const open = room ? sessions.open(opening) : undefined;
  if (open === undefined) return fail(deny('overloaded', 'as many sessions are open as may be, for this principal or in all'));
  return ok({ session: asInvoked(open), opened: { close: () => sessions.close(open.id) } });
}

function without(held: readonly string[], shown: readonly string[]): readonly string[] {
  return held.filter((word) => !shown.includes(word));
}

/** One person under one name; two issuers, or two tenants, may each have an `alice`. */
function isSame(a: Principal, b: Principal): boolean {
  return a.kind === b.kind && a.id === b.id && a.tenant === b.tenant && a.issuer === b.issuer;
}
