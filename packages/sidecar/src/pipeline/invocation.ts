/**
 * Requests to the agent itself, as the gates that are otherwise about tools see them: the agent is what is named, its
 * `callers` are what allows, and nothing of it is remembered as something that the agent did. docs/spec/inbound.md.
 */

import { compileSchema, type ArgumentSchema } from '@sallyport/strict';
import { Bug, deny, type Agent, type AgentName, type Denial, type Destination, type ServerName, type ToolName } from '@sallyport/model';
import { DEFAULT_DENY, judgeCaller, type PolicyDecision } from '@sallyport/policy';
import type { CallFacts, Caller, Named } from './facts.ts';
import { takenBy, unlessTaken, type ProvenOperator } from './delegated.ts';
import type { EnteredDelegation, OpenSession, Ports, Snapshot } from './ports.ts';
import { revocationSubject } from './revocable.ts';

const AGENTS = 'agents' as ServerName;
/** Where the agent is, is configuration; the way out to it dials nothing that a call names. */
const BESIDE: Destination = { server: AGENTS, scheme: 'http', host: 'localhost', port: 80, network: 'loopback' };

/** The agent in the place of a tool. What an invocation does is not known, and no read. */
export function agentAsNamed(agent: AgentName): Named {
  const tool = {
    name: `${AGENTS}/${agent}` as ToolName,
    effect: 'side_effect',
    classes: [],
    description: '',
    arguments: {},
    denyAs: 'error',
  } as const;
  return {
    tool: { tool, schema: NO_SCHEMA, mirrors: [] },
    server: { name: AGENTS, kind: 'http', url: 'http://localhost' },
    destination: BESIDE,
  };
}

const NO_SCHEMA: ArgumentSchema = schemaOfNothing();

function schemaOfNothing(): ArgumentSchema {
  const compiled = compileSchema({}, '');
  if (!compiled.ok) throw new Bug('the empty schema is one');
  return compiled.value;
}

/** Whether the agent may act for the caller, as the decision of the record. */
export function invocationDecision(agent: Agent | undefined, caller: Caller): PolicyDecision {
  if (caller.kind === 'client' && caller.operator.delegation !== undefined) return delegatedDecision(agent, caller.operator.delegation);
  const judged = agent === undefined || caller.kind !== 'client' ? undefined : judgeCaller(agent, caller.operator.principal);
  if (judged?.verdict === 'granted')
    return { decision: 'allow', ruleId: judged.ruleId, reservations: [], isStep: false, comparedArguments: [] };
  const detail = judged?.verdict === 'refused' ? judged.detail : 'the agent names no callers';
  return { decision: 'deny', code: 'no_matching_policy', ruleId: DEFAULT_DENY, detail, unmet: [] };
}

function delegatedDecision(agent: Agent | undefined, entered: EnteredDelegation): PolicyDecision {
  const verdict = takenBy(agent, entered);
  if (verdict.verdict === 'taken')
    return { decision: 'allow', ruleId: verdict.ruleId, reservations: [], isStep: false, comparedArguments: [] };
  return { decision: 'deny', code: 'delegation_not_allowed', ruleId: DEFAULT_DENY, detail: `delegation: ${verdict.detail}`, unmet: [] };
}

/**
 * What stands against a client's reaching the agent now: the agent is not registered or not for operators, it may not act
 * for this principal, or what was shown has been revoked. `undefined` where nothing does.
 */
export function judgeClient(operator: ProvenOperator, snapshot: Snapshot, ports: Ports): Denial | undefined {
  const { agents, revocations } = snapshot;
  const { agent: name, clock } = ports;
  const agent = agents.get(name);
  if (agent === undefined) return deny('agent_not_registered', `agent \`${name}\` is not in the bundle`);
  if (operator.delegation === undefined && !agent.sessions.roots.includes('operator'))
    return deny('agent_not_registered', 'operators may not open sessions of this agent');
  if (revocations.denies(revocationSubject(operator, { agent: name }), clock.wall()))
    return deny('token_revoked', 'token, run, principal or agent revoked');
  const decision = invocationDecision(agent, { kind: 'client', operator, client: undefined });
  if (decision.decision === 'allow' && operator.delegation !== undefined) return unlessTaken(operator.delegation, snapshot, ports);
  return decision.decision === 'allow' ? undefined : deny(decision.code, decision.detail, { ruleId: decision.ruleId });
}

/** Whether the credential that this request showed has been revoked; the session may have been opened with another. */
export function isCallerRevoked({ caller }: Pick<CallFacts, 'caller'>, { revocations }: Snapshot, { agent, clock }: Ports): boolean {
  if (caller.kind !== 'client') return false;
  return revocations.denies(revocationSubject(caller.operator, { agent }), clock.wall());
}

/** A session as an invocation has it: what the gates write of a call is no fact of what the agent has done in it. */
export function asInvoked(open: OpenSession): OpenSession {
  const { id, principal, agent, tokenId, tokenDigest, fingerprint, origin, delegation, underWay } = open;
  return {
    id,
    underWay,
    principal,
    agent,
    case: open.case,
    tokenId,
    tokenDigest,
    fingerprint,
    origin,
    ...(delegation === undefined ? {} : { delegation }),
    facts: () => open.facts(),
    record: () => {},
    note: () => {},
    saw: () => {},
  };
}
