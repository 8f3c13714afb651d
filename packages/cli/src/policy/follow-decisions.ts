/** The decisions of a sidecar as they are made: each once, and once more when its call has ended. */

import type { Result } from '@sallyport/model';
import type { Io } from '../io.ts';
import type { Refusal } from '../output.ts';
import type { Since } from '@sallyport/sidecar';
import type { SeenDecision, SidecarDecisions } from './sidecar-decisions.ts';

export type Followed =
  | { readonly kind: 'decision' | 'outcome'; readonly seen: SeenDecision }
  /** More were made at once than the sidecar remembers. */
  | { readonly kind: 'gap' };

/** As many as a sidecar remembers, twice: one that was forgotten there is not asked about again. */
const KNOWN_MAX = 2_000;

export interface FollowOptions {
  /** Where to begin. */
  readonly place: number;
  /** Known already, as they were seen. */
  readonly known?: readonly SeenDecision[];
  readonly io: Pick<Io, 'signal'>;
  /** Asked once more after the signal has aborted, so that nothing that was decided by then is missing. */
  readonly last?: Pick<SidecarDecisions, 'since'>;
}

/** Ends when the signal aborts; hands on the refusal of a sidecar that has gone, and ends. */
export async function* followDecisions(
  from: Pick<SidecarDecisions, 'since'>,
  { place, known = [], io, last }: FollowOptions,
): AsyncGenerator<Result<Followed, Refusal>, void, void> {
  // Owner: this generator. What has been told of each; the oldest leaves first.
  const told = new Map<string, 'decided' | 'ended'>(known.map((seen) => [seen.decision.decision_id, stageOf(seen)]));
  let next = place;
  for (let isLast = false; !isLast;) {
    isLast = io.signal.aborted;
    const since = isLast ? await last?.since(next, { isPatient: false }) : await unlessStopped(from.since(next), io);
    // Stopped while it waited: once around for the last look.
    if (since === undefined) continue;
    if (!since.ok) {
      yield since;
      return;
    }
    ({ next } = since.value);
    yield* news(since.value, told);
  }
}

function* news({ decisions, gap }: Since, told: Map<string, 'decided' | 'ended'>): Generator<Result<Followed, Refusal>, void, void> {
  if (gap) yield event({ kind: 'gap' });
  for (const seen of decisions) {
    const id = seen.decision.decision_id;
    if (!told.has(id)) yield event({ kind: 'decision', seen });
    if (seen.outcome !== undefined && told.get(id) !== 'ended') yield event({ kind: 'outcome', seen });
    told.set(id, stageOf(seen));
    const [oldest] = told.size > KNOWN_MAX ? told.keys() : [];
    if (oldest !== undefined) told.delete(oldest);
  }
}

const event = (value: Followed): Result<Followed, Refusal> => ({ ok: true, value });
const stageOf = ({ outcome }: SeenDecision): 'decided' | 'ended' => (outcome === undefined ? 'decided' : 'ended');

/** `undefined` where the wait was ended by Ctrl-C. */
async function unlessStopped<T>(waiting: Promise<T>, { signal }: Pick<Io, 'signal'>): Promise<T | undefined> {
  try {
    return await waiting;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
