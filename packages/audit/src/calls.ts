/**
 * `view: calls`: one event per call, its DECISION and OUTCOME joined by decision id, for people and SIEMs. It proves
 * nothing; for proof there are the records (docs/spec/audit-v1.md section 8).
 */

import { Bug } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import type { AuditRecord } from './read.ts';
import type { DecisionBody } from './record.ts';
import type { OutcomeResult } from './fields.ts';

/** One call. `result` is `denied` for a denial, and `unknown` where no OUTCOME was seen. */
export interface CallEvent extends Omit<DecisionBody, 'kind' | 'detail' | 'latency_ms'> {
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
  readonly latency_ms: number | null;
  readonly bytes: number | null;
  readonly detail: string | null;
}

/** Joins records as they come. */
export interface CallJoiner {
  /** The events that this record completes: none or one; more when the bound on waiting decisions pushed some out as `unknown`. */
  add(record: AuditRecord): readonly CallEvent[];
  /** Ends one stream (CLOSE, or a gap that will not be filled): its decisions without outcome, as `unknown`. */
  endStream(stream: StreamId): readonly CallEvent[];
  /** Everything that still waits, as `unknown`. */
  end(): readonly CallEvent[];
  /** Decisions and outcomes that wait for their other half. */
  readonly waiting: number;
}

export function joinCalls(_options: { readonly waitingMax: number }): CallJoiner {
  throw new Bug('to come');
}
