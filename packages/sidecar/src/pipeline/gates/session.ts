/**
 * Ties the call to exactly one open session, which says who the principal is. A session that is not in memory has no
 * facts and no rights: an id of an earlier start is `session_expired`, whatever else the token proves. An operator's
 * token is proven once more, by the release that opens the session: between its head and here a body may have trickled.
 * On the inbound leg a request opens one itself, or goes on in the one that its client has.
 */

import { deny, fail, ok, type Agent, type AgentJob, type Denial, type Result, type RuleId } from '@sallyport/model';
import { tieSession } from '@sallyport/identity';
import { DEFAULT_DENY, judgeCaller } from '@sallyport/policy';
import { isNobodys, orAnonymous, UNJUDGED } from '../anonymous.ts';
import type { Asked, HeadFacts, InSession, SessionTie } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement, type LocalAnswer } from '../gate.ts';
import { invokedSession } from '../invoked-session.ts';
import { jobCaller, type JobCaller, type Opener } from '../job-session.ts';
import { sessionAnswer } from '../local-answers.ts';
import type { OpenSession, Ports, Snapshot } from '../ports.ts';
import { presentedAgain } from '../presented.ts';
import { revocationSubject } from '../revocable.ts';
import { closingOf } from '../session-closing.ts';
import { agentForOperators, openSessionOf } from '../session-lookup.ts';

/** The session of the call, or for `POST /session` what opening one takes. */
type Gathered =
  | Result<OpenSession, Denial>
  /** To be opened or ended here. */
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
        return invokedSession(facts, ports).then((invoked) =>
          facts.route.kind === 'session' ? { opening: ended(invoked, ports) } : { invoked },
        );
      case 'operator':
        return proven(facts, ports).then((operator) => ({ opening: operator.ok ? openingOf(operator.value, snapshot, ports) : operator }));
      case 'job':
        return provenJob(facts, caller, ports).then((job) => ({ opening: job.ok ? openingOfJob(job.value, snapshot, ports) : job }));
      case 'session':
        if (facts.route.kind === 'session') return { opening: closingOf(openSessionOf(caller, snapshot, ports), ports) };
        return tied(facts, caller.claims, ports) ?? bound(facts, openSessionOf(caller, snapshot, ports), ports);
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
function tied({ ask, head }: HeadFacts & Asked, { sessionId }: SessionTie, ports: Ports): Result<never, Denial> | undefined {
  const meta = ask.dialect === 'mcp' ? ask.message.session : undefined;
  const header = head.headers.get('sallyport-session');
  if (header !== undefined) {
    const tie = tieSession({ header, meta });
    return tie.ok ? undefined : tie;
  }
  if (meta === undefined) return undefined;
  // Tied by its trace: what the body names besides has to be the same session.
  const named = ports.sessionTokens.verify(meta, ports.clock.wall());
  return named.ok && named.value.sessionId === sessionId
    ? undefined
    : fail(deny('session_binding_mismatch', 'tracestate and `_meta` name different sessions'));
}

/**
 * An MCP session id must name a session of this agent with exactly this server; whose call comes under it, the call says by
 * itself. Another server's, one of an earlier start and one that never was are told apart by nobody; the client begins anew
 * (2025-11-25, session management: 404).
 */
function bound({ ask, route }: HeadFacts & Asked, open: Result<OpenSession, Denial>, { mcpSessions }: Ports): Result<OpenSession, Denial> {
  const id = ask.dialect === 'mcp' ? ask.message.mcpSession : undefined;
  if (id === undefined || !open.ok || route.kind !== 'mcp') return open;
  if (mcpSessions.has(id, { session: open.value.id, server: route.server })) return open;
  return fail(deny('session_expired', 'mcp: no session of this id with this server', { rpc: MCP_SESSION_NOT_FOUND }));
}

const MCP_SESSION_NOT_FOUND: NonNullable<Denial['rpc']> = { status: 404, code: 404, message: 'Session not found' };

