/**
 * The DECISION and OUTCOME of a call, built from the same facts that the gates judged. What is not known is `-`; what a
 * caller merely claims (a tool that does not exist) is recorded as its claim, cut short.
 */

import type { DecisionBody, DecisionOrigin, OutcomeBody } from '@sallyport/audit';
import { HOPS_MAX } from '@sallyport/identity';
import { isToolName } from '@sallyport/model';
import type { Denial, Principal, RuleId, SessionOrigin, ToolName } from '@sallyport/model';
import type { ShadowFinding } from '@sallyport/policy';
import { actionOf, askedTool } from './asked.ts';
import type { Arrival, Asked, Authenticated, Authorized, CallFacts, Framed, Fresh, HeadFacts, InSession, Named, Routed } from './facts.ts';
import type { CallIds, Outcome, Place, SentEvidence } from './gate.ts';
import type { OpenSession, Ports } from './ports.ts';

/** As much as was proven when the call ended; whatever gate it ended at. */
export type KnownFacts = Arrival & Proven;

type Proven = Partial<Framed & Fresh & Authenticated & Routed & Asked & InSession & Named & Pick<Authorized, 'isolation'>>;
/** As little of an arrival as a record can be made of. */
export type Recordable = CallIds & Pick<Arrival, 'leg' | 'method' | 'target'> & Proven;

/** The DECISION of a call that every gate passed. */
export function allowBody(facts: CallFacts, ports: Ports): DecisionBody {
  const { observed, shadow = [] } = facts.decision;
  const said = [
    ...(observed === undefined ? [] : [`observed: ${observed.code} by rule ${observed.ruleId}`]),
    ...facts.reserved.budgets,
    ...shadow.map(shadowText),
    ...facts.changes,
  ];
  const rule = { gate: 'authorization', rule_id: facts.decision.ruleId, detail: said.length === 0 ? null : said.join('; ') };
  return { ...common(facts, ports), ...rule, decision: 'allow', code: '-', latency_ms: latency(facts, ports) };
}

/** What a rule in shadow would have made of the call, for the record. */
export function shadowText({ ruleId, would, code }: ShadowFinding): string {
  return `rule ${ruleId} in shadow would have ${would === 'allow' ? 'allowed' : 'denied'} it${code === undefined ? '' : ` (${code})`}`;
}

/** The DECISION of an answer that was made here. */
export function localBody(facts: KnownFacts, local: { gate: Place; ruleId: RuleId }, ports: Ports): DecisionBody {
  const rule = { gate: local.gate, rule_id: local.ruleId, detail: null };
  return { ...common(facts, ports), ...rule, decision: 'allow', code: '-', latency_ms: latency(facts, ports) };
}

/** The DECISION of a refusal; it has no OUTCOME. */
export function denyBody(facts: Recordable, refusal: { gate: Place; denial: Denial }, ports: Ports): DecisionBody {
  const { gate, denial } = refusal;
  return {
    ...common(facts, ports),
    decision: 'deny',
    code: denial.code,
    gate,
    rule_id: denial.ruleId ?? `gate:${gate}`,
    latency_ms: latency(facts, ports),
    detail: denial.detail,
  };
}

/** What became of an allowed call; `bytes` is the length of the answer as delivered. */
export function outcomeBody(
  ids: CallIds,
  outcome: Outcome,
  measured: { bytes: number | null; ports: Ports; detail?: string },
): OutcomeBody {
  return {
    kind: 'OUTCOME',
    decision_id: ids.decisionId,
    result: outcome.result,
    upstream_status: outcome.upstreamStatus ?? null,
    code: outcome.code ?? '-',
    latency_ms: latency(ids, measured.ports),
    bytes: measured.bytes,
    ...(outcome.evidence === undefined ? {} : evidenceOf(outcome.evidence)),
    ...(measured.detail === undefined ? {} : { detail: measured.detail }),
  };
}

/** What was transmitted, for who has to prove it later. */
function evidenceOf({ digest, signature }: SentEvidence): Pick<OutcomeBody, 'request_digest' | 'request_signature'> {
  return { request_digest: digest, request_signature: signature };
}

function latency(ids: CallIds, ports: Ports): number {
  return Math.round((ports.clock.boot() - ids.receivedAt) * 1_000) / 1_000;
}

type Common = Omit<DecisionBody, 'decision' | 'code' | 'gate' | 'rule_id' | 'latency_ms' | 'detail'>;

function common(facts: Recordable, ports: Ports): Common {
  return {
    kind: 'DECISION',
    decision_id: facts.decisionId,
    request_id: facts.requestId,
    leg: facts.leg,
    dialect: facts.dialect ?? 'http',
    action: facts.ask === undefined ? `${facts.method} ${pathOf(facts)}`.trim().slice(0, 200) : actionOf(facts.ask),
    tool: facts.tool?.tool.name ?? claimedTool(facts),
    tool_effect: facts.tool?.tool.effect ?? '-',
    isolation: facts.isolation,
    ...who(facts, ports),
    ...under(facts),
  };
}

