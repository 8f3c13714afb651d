import type { RecordBody } from '@sallyport/audit';
import type { Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decisionBody, outcomeBody } from '../testing/audit-side.ts';
import { lastDecisions } from './decisions.ts';

const AT = { at: Date.parse('2026-11-20T08:00:00.000Z') as Instant };

function window(): ReturnType<typeof lastDecisions> & { tell(...bodies: readonly RecordBody[]): void } {
  const seen = lastDecisions();
  return Object.assign(seen, { tell: (...bodies: readonly RecordBody[]) => bodies.forEach((body) => seen.see(body, AT)) });
}

describe('the last decisions', () => {
  it('are a thousand and no more: the oldest leave first', () => {
    const seen = window();
    for (let i = 0; i < 5_000; i++) seen.tell(decisionBody(`D${i}`));
    expect(seen.list()).toHaveLength(1_000);
    expect([seen.find('D3999'), seen.find('D4000')?.decision.decision_id]).toEqual([undefined, 'D4000']);
    expect(seen.list()[0]?.decision.decision_id).toBe('D4999');
  });

  it('an outcome joins its decision and keeps its place; one of a forgotten decision brings nothing back', () => {
    const seen = window();
    seen.tell(decisionBody('old'));
    for (let i = 0; i < 1_000; i++) seen.tell(decisionBody(`D${i}`));
    seen.tell(outcomeBody('old'));
    expect(seen.find('old')).toBeUndefined();
    seen.tell(outcomeBody('D0'));
    expect(seen.find('D0')?.outcome?.result).toBe('ok');
    seen.tell(decisionBody('next'));
    expect(seen.find('D0')).toBeUndefined();
  });

  it('other records are none', () => {
    const seen = window();
    seen.tell({ kind: 'ALERT', code: 'x', subject: null, detail: null });
    expect(seen.list()).toEqual([]);
  });
});

describe('what happened since', () => {
  const ids = ({
    decisions,
  }: {
    decisions: readonly { decision: { decision_id: string }; outcome?: { result: string } }[];
  }): readonly string[] => decisions.map(({ decision, outcome }) => `${decision.decision_id} ${outcome?.result ?? '-'}`);

  it('tells a decision, and once more when its outcome has come', () => {
    const seen = window();
    seen.tell(decisionBody('A'), decisionBody('B'));
    const first = seen.since(0, 10);
    expect([ids(first), first.gap]).toEqual([['A -', 'B -'], false]);
    seen.tell(outcomeBody('A'));
    const second = seen.since(first.next, 10);
    expect(ids(second)).toEqual(['A ok']);
    expect(seen.since(second.next, 10)).toEqual({ decisions: [], next: second.next, gap: false });
  });

  it('goes on where a bounded answer ended, without a hole', () => {
    const seen = window();
    for (let i = 0; i < 5; i++) seen.tell(decisionBody(`D${i}`));
    const first = seen.since(0, 3);
    expect(ids(first)).toEqual(['D0 -', 'D1 -', 'D2 -']);
    expect(ids(seen.since(first.next, 3))).toEqual(['D3 -', 'D4 -']);
  });

  it('says that something is missing where the window went past the reader, and where it is of another start', () => {
    const seen = window();
    for (let i = 0; i < 1_001; i++) seen.tell(decisionBody(`D${i}`));
    expect(seen.since(0, 1).gap).toBe(true);
    expect(seen.since(1, 1).gap).toBe(false);
    const other = window();
    other.tell(decisionBody('X'));
    expect([ids(other.since(77, 10)), other.since(77, 10).gap]).toEqual([['X -'], true]);
  });

  it('wakes every reader at a change, and lets go of one that has gone', async () => {
    const seen = window();
    const gone = new AbortController();
    const readers = [seen.changed(new AbortController().signal), seen.changed(new AbortController().signal)];
    const leaving = seen.changed(gone.signal);
    gone.abort();
    await leaving;
    seen.tell(decisionBody('A'));
    await Promise.all(readers);
  });
});
