import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decimal } from '@sallyport/model';
import type { Instant, SessionId } from '@sallyport/model';
import type { StateFrame } from './journal.ts';
import { memoryReservations } from './memory-reservations.ts';
import type { MemoryReservations } from './memory-reservations.ts';
import type { CountLimit } from './reservations.ts';

/** The rule itself, slow and plain: every attempt ever made, and whether it still counts. */
interface Model {
  attempts: { id: string; key: string; session: string | null; at: number; isForgotten: boolean }[];
  open: Set<string>;
}

const counts = (model: Model, limit: CountLimit, now: number): number =>
  new Set(
    model.attempts
      .filter(({ key, session, isForgotten }) => key === limit.key && session === limit.session && !isForgotten)
      .filter(({ at }) => limit.window_ms === null || at > now - limit.window_ms)
      .map(({ id }) => id),
  ).size;

const WINDOW_MS = 1000;
const limitOf = fc
  .record({
    key: fc.constantFrom('a', 'b'),
    max: fc.integer({ min: 0, max: 4 }),
    session: fc.constantFrom(null, 's', 't'),
    isWindowed: fc.boolean(),
  })
  .map(({ key, max, session, isWindowed }): CountLimit =>
    session === null || isWindowed
      ? { kind: 'count', key, max, window_ms: WINDOW_MS, session: session as SessionId | null }
      : { kind: 'count', key, max, window_ms: null, session: session as SessionId },
  );

/** One caller: waits its turn, reserves, waits again, ends in one of three ways. */
const caller = fc.record({
  limits: fc.array(limitOf, { minLength: 1, maxLength: 3 }),
  end: fc.constantFrom('succeeded', 'failed', 'cancel', 'never'),
  wait: fc.integer({ min: -200, max: 600 }),
});
const disturbance = fc.record({
  what: fc.constantFrom('forget s', 'forget t', 'restart', 'snapshot and restart'),
  wait: fc.integer({ min: 0, max: 600 }),
});

describe('reservations', () => {
  it('are exact against a plain count, for 20 callers in any interleaving, with sessions ending, time stepping and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(caller, { minLength: 20, maxLength: 20 }),
        fc.array(disturbance, { maxLength: 4 }),
        async (s, callers, disturbances) => {
          const model: Model = { attempts: [], open: new Set() };
          let store: MemoryReservations = memoryReservations({ entriesMax: 1000 });
          let snapshot: Uint8Array | null = null;
          let journal: StateFrame[] = [];
          let now = 1_000_000;
          let generation = 0;
          const forget = (session: string): void => {
            for (const attempt of model.attempts) if (attempt.session === session) attempt.isForgotten = true;
          };

          const call = async ({ limits, end, wait }: (typeof callers)[number], index: number): Promise<void> => {
            await s.schedule(Promise.resolve(), `caller ${index} arrives`);
            now += wait;
            const id = `call-${index}`;
            const expected = limits.findIndex((limit) => counts(model, limit, now) >= limit.max);
            const result = store.reserve({ id, limits }, now as Instant);
            if (expected !== -1) {
              expect(result).toMatchObject({ ok: false, error: { code: 'limit', index: expected } });
              return;
            }
            expect(result).toMatchObject({ ok: true });
            if (result.ok) journal.push(...result.value.frames);
            for (const { key, session } of limits) model.attempts.push({ id, key, session, at: now, isForgotten: false });
            const mine = generation;
            await s.schedule(Promise.resolve(), `caller ${index} ends`);
            // A call that was under way at a restart has nobody left to end it.
            if (end === 'never' || mine !== generation) return;
            if (end === 'cancel') {
              journal.push(...store.cancel(id));
              model.attempts = model.attempts.filter((attempt) => attempt.id !== id);
            } else journal.push(...store.settle(id, end));
          };

          const disturb = async ({ what, wait }: (typeof disturbances)[number]): Promise<void> => {
            await s.schedule(Promise.resolve(), what);
            now += wait;
            if (what.startsWith('forget')) {
              store.forgetSession(what.slice(-1) as SessionId);
              forget(what.slice(-1));
              return;
            }
            if (what.startsWith('snapshot')) [snapshot, journal] = [store.snapshot(), []];
            generation += 1;
            store = memoryReservations({ entriesMax: 1000, recovered: { snapshot, mutations: journal } });
            for (const session of ['s', 't']) forget(session);
          };

          const all = [...callers.map(call), ...disturbances.map(disturb)];
          await s.waitFor(Promise.all(all));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('sums', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b'),
    cents: fc.integer({ min: 0, max: 300 }),
    wait: fc.integer({ min: 0, max: 500 }),
    end: fc.constantFrom('settle', 'cancel', 'open'),
  });
  const of = (cents: number): Decimal => Decimal.parse((cents / 100).toFixed(2)) ?? Decimal.fromBigInt(0n);

  it('never come to more than the limit in any window, against a plain sum, whatever is given back and however often it restarts', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 0, max: 600 }),
        fc.integer({ min: 0, max: 59 }),
        (steps, max, restartAt) => {
          let store = memoryReservations({ entriesMax: 1000 });
          let now = 1_000_000;
          const made: { key: string; cents: number; at: number }[] = [];
          for (const [index, { key, cents, wait, end }] of steps.entries()) {
            if (index === restartAt)
              store = memoryReservations({ entriesMax: 1000, recovered: { snapshot: store.snapshot(), mutations: [] } });
            now += wait;
            const used = made.filter((one) => one.key === key && one.at > now - WINDOW_MS).reduce((sum, one) => sum + one.cents, 0);
            const limit = { kind: 'sum', key, amount: of(cents), max: of(max), window_ms: WINDOW_MS, session: null } as const;
            const result = store.reserve({ id: `call-${index}`, limits: [limit] }, now as Instant);
            expect(result.ok).toBe(used + cents <= max);
            if (!result.ok) continue;
            expect(result.value.sums.map(({ sum }) => sum.toString())).toEqual([of(used + cents).toString()]);
            if (end === 'cancel') store.cancel(`call-${index}`);
            else made.push({ key, cents, at: now });
            if (end === 'settle') store.settle(`call-${index}`, 'succeeded');
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
