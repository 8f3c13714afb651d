/**
 * `view: calls`: one event per call, its DECISION and OUTCOME joined by decision id, for people and SIEMs. It proves
 * nothing; for proof there are the records (docs/spec/audit-v1.md section 8).
 */

import { formatInstant } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import { RECORD_FIELDS, type OutcomeResult } from './fields.ts';
import type { AuditRecord, WrittenDecision } from './read.ts';
import type { DecisionBody, DecisionOrigin, OutcomeBody, RecordPlace } from './record.ts';

/** One call. `result` is `denied` for a denial, and `unknown` where no OUTCOME was seen. */
export interface CallEvent extends Omit<DecisionBody, 'kind'> {
  readonly v: 1;
  readonly kind: 'CALL';
  readonly stream: StreamId;
  /** Place of the DECISION. */
  readonly seq: number;
  /** Place of the OUTCOME. */
  readonly outcome_seq: number | null;
  /** When it was decided, RFC 3339. */
  readonly at: string;
  readonly actor: string;
  readonly policy_version: number | null;
  readonly result: OutcomeResult | 'unknown';
  readonly upstream_status: number | null;
  /** Of the answer's refusal, where there was one; else of the decision. */
  readonly code: string;
  /** Entry to end; of a denial, entry to decision; null where no OUTCOME was seen. */
  readonly latency_ms: number | null;
  readonly bytes: number | null;
  /** The outcome came after the stream had been given up: this event takes the place of one that said `unknown`. */
  readonly late: boolean;
}

/** Joins records as they come, in any order. */
export interface CallJoiner {
  /** The events that this record completes: none or one; more at a CLOSE, or when the bound on waiting ones pushed some out as `unknown`. */
  add(record: AuditRecord): readonly CallEvent[];
  /** Ends one stream (one that will not go on): its decisions without outcome, as `unknown`. */
  endStream(stream: StreamId): readonly CallEvent[];
  /** Everything that still waits, as `unknown`. */
  end(): readonly CallEvent[];
  /** Decisions and outcomes that wait for their other half. */
  readonly waiting: number;
}

type Decision = RecordPlace & WrittenDecision;
type Outcome = RecordPlace & OutcomeBody;
type Waiting = Decision | Outcome;

/** An OUTCOME whose DECISION never comes makes no event: there is nothing to tell of it. */
export function joinCalls({ waitingMax }: { readonly waitingMax: number }): CallJoiner {
  // Owner: this joiner; oldest first, by stream and decision, since one writer must not end another's calls.
  const waiting = new Map<string, Waiting>();
  const nameOf = ({ stream, decision_id: id }: Waiting): string => `${stream} ${id}`;

  const wait = (half: Waiting): readonly CallEvent[] => {
    waiting.set(nameOf(half), half);
    const [oldest] = waiting;
    if (waiting.size <= waitingMax || oldest === undefined) return [];
    waiting.delete(oldest[0]);
    return unanswered([oldest[1]]);
  };
  const take = (isWanted: (half: Waiting) => boolean): readonly CallEvent[] => {
    const taken = [...waiting.values()].filter(isWanted);
    for (const half of taken) waiting.delete(nameOf(half));
    return unanswered(taken);
  };
  const join = (half: Waiting): readonly CallEvent[] => {
    // The latency of a denial is in its DECISION, which then is all that there is.
    if (half.kind === 'DECISION' && half.decision === 'deny' && half.latency_ms !== null) {
      waiting.delete(nameOf(half));
      return [eventOf(half, undefined)];
    }
    const other = waiting.get(nameOf(half));
    if (other === undefined || other.kind === half.kind) return wait(half);
    waiting.delete(nameOf(half));
    return half.kind === 'DECISION' ? [eventOf(half, other as Outcome)] : [eventOf(other as Decision, half)];
  };

  return {
    add(record) {
      if (record.kind === 'DECISION' || record.kind === 'OUTCOME') return join(record);
      return record.kind === 'CLOSE' ? take(({ stream }) => stream === record.stream) : [];
    },
    endStream: (stream) => take((half) => half.stream === stream),
    end: () => take(() => true),
    get waiting() {
      return waiting.size;
    },
  };
}

function unanswered(halves: readonly Waiting[]): readonly CallEvent[] {
  return halves.flatMap((half) => (half.kind === 'DECISION' ? [eventOf(half, undefined)] : []));
}

function eventOf(decision: Decision, outcome: Outcome | undefined): CallEvent {
  const { stream, seq, at } = decision;
  const refusal = outcome === undefined || outcome.code === '-' ? decision.code : outcome.code;
  return {
    v: 1,
    kind: 'CALL',
    stream,
    seq,
    outcome_seq: outcome?.seq ?? null,
    at: formatInstant(at),
    decision_id: decision.decision_id,
    request_id: decision.request_id,
    leg: decision.leg,
    dialect: decision.dialect,
    action: decision.action,
    agent_id: decision.agent_id,
    actor: decision.actor,
    operator: decision.operator,
    user_id: decision.user_id,
    tenant_id: decision.tenant_id,
    session_id: decision.session_id,
    case: decision.case,
    tool: decision.tool,
    tool_effect: decision.tool_effect,
    ...knownOf(decision),
    decision: decision.decision,
    code: refusal,
    gate: decision.gate,
    rule_id: decision.rule_id,
    release_seq: decision.release_seq,
    policy_version: decision.policy_version,
    policy_digest: decision.policy_digest,
    freshness_seq: decision.freshness_seq,
    policy_age_ms: decision.policy_age_ms,
    result: resultOf(decision, outcome),
    upstream_status: outcome?.upstream_status ?? null,
    latency_ms: outcome === undefined ? (decision.decision === 'deny' ? decision.latency_ms : null) : outcome.latency_ms,
    bytes: outcome?.bytes ?? null,
    late: false,
    detail: outcome?.detail ?? decision.detail,
  };
}

const OPTIONAL = RECORD_FIELDS.DECISION.filter(({ optional }) => optional === true).map(({ name }) => name as keyof DecisionOrigin);

/** What of it stands in a DECISION only where it is known. */
function knownOf(decision: Decision): DecisionOrigin {
  const known = OPTIONAL.filter((name) => decision[name] !== undefined).map((name) => [name, decision[name]]);
  return Object.fromEntries(known) as DecisionOrigin;
}

function resultOf({ decision }: Decision, outcome: Outcome | undefined): CallEvent['result'] {
  if (outcome !== undefined) return outcome.result;
  return decision === 'deny' ? 'denied' : 'unknown';
}
