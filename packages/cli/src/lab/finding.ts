/**
 * What a command of the lab has found, in one shape for every form that it is asked for. Nothing here says what counts
 * as good.
 */

import type { Json, Problem } from '@sallyport/model';

/** What can be found, by the id that a report gives it. Ids are stable; a new one is an addition. */
export const FINDINGS = {
  'policy-problem': 'the policy does not build',
  'policy-warning': 'the policy builds, and something about it is odd',
  'test-failed': 'a test expects another answer than the policy gives',
  'coverage-gap': 'the tests do not show what a rule does',
  'newly-allowed': 'a call that was denied is allowed',
  'maybe-allowed': 'a change that could allow more',
  'newly-denied': 'a call that was allowed is denied',
  'code-changed': 'a call is denied with another code',
  changed: 'a change of the policy',
  undecidable: 'the record does not hold what the answer depends on',
} as const;
export type FindingId = keyof typeof FINDINGS;

export interface Finding {
  readonly id: FindingId;
  readonly level: 'error' | 'warning' | 'note';
  readonly problem: Problem;
}

/** Something that was tried, for reports that count what went well. */
export interface TriedCase {
  readonly suite: string;
  readonly name: string;
  /** As seen from where the person is. */
  readonly file?: string;
  readonly line?: number;
  /** Absent where it went well. */
  readonly failure?: string;
}

export interface Report {
  /** The command: `policy check`. */
  readonly command: string;
  readonly isGood: boolean;
  /** One line, no full stop. */
  readonly verdict: string;
  readonly findings: readonly Finding[];
  readonly cases: readonly TriedCase[];
  readonly json: Json;
  /** What people read at a terminal; the findings and the verdict unless given. */
  readonly text?: string;
}