/** Without the query, in which callers put what belongs into no log, and without a password before a host. */
function pathOf({ head, target }: Recordable): string {
  return head?.target.path ?? (target.split(/[?#]/, 1)[0] ?? '').replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1');
}

type Who = Pick<Common, 'agent_id' | 'operator' | 'user_id' | 'tenant_id' | 'session_id' | 'case'> & DecisionOrigin;

function who(facts: Recordable, ports: Ports): Who {
  const open = facts.session ?? sessionOf(facts, ports);
  const shown = facts.caller === undefined || facts.caller.kind === 'session' ? undefined : facts.caller.operator;
  const principal = open?.principal ?? shown?.principal;
  return {
    agent_id: agentIdOf(facts, ports),
    operator: principal?.id ?? '-',
    user_id: principal?.id ?? '-',
    tenant_id: principal?.tenant ?? '-',
    session_id: open?.id ?? '-',
    case: open?.case ?? '-',
    ...begun(principal, open?.origin ?? shown?.origin),
    ...handedOn(facts, open, ports),
  };
}

/** Of a call to another agent also the hop that it adds, where there is a relation to make it by. */
function handedOn({ server, tool, held }: Proven, open: OpenSession | undefined, ports: Ports): Pick<Who, 'hops'> {
  if (server?.agent === undefined || tool === undefined || open === undefined) return NO_HOP;
  const relation = held?.snapshot.policy.relationTo(ports.agent, tool.tool.name);
  const { self } = ports.delegations;
  if (relation === undefined || self === undefined || open.origin.hops.length >= HOPS_MAX) return NO_HOP;
  return { hops: [...open.origin.hops, { agent: ports.agent, sidecar: self, authority: relation.authority }] };
}

const NO_HOP: Pick<Who, 'hops'> = {};

/** Whose it is beside the name, and how it began; what nobody said is not there. */
function begun(principal: Principal | undefined, origin: SessionOrigin | undefined): DecisionOrigin {
  if (principal === undefined || origin === undefined) return {};
  return {
    principal_kind: principal.kind,
    // Nobody is served as nobody unless identity could not be validated.
    degraded: principal.kind === 'anonymous' ? true : undefined,
    root_kind: origin.rootKind,
    authn_method: origin.method,
    purpose: origin.purpose,
    customer_id: origin.customerId,
    workflow_id: origin.workflowId,
    workflow_step: origin.workflowStep,
    conversation_id: origin.conversationId,
    run_id: origin.runId,
    trace_id: origin.traceId,
    environment: origin.environment,
    scope: principal.scopes.length === 0 ? undefined : principal.scopes.join(' '),
    scope_version: origin.scopeVersion,
    hops: origin.hops.length === 0 ? undefined : origin.hops,
  };
}

/** As its credential names it. Whoever has not shown one, where one is asked for, is not recorded as the agent. */
function agentIdOf({ agentId, leg }: Recordable, { agent, agentCredential }: Ports): string {
  return agentId ?? (leg === 'outbound' && agentCredential.isAsked ? '-' : agent);
}

function under({ held }: Proven): Pick<Common, 'release_seq' | 'policy_digest' | 'freshness_seq' | 'policy_age_ms'> {
  if (held === undefined) return { release_seq: null, policy_digest: null, freshness_seq: null, policy_age_ms: null };
  const { releaseSeq, policyDigest } = held.snapshot;
  return { release_seq: releaseSeq, policy_digest: policyDigest, freshness_seq: held.freshnessSeq, policy_age_ms: Math.round(held.ageMs) };
}

/** A refusal between authentication and the session gate still names whose token it was, where that session is open. */
function sessionOf(facts: Proven, ports: Ports): OpenSession | undefined {
  if (facts.caller?.kind !== 'session') return undefined;
  const found = ports.sessions.find(facts.caller.claims.sessionId);
  return typeof found === 'string' ? undefined : found;
}

function claimedTool(facts: Partial<HeadFacts & Asked>): string {
  const claim = claimOf(facts);
  return claim?.tool === undefined ? '-' : `${claim.server}/${claim.tool}`.slice(0, 200);
}

/** The tool that a call claims to be of; a path that fits none is a call as well. */
function claimOf({ ask, route }: Partial<HeadFacts & Asked>): { readonly server: string; readonly tool: string | undefined } | undefined {
  if (ask === undefined || ask.dialect === 'session' || ask.dialect === 'agent' || route === undefined || !('server' in route))
    return undefined;
  if (ask.dialect === 'mcp' && ask.message.kind !== 'call_tool') return undefined;
  return { server: route.server, tool: askedTool(ask) };
}

/**
 * Under which name a session counts a refused call; `undefined` for what is no call. Of a tool that is not there too: were
 * only those counted that are forbidden, rules that count denials would tell a caller which tools there are.
 */
export function deniedName(facts: Recordable): ToolName | undefined {
  // What is done to an agent is nothing that it did.
  if (facts.leg === 'inbound') return undefined;
  if (facts.tool !== undefined) return facts.tool.tool.name;
  const claim = claimOf(facts);
  if (claim === undefined) return undefined;
  return [`${claim.server}/${claim.tool ?? NAMELESS}`, `${claim.server}/${NAMELESS}`, `${NAMELESS}/${NAMELESS}`].find(isToolName);
}

const NAMELESS = 'unknown';
