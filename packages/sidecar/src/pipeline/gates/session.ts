/**
 * Ties the call to exactly one open session, which says who the principal is. A session that is not in memory has no
 * facts and no rights: an id of an earlier start is `session_expired`, whatever else the token proves. An operator's
 * token is proven once more, by the release that opens the session: between its head and here a body may have trickled.
 * On the inbound leg a request opens one itself, or goes on in the one that its client has.
 */

import { deny, fail, ok, type Agent, type AgentName, type Denial, type Principal, type Result, type RuleId } from '@sallyport/model';
import { tieSession } from '@sallyport/identity';
import { DEFAULT_DENY, judgeCaller } from '@sallyport/policy';
import type { Asked, Caller, HeadFacts, InSession } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement, type LocalAnswer } from '../gate.ts';
import { clientCaller } from '../client-caller.ts';
import { asInvoked, judgeClient } from '../invocation.ts';
import { sessionAnswer } from '../local-answers.ts';
import type { OpenSession, Ports, Snapshot } from '../ports.ts';
import { presentedAgain } from '../presented.ts';

/** What the session is opened for. */
type Operator = Extract<Caller, { kind: 'operator' }>['operator'];

/** The session of the call, or for `POST /session` what opening one takes. */
type Gathered =
  | Result<OpenSession, Denial>
  | { readonly opening: Result<LocalAnswer, Denial> }
  /** On the inbound leg. */
  | { readonly invoked: Result<InSession, Denial> };

export const session: Gate<HeadFacts & Asked, Gathered, InSession, Ports> = {
  name: 'session',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: (facts, ports) => {
    const { caller } = facts;
    const { snapshot } = facts.held;
    switch (caller.kind) {
      case 'client':
        return invokedIn(facts, ports).then((invoked) => ({ invoked }));
      case 'operator':
        return proven(facts, ports).then((operator) => ({ opening: operator.ok ? openingOf(operator.value, snapshot, ports) : operator }));
      case 'session':
        return tied(facts) ?? bound(facts, found(caller, snapshot, ports), ports);
    }
  },
  decide: decideSession,
  undo: ({ opened }) => opened?.close(),
};

/** Passes the one open session; answers `POST /session` here. */
export function decideSession(gathered: Gathered): Judgement<InSession> {
  if ('invoked' in gathered) return gathered.invoked.ok ? pass(gathered.invoked.value) : refuse(gathered.invoked.error);
  if ('opening' in gathered) return gathered.opening.ok ? gathered.opening.value : refuse(gathered.opening.error);
  return gathered.ok ? pass({ session: gathered.value }) : refuse(gathered.error);
}

/** Two ties that disagree: something between the agent and us may have added one to move the call elsewhere. */
function tied({ ask, head }: HeadFacts & Asked): Result<never, Denial> | undefined {
  const meta = ask.dialect === 'mcp' ? ask.message.session : undefined;
  const tie = tieSession({ header: head.headers.get('sallyport-session'), meta });
  return tie.ok ? undefined : tie;
}

function found(caller: Extract<Caller, { kind: 'session' }>, snapshot: Snapshot, ports: Ports): Result<OpenSession, Denial> {
  const { sessionId, agent } = caller.claims;
  if (agent !== ports.agent) return fail(deny('session_binding_mismatch', `the token is agent \`${agent}\`'s`));
  const open = ports.sessions.find(sessionId);
  if (open === 'unknown') return fail(deny('session_unknown', 'no session of this id'));
  if (open === 'expired') return fail(deny('session_expired', 'the session is over, or of an earlier start'));
  if (!snapshot.agents.has(agent)) return fail(deny('agent_not_registered', `agent \`${agent}\` is not in the bundle`));
  const subject = { tokenId: open.tokenId ?? undefined, session: open.id, principal: open.principal, agent };
  if (snapshot.revocations.denies(subject, ports.clock.wall()))
    return fail(deny('token_revoked', 'session, token, principal or agent revoked'));
  return ok(open);
}

/**
 * An MCP session id must name a session of exactly this caller with exactly this server. Another's, one of an earlier
 * start and one that never was are told apart by nobody; the client begins anew (2025-11-25, session management: 404).
 */
