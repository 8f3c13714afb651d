/** What every reservation store must do, whatever engine is behind it. Run by tests only. */

import { describe, expect, it } from 'vitest';
import { Decimal } from '@sallyport/model';
import type { Instant, SessionId } from '@sallyport/model';
import type { CountLimit, Limit, Refused, ReservationStore, RunLimit, SumLimit } from '../reservations.ts';

const NOW = 1_800_000_000_000 as Instant;
const later = (ms: number): Instant => (NOW + ms) as Instant;
const session = (name: string): SessionId => name as SessionId;

/** At most `max` within a minute, unless said otherwise. */
export function limit(key: string, max: number, more: { window_ms?: number; session?: string } = {}): CountLimit {
  return {
    kind: 'count',
    key,
    max,
    window_ms: more.window_ms ?? 60_000,
    session: more.session === undefined ? null : session(more.session),
  };
}

export const sessionLimit = (key: string, max: number, name: string): CountLimit => ({
  kind: 'count',
  key,
  max,
  window_ms: null,
  session: session(name),
});

const decimal = (text: string): Decimal => {
  const value = Decimal.parse(text);
  if (value === undefined) throw new Error(`no decimal: ${text}`);
  return value;
};

/** `amount` under at most `max` within a minute, or in a session's life. */
export function budget(key: string, [amount, max]: readonly [string, string], name?: string): SumLimit {
  const common = { kind: 'sum', key, amount: decimal(amount), max: decimal(max) } as const;
  return name === undefined ? { ...common, window_ms: 60_000, session: null } : { ...common, window_ms: null, session: session(name) };
}

const row = (key: string, max: number, name: string): RunLimit => ({ kind: 'run', key, max, session: session(name) });

type MakeStore = (options: { readonly entriesMax: number }) => ReservationStore | Promise<ReservationStore>;

/** Reserves and tells `ok`, or what refused. */
async function tried(
  store: ReservationStore,
  id: string,
  limits: readonly Limit[],
  now: Instant = NOW,
  of?: string,
): Promise<'ok' | Refused> {
  const result = await store.reserve({ id, limits, ...(of === undefined ? {} : { session: session(of) }) }, now);
  return result.ok ? 'ok' : result.error;
}

export function reservationsSuite(name: string, make: MakeStore): void {
  countingSuite(name, make);
  summingSuite(name, make);
  rowsSuite(name, make);
  lifeSuite(name, make);
}

function summingSuite(name: string, make: MakeStore): void {
  describe(`${name}: summing`, () => {
    it('refuses the amount that would go beyond, to the last cent, and says what was used and when to try again', async () => {
      const store = await make({ entriesMax: 100 });
      expect(await tried(store, 'a', [budget('k', ['600', '1000'])])).toBe('ok');
      const refused = await tried(store, 'b', [budget('k', ['400.01', '1000'])], later(10_000));
      expect(refused).toMatchObject({ code: 'limit', key: 'k', retryAfterMs: 50_000 });
      expect(String((refused as { sum: Decimal }).sum)).toBe('600');
      expect(await tried(store, 'c', [budget('k', ['400.00', '1000'])], later(20_000))).toBe('ok');
      expect(await tried(store, 'd', [budget('k', ['0.01', '1000'])], later(59_999))).not.toBe('ok');
      expect(await tried(store, 'e', [budget('k', ['600', '1000'])], later(60_000))).toBe('ok');
      expect(await tried(store, 'f', [budget('k', ['1000.01', '1000'])], later(999_999))).toMatchObject({ retryAfterMs: null });
    });

    it('is exact where doubles are not: ten times a tenth is one', async () => {
      const store = await make({ entriesMax: 100 });
      for (let n = 0; n < 10; n++) expect(await tried(store, `a${n}`, [budget('k', ['0.1', '1'], 's')])).toBe('ok');
      expect(await tried(store, 'b', [budget('k', ['0.000000000000000000000000000000000001', '1'], 's')])).not.toBe('ok');
    });

    it('lets 20 callers at once spend no more than there is, and gives back what certainly had no effect', async () => {
      const store = await make({ entriesMax: 100 });
      const ids = Array.from({ length: 20 }, (_, index) => `caller-${index}`);
      const results = await Promise.all(ids.map((id) => tried(store, id, [budget('k', ['30', '100'])])));
      const winners = ids.filter((_, index) => results[index] === 'ok');
      expect(winners).toHaveLength(3);
      await store.cancel(winners[0] ?? '');
      expect(await tried(store, 'x', [budget('k', ['40', '100'])])).toBe('ok');
      expect(await tried(store, 'y', [budget('k', ['0.01', '100'])])).not.toBe('ok');
    });

    it('is another counter than a count of the same key', async () => {
      const store = await make({ entriesMax: 100 });
      expect(await tried(store, 'a', [limit('k', 1), budget('k', ['5', '5'])])).toBe('ok');
      expect(await tried(store, 'b', [limit('k', 1)])).not.toBe('ok');
      expect(await tried(store, 'c', [budget('k', ['0', '5'])])).toBe('ok');
    });

    it('a negative amount would make room: it is a bug of whoever asks', async () => {
      const store = await make({ entriesMax: 100 });
      await expect((async () => tried(store, 'a', [budget('k', ['-1', '5'])]))()).rejects.toThrow(/negative/);
    });

    it('an amount of more digits than a decimal has is never kept: no later start could read it', async () => {
      const store = await make({ entriesMax: 100 });
      const amount = decimal('1').add(decimal(`0.${'0'.repeat(37)}1`));
      await expect((async () => tried(store, 'a', [{ ...budget('k', ['0', '5']), amount }]))()).rejects.toThrow(/decimal/);
    });
  });
}

