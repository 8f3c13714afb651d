/**
 * One session told from its records: who, on whose behalf, every call in order, and what came of each. It tells what the
 * records say and counts; whether they are all there, and unchanged, is for `audit verify` to prove.
 */

import type { AuditRecord, DecisionBody, OutcomeBody } from '@sallyport/audit';
import { formatInstant } from '@sallyport/model';
import type { Instant, Json, JsonObject } from '@sallyport/model';

/** A call of the session, members as in the record. */
export interface StoryCall {
  readonly at: Instant;
  readonly decision: DecisionBody;
  readonly outcome: OutcomeBody | undefined;
  /** Which repetition of a call that did not succeed this is: 0 for a first try. */
  readonly retry: number;
}

export interface SessionStory {
  readonly sessionId: string;
  /** `undefined` where the opening is not among the records. */
  readonly openedAt: Instant | undefined;
  /** In the order in which they were decided. */
  readonly calls: readonly StoryCall[];
  /** Where the session was recorded; a session lives in one stream. */
  readonly streams: readonly StoryStream[];
  /** There were more than can be told. */
  readonly isCut: boolean;
}

export interface StoryStream {
  readonly stream: string;
  /** SPIFFE id of the writer; `undefined` where its START is not among the records. */
  readonly writer: string | undefined;
  readonly isClosed: boolean;
}

export interface Storyteller {
  /** The records of a session, or of everything, in the order of the record. */
  add(record: AuditRecord): void;
  end(): SessionStory;
}

/** Far more than a session of one agent has; what one can make us hold is bounded all the same. */
const CALLS_MAX = 100_000;
/** Openings are answered at once, so that few wait for their outcome. */
const GRANTED_MAX = 10_000;

export function storyOf(sessionId: string): Storyteller {
  // Owner: this storyteller.
  const calls = new Map<string, { readonly at: Instant; readonly decision: DecisionBody; outcome: OutcomeBody | undefined }>();
  const writers = new Map<string, string>();
  const closed = new Set<string>();
  const streams = new Set<string>();
  /** Sessions that were granted and whose id is not known yet: the OUTCOME says it. */
  const granted = new Map<string, Instant>();
  let openedAt: Instant | undefined;
  let isCut = false;
  return {
    add(record) {
      if (record.kind === 'START') writers.set(record.stream, record.sidecar);
      if (record.kind === 'CLOSE') closed.add(record.stream);
      if (record.kind === 'OUTCOME') {
        const call = calls.get(nameOf(record));
        if (call !== undefined) call.outcome = record;
        if (record.detail === `session ${sessionId}`) openedAt = granted.get(nameOf(record));
        granted.delete(nameOf(record));
      }
      if (record.kind !== 'DECISION') return;
      if (record.dialect === 'session' && granted.size < GRANTED_MAX) granted.set(nameOf(record), record.at);
      if (record.session_id !== sessionId) return;
      streams.add(record.stream);
      if (calls.size >= CALLS_MAX) isCut = true;
      else calls.set(nameOf(record), { at: record.at, decision: record, outcome: undefined });
    },
    end: () => ({
      sessionId,
      openedAt,
      calls: withRetries([...calls.values()]),
      streams: [...streams].map((stream) => ({ stream, writer: writers.get(stream), isClosed: closed.has(stream) })),
      isCut,
    }),
  };
}

/** One writer must not end another's calls. */
function nameOf({ stream, decision_id: id }: { readonly stream: string; readonly decision_id: string }): string {
  return `${stream} ${id}`;
}

type Counted = Omit<StoryCall, 'retry'>;

/**
 * A call is a retry where the call before it, in this session, was of the same tool and did not succeed. The record holds
 * no arguments, so that it cannot say whether they were the same.
 */
function withRetries(calls: readonly Counted[]): readonly StoryCall[] {
  let before: StoryCall | undefined;
  return calls.map((call) => {
    // Of what names no tool nobody can say that it was the same.
    if (call.decision.tool === '-') return { ...call, retry: 0 };
    const isRetry = before !== undefined && before.decision.tool === call.decision.tool && !succeeded(before);
    before = { ...call, retry: isRetry ? (before?.retry ?? 0) + 1 : 0 };
    return before;
  });
}

function succeeded({ outcome }: Counted): boolean {
  return outcome?.result === 'ok';
}

export interface Totals {
  /** Calls of tools. */
  readonly calls: number;
  readonly allowed: number;
  readonly denied: number;
  readonly ok: number;
  /** Allowed, out or refused on the way, and not a success. */
  readonly failed: number;
  /** Allowed, with no outcome in the record. */
  readonly unknown: number;
  readonly retries: number;
  /** What the sidecar answered by itself: handshakes, listings. */
  readonly local: number;
}

export function totalsOf({ calls }: SessionStory): Totals {
  const tools = calls.filter(isToolCall);
  const allowed = tools.filter(({ decision }) => decision.decision === 'allow');
  return {
    calls: tools.length,
    allowed: allowed.length,
    denied: tools.length - allowed.length,
    ok: allowed.filter(succeeded).length,
    failed: allowed.filter((call) => call.outcome !== undefined && !succeeded(call)).length,
    unknown: allowed.filter(({ outcome }) => outcome === undefined).length,
    retries: tools.filter(({ retry }) => retry > 0).length,
    local: calls.length - tools.length,
  };
}

/** Refusals of what names no tool are calls to tell of too. */
export function isToolCall({ decision }: Pick<StoryCall, 'decision'>): boolean {
  return decision.tool !== '-' || decision.decision === 'deny';
}

export function callJson({ at, decision, outcome, retry }: StoryCall): JsonObject {
  const { kind: _kind, detail, ...decided } = decision;
  return {
    at: formatInstant(at),
    ...(decided as unknown as Readonly<Record<string, Json>>),
    detail: outcome?.detail ?? detail,
    retry,
    result: outcome?.result ?? (decision.decision === 'deny' ? 'denied' : 'unknown'),
    upstream_status: outcome?.upstream_status ?? null,
    outcome_code: outcome?.code ?? '-',
    latency_ms: outcome?.latency_ms ?? decision.latency_ms,
    bytes: outcome?.bytes ?? null,
  };
}