const OPENING_RULE = 'local:session' as RuleId;

/** From the cache, unless the issuers have changed since the head was judged. */
async function proven(
  { leg, head, held, caller }: HeadFacts,
  { agent, operatorTokens, clock, schemes }: Ports,
): Promise<Result<Opener, Denial>> {
  const presented = presentedAgain(head, schemes[leg]);
  if (!presented.ok) return presented;
  const { token, ...how } = presented.value;
  const { issuers, policyDigest, agents } = held.snapshot;
  const now = clock.wall();
  const wasNobodys = caller.kind === 'operator' && isNobodys(caller.operator);
  const verified = wasNobodys ? UNJUDGED : await operatorTokens.verify(token, { issuers, bundle: policyDigest, now, ...how });
  return orAnonymous(verified, { agent: agents.get(agent), namesSession: false, now });
}

/** By the bundle that opens the session, which may know the job no more, or as somebody else. */
function provenJob(facts: HeadFacts, { job }: JobCaller, ports: Ports): Promise<Result<JobCaller, Denial>> {
  return jobCaller(facts, { name: job.name, presented: () => presentedAgain(facts.head, ports.schemes.outbound) }, ports);
}

function openingOf(operator: Opener, snapshot: Snapshot, ports: Ports): Result<LocalAnswer, Denial> {
  const agent = agentForOperators(ports.agent, snapshot);
  if (!agent.ok) return agent;
  const against = mayNotOpen({ operator, agent: agent.value, isOperator: true }, snapshot, ports);
  if (against !== undefined) return fail(against);
  return ok({
    verdict: 'local',
    what: 'session',
    ruleId: OPENING_RULE,
    produce: () => sessionAnswer({ operator, agent: agent.value }, ports),
  });
}

function openingOfJob({ job, operator, isOperator }: JobCaller, snapshot: Snapshot, ports: Ports): Result<LocalAnswer, Denial> {
  const agent = snapshot.agents.get(ports.agent);
  if (agent === undefined) return fail(deny('agent_not_registered', `agent \`${ports.agent}\` is not in the bundle`));
  const against = mayNotOpen({ operator, agent, isOperator }, snapshot, ports);
  if (against !== undefined) return fail(against);
  if (!ports.jobStarts.mayStart(job)) return fail(tooOften(job));
  return ok({
    verdict: 'local',
    what: 'session',
    ruleId: `job:${job.name}` as RuleId,
    // Taken when the DECISION is kept; where another request was faster, the OUTCOME says so.
    produce: () => (ports.jobStarts.start(job) ? sessionAnswer({ operator, agent }, ports) : tooOften(job)),
  });
}

const tooOften = ({ name, max }: AgentJob): Denial =>
  deny('rate_limited', `job ${name} has opened ${max.count} sessions within ${max.withinMs} ms`);

/** What stands against opening a session. A job that is itself is in the agent's own document, and needs no grant besides. */
function mayNotOpen(
  { operator, agent, isOperator }: { readonly operator: Opener; readonly agent: Agent; readonly isOperator: boolean },
  { revocations }: Snapshot,
  { sessions, clock }: Ports,
): Denial | undefined {
  const { principal } = operator;
  const subject = revocationSubject(operator, { agent: agent.name });
  if (revocations.denies(subject, clock.wall())) return deny('token_revoked', 'token, run, principal or agent revoked');
  // Whom the agent may act for is asked wherever a session begins; an agent that does not say opens them for anybody verified.
  const judged = isOperator ? judgeCaller(agent, principal) : undefined;
  if (judged?.verdict === 'refused') return deny('no_matching_policy', judged.detail, { ruleId: DEFAULT_DENY });
  return sessions.hasRoom(principal) ? undefined : deny('overloaded', 'as many sessions are open as may be, for this principal or in all');
}

function ended(invoked: Result<InSession, Denial>, ports: Ports): Result<LocalAnswer, Denial> {
  return closingOf(invoked.ok ? ok(invoked.value.session) : invoked, ports);
}
