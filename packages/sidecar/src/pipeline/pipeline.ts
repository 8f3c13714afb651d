/**
 * The life of a call, whole: three lists, read top to bottom, and the one function that runs them. Nothing is forwarded
 * without a Permit, and only this file mints one. docs/life-of-a-call.md tells the same story in prose.
 */

import { deny, type Denial } from '@sallyport/model';
import { deliver, deliverLocal } from './answering.ts';
import { isSameDestination } from './destination.ts';
import type { Arrival, CallFacts, Fresh, HeadFacts } from './facts.ts';
import { gates, runGates, type GateList, type Ran } from './gate-list.ts';
import type { Answer, AnswerGate } from './gate.ts';
import { accountability } from './gates/accountability.ts';
import { admission } from './gates/admission.ts';
import { authentication } from './gates/authentication.ts';
import { authorization } from './gates/authorization.ts';
import { content } from './gates/content.ts';
import { envelope } from './gates/envelope.ts';
import { framing } from './gates/framing.ts';
import { freshness } from './gates/freshness.ts';
import { reservation } from './gates/reservation.ts';
import { route } from './gates/route.ts';
import { session } from './gates/session.ts';
import { settlement } from './gates/settlement.ts';
import { tool } from './gates/tool.ts';
import { validation } from './gates/validation.ts';
import { isCallerRevoked } from './invocation.ts';
import { judgeInvoked } from './invoked-session.ts';
import { mintPermit, type Permit } from './permit.ts';
import type { Ports } from './ports.ts';
import { revocationSubject } from './revocable.ts';
import { failSafe, notForwarded, refuseCall, refuseHead } from './refusing.ts';

/** Once per HTTP request, on headers only. */
export const HEAD: GateList<Arrival, HeadFacts, Ports> = gates<Arrival, Ports>()
  .gate(admission)
  .gate(framing)
  .gate(freshness)
  .gate(authentication)
  .gate(route);

/** Once per call. */
export const CALL: GateList<HeadFacts, CallFacts, Ports> = gates<HeadFacts, Ports>()
  .gate(freshness)
  .gate(content)
  .gate(session)
  .gate(tool)
  .gate(envelope)
  .gate(validation)
  .gate(authorization)
  .gate(reservation)
  .gate(accountability);

/** Of a call that is out, when its lease has ended (`leases.ts`): whether it would still be allowed. */
export const LEASE: GateList<CallFacts, CallFacts, Ports> = gates<CallFacts, Ports>()
  .gate(session)
  .gate(tool)
  .gate(validation)
  .gate(authorization);

/** Once per answer unit. */
export const ANSWER: readonly AnswerGate<CallFacts, Ports>[] = [settlement];

/** Answers one HTTP request. Never rejects: whatever goes wrong becomes a denial, and a denial is recorded. */
export async function answerRequest(arrival: Arrival, ports: Ports): Promise<Answer> {
  try {
    return await answered(arrival, ports);
  } catch (thrown) {
    // Only a defect in the answering itself comes here.
    return failSafe(arrival, thrown, ports);
  }
}

async function answered(arrival: Arrival, ports: Ports): Promise<Answer> {
  const head = await runGates(HEAD, arrival, { ports, dialect: undefined });
  if (head.end !== 'passed') return refuseHead(arrival, head, ports);

  const call = await judge(head.facts, ports);
  if (call.end === 'denied') return refuseCall(head.facts, call, ports);
  if (call.end === 'local') return deliverLocal(head.facts, call, ports);
  if (call.end === 'again') return refuseCall(head.facts, { ...call, ...SWITCHING, facts: head.facts }, ports);

  const permit = mint(call.facts, ports);
  // Settling gives back what was taken: the call is on record, and its OUTCOME says what became of it.
  if (permit.verdict === 'deny') return notForwarded(call.facts, permit.denial, ports);
  return deliver(permit.permit, call.facts, { gates: ANSWER, ports });
}

/** Runs CALL; once more for each time that the release switched under it, up to a bound. */
async function judge(head: HeadFacts, ports: Ports): Promise<Ran<CallFacts>> {
  for (let times = 0; times < ports.limits.rejudgementsMax; times++) {
    const ran = await runGates(CALL, head, { ports, dialect: head.dialect });
    // A call that is let out is compared by the accountability gate; what is answered here has been judged as long ago.
    const isLate = ran.end === 'local' && hasSwitched(ran.facts, ports);
    if (ran.end !== 'again' && !isLate) return ran;
  }
  return { end: 'again' };
}

