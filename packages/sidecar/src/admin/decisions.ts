/** The last decisions of this start, for `explain` and for people; the journal is the record, this is a window on it. */

import type { DecisionBody, OutcomeBody, RecordBody } from '@sallyport/audit';

export interface SeenDecision {
  readonly decision: DecisionBody;
  readonly outcome?: OutcomeBody;
}

export interface Decisions {
  /** Told of every record; keeps decisions and their outcomes. */
  see(body: RecordBody): void;
  find(id: string): SeenDecision | undefined;
  /** Newest first. */
  list(): readonly SeenDecision[];
}

const DECISIONS_MAX = 1_000;

export function lastDecisions(): Decisions {
  // Owner: `see`. In order of decision; the oldest leaves first.
  const seen = new Map<string, SeenDecision>();
  return {
    see(body) {
      if (body.kind === 'DECISION') {
        seen.set(body.decision_id, { decision: body });
        const oldest = seen.size > DECISIONS_MAX ? seen.keys().next().value : undefined;
        if (oldest !== undefined) seen.delete(oldest);
      }
      if (body.kind !== 'OUTCOME') return;
      const known = seen.get(body.decision_id);
      if (known !== undefined) seen.set(body.decision_id, { ...known, outcome: body });
    },
    find: (id) => seen.get(id),
    list: () => [...seen.values()].toReversed(),
  };
}
