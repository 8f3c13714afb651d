import type { Since } from '@sallyport/sidecar';
import { describe, expect, it } from 'vitest';
import { followDecisions } from './follow-decisions.ts';
import type { SeenDecision, SidecarDecisions } from './sidecar-decisions.ts';

const seen = (id: string, isOver = false): SeenDecision =>
  ({ at: '', decision: { decision_id: id }, ...(isOver ? { outcome: { result: 'ok' } } : {}) }) as SeenDecision;
const since = (next: number, ...decisions: SeenDecision[]): Since => ({ decisions, next, gap: false });

/** Follows a sidecar that answers these one after another, and is then stopped; `last` is what it says once more. */
async function told(
  answers: readonly Since[],
  { known = [], last }: { known?: SeenDecision[]; last?: Since } = {},
): Promise<readonly string[]> {
  const stop = new AbortController();
  const asked: number[] = [];
  const answered: SidecarDecisions['since'] = async (place) => {
    asked.push(place);
    const answer = answers[asked.length - 1];
    if (answer !== undefined) return { ok: true, value: answer };
    stop.abort();
    throw new Error('the wait was cut');
  };
  const events: string[] = [];
  const once = { since: async () => ({ ok: true as const, value: last ?? since(0) }) };
  for await (const event of followDecisions(
    { since: answered },
    { place: 0, known, io: stop, ...(last === undefined ? {} : { last: once }) },
  )) {
    if (!event.ok) events.push(`refused ${event.error.problems[0]?.message ?? ''}`);
    else events.push(event.value.kind === 'gap' ? 'gap' : `${event.value.kind} ${event.value.seen.decision.decision_id}`);
  }
  expect(asked).toEqual([0, ...answers.map(({ next }) => next)].slice(0, asked.length));
  return events;
}

describe('followed decisions', () => {
  it('are told once when they fall and once when their call has ended, however the two come', async () => {
    expect(await told([since(2, seen('A'), seen('B', true)), since(3, seen('A', true)), since(4, seen('A', true))])).toEqual([
      'decision A',
      'decision B',
      'outcome B',
      'outcome A',
    ]);
  });

  it('that were known are not told again, but their end is', async () => {
    expect(await told([since(2, seen('A', true), seen('B', true))], { known: [seen('A'), seen('B', true)] })).toEqual(['outcome A']);
  });

  it('that fell while the reader was stopped are told all the same', async () => {
    expect(await told([since(1, seen('A'))], { last: since(2, seen('B')) })).toEqual(['decision A', 'decision B']);
  });

  it('say where some are missing', async () => {
    expect(await told([{ ...since(9, seen('X')), gap: true }])).toEqual(['gap', 'decision X']);
  });

  it('end with the refusal of a sidecar that has gone', async () => {
    const refused = { since: async () => ({ ok: false as const, error: { exit: 1 as const, problems: [{ path: '', message: 'gone' }] } }) };
    const events = [];
    for await (const event of followDecisions(refused, { place: 0, io: new AbortController() })) events.push(event.ok);
    expect(events).toEqual([false]);
  });
});
