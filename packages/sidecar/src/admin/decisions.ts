/**
 * The last decisions of this start, for `explain` and for people; the journal is the record, this is a window on it. It
 * holds what the record says and why, and no argument of any call.
 */

import type { DecisionBody, OutcomeBody, RecordBody } from '@sallyport/audit';
import { formatInstant } from '@sallyport/model';
import type { Beside } from '../audit/recorder.ts';
import type { Why } from '../pipeline/ports.ts';

/** A decision as it is told; members are the wire's. */
export interface SeenDecision {
  /** When it was recorded, RFC 3339. */
  readonly at: string;
  readonly decision: DecisionBody;
  readonly outcome?: OutcomeBody;
  readonly why?: Why;
}

/** What happened after a place: decisions that were made or got their outcome since, each as it stands now. */
export interface Since {
  /** In the order in which they last changed. */
  readonly decisions: readonly SeenDecision[];
  /** Where to go on from. */
  readonly next: number;
  /** Some that changed since have left the window unseen. */
  readonly gap: boolean;
}

export interface Decisions {
  /** Told of every record; keeps decisions and their outcomes. */
  see(body: RecordBody, beside: Beside): void;
  find(id: string): SeenDecision | undefined;
  /** Newest first. */
  list(): readonly SeenDecision[];
  /** The place of the last change. */
  readonly place: number;
  /** Everything from a place on, up to `max`. A place that was never reached is one of another start: all are given. */
  since(place: number, max: number): Since;
  /** Resolves at the next change, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

export const DECISIONS_MAX = 1_000;

interface Entry extends SeenDecision {
  /** Of its last change. */
  readonly place: number;
}

export function lastDecisions(): Decisions {
  // Owner: `see`. In order of decision; the oldest leaves first.
  const seen = new Map<string, Entry>();
  const waiting = new Set<() => void>();
  let place = 0;
  let lastForgotten = 0;
  const keep = (id: string, entry: Omit<Entry, 'place'>): void => {
    place += 1;
    seen.set(id, { ...entry, place });
    const [oldest] = seen.size > DECISIONS_MAX ? seen : [];
    if (oldest !== undefined) {
      seen.delete(oldest[0]);
      lastForgotten = Math.max(lastForgotten, oldest[1].place);
    }
    for (const wake of waiting) wake();
  };
  return {
    see(body, { at, why }) {
      if (body.kind === 'DECISION')
        keep(body.decision_id, { at: formatInstant(at), decision: body, ...(why === undefined ? {} : { why }) });
      if (body.kind !== 'OUTCOME') return;
      const known = seen.get(body.decision_id);
      if (known !== undefined) keep(body.decision_id, { ...known, outcome: body });
    },
    find(id) {
      const found = seen.get(id);
      return found === undefined ? undefined : told(found);
    },
    list: () => [...seen.values()].map(told).toReversed(),
    get place() {
      return place;
    },
    since(from, max) {
      const after = from > place ? 0 : from;
      const changed = [...seen.values()].filter((entry) => entry.place > after).toSorted((a, b) => a.place - b.place);
      const given = changed.slice(0, max);
      return { decisions: given.map(told), next: given.at(-1)?.place ?? place, gap: from > place || after < lastForgotten };
    },
    async changed(signal) {
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    },
  };
}

function told({ place: _place, ...entry }: Entry): SeenDecision {
  return entry;
}