function bound({ ask, route }: HeadFacts & Asked, open: Result<OpenSession, Denial>, { mcpSessions }: Ports): Result<OpenSession, Denial> {
  const id = ask.dialect === 'mcp' ? ask.message.mcpSession : undefined;
  if (id === undefined || !open.ok || route.kind !== 'mcp') return open;
  if (mcpSessions.has(id, { session: open.value.id, server: route.server })) return open;
  return fail(deny('session_expired', 'mcp: no session of this id for this caller and server', { rpc: MCP_SESSION_NOT_FOUND }));
}

const MCP_SESSION_NOT_FOUND: NonNullable<Denial['rpc']> = { status: 404, code: 404, message: 'Session not found' };

const OPENING_RULE = 'local:session' as RuleId;

/** From the cache, unless the issuers have changed since the head was judged. */
async function proven({ leg, head, held }: HeadFacts, { operatorTokens, clock }: Ports): Promise<Result<Operator, Denial>> {
  const presented = presentedAgain(head, leg);
  if (!presented.ok) return presented;
  const { token, ...how } = presented.value;
  const { issuers, policyDigest } = held.snapshot;
  return operatorTokens.verify(token, { issuers, bundle: policyDigest, now: clock.wall(), ...how });
}

function openingOf(operator: Operator, snapshot: Snapshot, ports: Ports): Result<LocalAnswer, Denial> {
  const { principal, tokenId } = operator;
  const agent = registered(ports.agent, snapshot);
  if (!agent.ok) return agent;
  const subject = { tokenId: tokenId ?? undefined, principal, agent: ports.agent };
  if (snapshot.revocations.denies(subject, ports.clock.wall())) return fail(deny('token_revoked', 'token, principal or agent revoked'));
  // Whom the agent may act for is asked wherever a session begins; an agent that does not say opens them for anybody verified.
  const judged = judgeCaller(agent.value, principal);
  if (judged.verdict === 'refused') return fail(deny('no_matching_policy', judged.detail, { ruleId: DEFAULT_DENY }));
  if (!ports.sessions.hasRoom()) return fail(deny('overloaded', 'sessions_max are open'));
  return ok({
    verdict: 'local',
    what: 'session',
    ruleId: OPENING_RULE,
    produce: () => sessionAnswer({ operator, agent: agent.value }, ports),
  });
}

function registered(name: AgentName, snapshot: Snapshot): Result<Agent, Denial> {
  const agent = snapshot.agents.get(name);
  if (agent === undefined) return fail(deny('agent_not_registered', `agent \`${name}\` is not in the bundle`));
  if (!agent.sessions.roots.includes('operator'))
    return fail(deny('agent_not_registered', 'operators may not open sessions of this agent'));
  return ok(agent);
}

/** The session of a request to the agent. Nobody whom the agent may not act for opens one, or goes on in one. */
async function invokedIn(facts: HeadFacts & Asked, ports: Ports): Promise<Result<InSession, Denial>> {
  const caller = await clientCaller(facts, presentedAgain(facts.head, facts.leg), ports);
  if (!caller.ok) return caller;
  const { operator, client } = caller.value;
  const { snapshot } = facts.held;
  const against = judgeClient(operator, snapshot, ports);
  if (against !== undefined) return fail(against);
  const agent = registered(ports.agent, snapshot);
  if (!agent.ok) return agent;
  if (client === undefined) return openedFor(operator, agent.value, ports);
  const open = found({ kind: 'session', claims: client }, snapshot, ports);
  if (!open.ok) return open;
  if (!isSame(open.value.principal, operator.principal))
    return fail(deny('session_binding_mismatch', 'the session is another principal’s'));
  if (operator.case !== null && operator.case !== open.value.case)
    return fail(deny('session_binding_mismatch', 'the credential is for another case than the session'));
  return ok({ session: asInvoked(open.value) });
}

function openedFor(
  { principal, case: kase, purpose, tokenId, times }: Operator,
  agent: Agent,
  { sessions }: Ports,
): Result<InSession, Denial> {
  const room = sessions.hasRoom();
  const opening = { principal, agent, case: kase, purpose, tokenId, tokenExpiresAt: times.expiresAt };
  const open = room ? sessions.open(opening) : undefined;
  if (open === undefined) return fail(deny('overloaded', 'sessions_max are open'));
  return ok({ session: asInvoked(open), opened: { close: () => sessions.close(open.id) } });
}

/** One person under one name; two issuers, or two tenants, may each have an `alice`. */
function isSame(a: Principal, b: Principal): boolean {
  return a.kind === b.kind && a.id === b.id && a.tenant === b.tenant && a.issuer === b.issuer;
}