function rowsSuite(name: string, make: MakeStore): void {
  describe(`${name}: rows`, () => {
    it('the third in a row is refused, and another step begins the row anew', async () => {
      const store = await make({ entriesMax: 100 });
      const look = [row('look', 2, 's')];
      expect(await tried(store, 'a', look, NOW, 's')).toBe('ok');
      expect(await tried(store, 'b', look, NOW, 's')).toBe('ok');
      expect(await tried(store, 'c', look, NOW, 's')).toMatchObject({ code: 'limit', key: 'look' });
      expect(await tried(store, 'other session', [row('look', 2, 't')], NOW, 't')).toBe('ok');
      expect(await tried(store, 'd', look, NOW, 's')).not.toBe('ok');
      expect(await tried(store, 'e', [], NOW, 's')).toBe('ok');
      expect(await tried(store, 'f', look, NOW, 's')).toBe('ok');
    });

    it('holds for 20 callers at once; a cancelled one was no step of it, and a session’s end ends its rows', async () => {
      const store = await make({ entriesMax: 100 });
      const look = [row('look', 3, 's')];
      const ids = Array.from({ length: 20 }, (_, index) => `caller-${index}`);
      const results = await Promise.all(ids.map((id) => tried(store, id, look, NOW, 's')));
      const winners = ids.filter((_, index) => results[index] === 'ok');
      expect(winners).toHaveLength(3);
      await store.cancel(winners[0] ?? '');
      expect(await tried(store, 'x', look, NOW, 's')).toBe('ok');
      expect(await tried(store, 'y', look, NOW, 's')).not.toBe('ok');
      await store.forgetSession(session('s'));
      expect(await tried(store, 'z', look, NOW, 's')).toBe('ok');
    });
  });
}

function countingSuite(name: string, make: MakeStore): void {
  describe(`${name}: counting`, () => {
    it('refuses the attempt beyond the limit, names the limit, and says when to try again', async () => {
      const store = await make({ entriesMax: 100 });
      expect(await tried(store, 'a', [limit('k', 2)])).toBe('ok');
      expect(await tried(store, 'b', [limit('k', 2)], later(10_000))).toBe('ok');
      expect(await tried(store, 'c', [limit('other', 9), limit('k', 2)], later(20_000))).toEqual({
        code: 'limit',
        index: 1,
        key: 'k',
        retryAfterMs: 40_000,
      });
      expect(await tried(store, 'd', [limit('k', 2)], later(59_999))).not.toBe('ok');
      expect(await tried(store, 'e', [limit('k', 2)], later(60_000))).toBe('ok');
    });

    it('takes all limits or none: a refused request leaves no trace in the others', async () => {
      const store = await make({ entriesMax: 100 });
      await tried(store, 'a', [limit('full', 1)]);
      for (let attempt = 0; attempt < 5; attempt++)
        expect(await tried(store, `b${attempt}`, [limit('free', 1), limit('full', 1)])).not.toBe('ok');
      expect(await tried(store, 'c', [limit('free', 1)])).toBe('ok');
    });

    it('grants exactly the limit to 20 callers at once, and to the next after a definite failure', async () => {
      const store = await make({ entriesMax: 100 });
      const ids = Array.from({ length: 20 }, (_, index) => `caller-${index}`);
      const results = await Promise.all(ids.map((id) => tried(store, id, [limit('k', 7), limit('wide', 1000)])));
      const winners = ids.filter((_, index) => results[index] === 'ok');
      expect(winners).toHaveLength(7);
      const [loser, ...rest] = winners;
      await store.cancel(loser ?? '');
      for (const id of rest) await store.settle(id, 'failed');
      const again = await Promise.all(ids.map((id) => tried(store, `again-${id}`, [limit('k', 7)])));
      expect(again.filter((result) => result === 'ok')).toHaveLength(1);
    });

    it('counts one attempt once, however many limits look at the same key', async () => {
      const store = await make({ entriesMax: 100 });
      const both = [limit('k', 5, { window_ms: 1000 }), limit('k', 2, { window_ms: 60_000 })];
      expect(await tried(store, 'a', both)).toBe('ok');
      expect(await tried(store, 'b', both)).toBe('ok');
      expect(await tried(store, 'c', both, later(5000))).toMatchObject({ index: 1 });
    });

    it.each([0, -1])('a limit of 0 is never granted; what is no count (%i) is a bug or refused', async (max) => {
      const store = await make({ entriesMax: 100 });
      if (max === 0) expect(await tried(store, 'a', [limit('k', max)])).toMatchObject({ code: 'limit', retryAfterMs: null });
      else await expect((async () => tried(store, 'a', [limit('k', max)]))()).rejects.toThrow(/count/);
    });

    it('holds a limit that a new policy lowered, over what was counted under the old one', async () => {
      const store = await make({ entriesMax: 100 });
      for (const [index, id] of ['a', 'b', 'c'].entries()) await tried(store, id, [limit('k', 3)], later(index * 1000));
      expect(await tried(store, 'd', [limit('k', 1)], later(10_000))).toMatchObject({ retryAfterMs: 52_000 });
    });
  });
}