/** Whether other facts are in force than those that a call was judged by: its body may have taken its time. */
function hasSwitched({ held }: Partial<Fresh>, { bundle }: Ports): boolean {
  const now = bundle.read();
  return now.state !== 'fresh' || now.snapshot.generation !== held?.snapshot.generation;
}

const SWITCHING = {
  end: 'denied',
  gate: 'accountability',
  denial: deny('overloaded', 'the release switched under the call at every judgement'),
} as const;

/**
 * Makes the permit, after reading freshness, the session and revocations once more: the call may have waited for a disk. The
 * DECISION stands; what follows from a refusal here is an OUTCOME `not_forwarded`.
 */
function mint(facts: CallFacts, ports: Ports): { verdict: 'permit'; permit: Permit } | { verdict: 'deny'; denial: Denial } {
  const held = ports.bundle.read();
  if (held.state !== 'fresh')
    return { verdict: 'deny', denial: deny('policy_stale', 'the bundle turned stale while the call was recorded') };
  const { session: open, tool: pinned } = facts;
  // Whoever ended it has been told so.
  if (ports.sessions.peek(open.id) === undefined)
    return { verdict: 'deny', denial: deny('session_expired', 'over while the call was recorded') };
  const subject = revocationSubject(open, { agent: open.agent, session: open.id, tool: pinned.tool.name });
  const { request } = facts.ask.dialect === 'agent' ? facts.ask : { request: undefined };
  const isRevoked = request !== undefined && isCallerRevoked(facts, held.snapshot, ports);
  if (isRevoked || held.snapshot.revocations.denies(subject, ports.clock.wall())) {
    return { verdict: 'deny', denial: deny('token_revoked', 'revoked while the call was recorded') };
  }
  const { observed } = facts.decision;
  const relation = facts.server.agent === undefined ? undefined : facts.held.snapshot.policy.relationTo(open.agent, pinned.tool.name);
  const permit = mintPermit({
    ...(observed === undefined ? {} : { observed: observed.code }),
    decisionId: facts.decisionId,
    agent: open.agent,
    server: facts.server,
    destination: facts.destination,
    tool: pinned.tool,
    mirrors: pinned.mirrors,
    arguments: facts.args,
    credentials: facts.held.snapshot.policy.credentialsFor(open.agent, pinned.tool.name),
    ...(request === undefined ? {} : { request }),
    ...(relation === undefined ? {} : { relation }),
    lease: { releaseSeq: facts.held.snapshot.releaseSeq, freshForMs: held.freshForMs },
  });
  return { verdict: 'permit', permit };
}

/** Judges a call that is out again: its credential and session at every look, everything once the release has switched. */
export async function judgeLease(
  call: CallFacts,
  { held, hasSwitched: isOver }: Fresh & { readonly hasSwitched: boolean },
  ports: Ports,
): Promise<Denial | undefined> {
  const { caller, destination } = call;
  if (caller.kind === 'session' && ports.clock.wall() >= caller.claims.expiresAt)
    return deny('token_expired', 'expired while the call was out');
  const { observed } = call.decision;
  if (observed !== undefined && ports.clock.wall() >= observed.until)
    return deny(observed.code, 'its agent was observed no longer while the call was out', { ruleId: observed.ruleId });
  if (typeof ports.sessions.find(call.session.id) === 'string') return deny('session_expired', 'over while the call was out');
  if (caller.kind === 'client' && ports.clock.wall() >= caller.operator.times.expiresAt)
    return deny('token_expired', 'expired while the agent answered');
  const stranger = await agentNoMore(call, ports);
  if (stranger !== undefined) return stranger;
  if (!isOver) return undefined;
  if (caller.kind === 'client') return judgeInvoked({ ...call, held }, ports);
  const ran = await runGates(LEASE, { ...call, held }, { ports, dialect: call.dialect });
  if (ran.end === 'denied') return ran.denial;
  if (ran.end !== 'passed') return deny('internal', `a lease ended in ${ran.end}`);
  return isSameDestination(ran.facts.destination, destination) ? undefined : deny('egress_denied', 'the server is another one now');
}

/** Its key was withdrawn, its token or certificate has ended: what it asked for while it was the agent is no longer answered to it. */
async function agentNoMore({ leg, head, peerChain }: CallFacts, { agentCredential }: Ports): Promise<Denial | undefined> {
  if (leg === 'inbound' || !agentCredential.isAsked) return undefined;
  const judged = await agentCredential.judge(head.headers.get('sallyport-agent'), peerChain);
  return judged.ok ? undefined : judged.error;
}