function lifeSuite(name: string, make: MakeStore): void {
  describe(`${name}: life of a reservation`, () => {
    it.each(['succeeded', 'failed', 'unknown'] as const)(
      'settled as %s it stays counted: the attempt may have had its effect',
      async (outcome) => {
        const store = await make({ entriesMax: 100 });
        await tried(store, 'a', [limit('k', 1)]);
        await store.settle('a', outcome);
        expect(await tried(store, 'b', [limit('k', 1)])).not.toBe('ok');
      },
    );

    it.each([
      ['settled twice', ['settle', 'settle']],
      ['cancelled after settling', ['settle', 'cancel']],
      ['settled after cancelling', ['cancel', 'settle']],
      ['cancelled twice', ['cancel', 'cancel']],
    ] as const)('%s is a bug: a count may not be given back twice', async (_, steps) => {
      const store = await make({ entriesMax: 100 });
      await tried(store, 'a', [limit('k', 3)]);
      const act = async (step: 'settle' | 'cancel'): Promise<unknown> =>
        step === 'settle' ? store.settle('a', 'succeeded') : store.cancel('a');
      await act(steps[0]);
      await expect(act(steps[1])).rejects.toThrow(/once/);
    });

    it('of a session dies with that session alone', async () => {
      const store = await make({ entriesMax: 100 });
      const all = [sessionLimit('k', 1, 's1'), limit('windowed', 9)];
      expect(await tried(store, 'a', all)).toBe('ok');
      expect(await tried(store, 'b', [sessionLimit('k', 1, 's2')])).toBe('ok');
      expect(await tried(store, 'c', [sessionLimit('k', 1, 's1')], later(86_400_000))).toMatchObject({ retryAfterMs: null });
      await store.forgetSession(session('s1'));
      expect(await tried(store, 'd', [sessionLimit('k', 1, 's1')])).toBe('ok');
      expect(await tried(store, 'e', [sessionLimit('k', 1, 's2')])).not.toBe('ok');
      await store.settle('a', 'succeeded');
    });

    it('keeps sessions and keys apart, whatever they are called', async () => {
      const store = await make({ entriesMax: 100 });
      expect(await tried(store, 'a', [sessionLimit('k","s', 1, 't')])).toBe('ok');
      expect(await tried(store, 'b', [sessionLimit('k', 1, 's","t')])).toBe('ok');
      expect(await tried(store, 'c', [sessionLimit('kt', 1, 'u')])).toBe('ok');
      expect(await tried(store, 'd', [sessionLimit('k', 1, 'tu')])).toBe('ok');
      expect(await tried(store, 'e', [limit('k', 1)])).toBe('ok');
      expect(await tried(store, 'f', [limit('__proto__', 1)])).toBe('ok');
    });

    it('is refused when the store is full of live limits, and none of those is evicted for it', async () => {
      const store = await make({ entriesMax: 3 });
      for (const id of ['a', 'b', 'c']) expect(await tried(store, id, [limit(`of-${id}`, 1)])).toBe('ok');
      for (let attempt = 0; attempt < 5; attempt++)
        expect(await tried(store, `x${attempt}`, [limit('new', 9)])).toEqual({ code: 'exhausted' });
      for (const id of ['a', 'b', 'c']) expect(await tried(store, `again-${id}`, [limit(`of-${id}`, 1)])).toMatchObject({ code: 'limit' });
      for (const id of ['a', 'b', 'c']) await store.settle(id, 'succeeded');
      expect(await tried(store, 'y', [limit('new', 9)], later(60_000))).toBe('ok');
    });

    it('finds room again as soon as the shortest window is over', async () => {
      const store = await make({ entriesMax: 2 });
      await tried(store, 'a', [limit('a', 9)]);
      await tried(store, 'b', [limit('b', 9)]);
      expect(await tried(store, 'c', [limit('c', 9)])).toEqual({ code: 'exhausted' });
      await store.cancel('b');
      await tried(store, 'd', [limit('d', 9, { window_ms: 1000 })]);
      await store.settle('d', 'succeeded');
      expect(await tried(store, 'e', [limit('e', 9)], later(1000))).toBe('ok');
    });

    it('counts on when the clock steps back: the past is no way around a limit', async () => {
      const store = await make({ entriesMax: 100 });
      await tried(store, 'a', [limit('k', 1)]);
      expect(await tried(store, 'b', [limit('k', 1)], later(-3_600_000))).not.toBe('ok');
    });
  });
}
