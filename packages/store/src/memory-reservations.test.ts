import { describe, expect, it } from 'vitest';
import type { Instant, SessionId } from '@sallyport/model';
import { simulatedDisk } from '@sallyport/testkit';
import { openJournal } from './journal.ts';
import type { StateFrame } from './journal.ts';
import { memoryReservations } from './memory-reservations.ts';
import { budget, limit, reservationsSuite, sessionLimit } from './testing/reservations.suite.ts';

reservationsSuite('memory', memoryReservations);

const NOW = 1_800_000_000_000 as Instant;

/** A store whose frames are kept as a journal would. */
function journaled(): { store: ReturnType<typeof memoryReservations>; mutations: StateFrame[] } {
  return { store: memoryReservations({ entriesMax: 100 }), mutations: [] };
}

describe('after a restart', () => {
  it('windowed counts stand, with their windows; those of sessions are gone with their sessions', () => {
    const { store, mutations } = journaled();
    const limits = [limit('windowed', 1), sessionLimit('session', 1, 's1'), limit('both', 1, { session: 's1' })];
    const reserved = store.reserve({ id: 'a', limits }, NOW);
    if (reserved.ok) mutations.push(...reserved.value.frames);
    mutations.push(...store.settle('a', 'succeeded'));
    const again = memoryReservations({ entriesMax: 100, recovered: { snapshot: null, mutations } });
    expect(again.reserve({ id: 'b', limits: [limit('windowed', 1)] }, (NOW + 59_999) as Instant).ok).toBe(false);
    expect(again.reserve({ id: 'c', limits: limits.slice(1) }, NOW).ok).toBe(true);
    expect(again.reserve({ id: 'd', limits: [limit('windowed', 1)] }, (NOW + 60_000) as Instant).ok).toBe(true);
  });

  it('what a budget has come to stands, to the last cent, from frames and from a snapshot', () => {
    const { store, mutations } = journaled();
    for (const [id, amount] of [
      ['a', '0.10'],
      ['b', '0.20'],
    ] as const) {
      const reserved = store.reserve({ id, limits: [budget('k', [amount, '0.5'])] }, NOW);
      if (reserved.ok) mutations.push(...reserved.value.frames);
      mutations.push(...store.settle(id, 'unknown'));
    }
    for (const recovered of [
      { snapshot: null, mutations },
      { snapshot: store.snapshot(), mutations: [] },
    ]) {
      const again = memoryReservations({ entriesMax: 100, recovered });
      expect(again.reserve({ id: 'c', limits: [budget('k', ['0.21', '0.5'])] }, NOW)).toMatchObject({ ok: false });
      expect(again.reserve({ id: 'd', limits: [budget('k', ['0.2', '0.5'])] }, NOW)).toMatchObject({ ok: true });
    }
  });

  it('what was under way stays counted: it may have had its effect', () => {
    const { store, mutations } = journaled();
    const reserved = store.reserve({ id: 'a', limits: [limit('k', 1)] }, NOW);
    if (reserved.ok) mutations.push(...reserved.value.frames);
    const again = memoryReservations({ entriesMax: 100, recovered: { snapshot: null, mutations } });
    expect(again.reserve({ id: 'b', limits: [limit('k', 1)] }, NOW)).toMatchObject({ ok: false });
    expect(() => again.cancel('a')).toThrow(/once/);
  });

  it('what was cancelled stays cancelled', () => {
    const { store, mutations } = journaled();
    const reserved = store.reserve({ id: 'a', limits: [limit('k', 1)] }, NOW);
    if (reserved.ok) mutations.push(...reserved.value.frames);
    mutations.push(...store.cancel('a'));
    const again = memoryReservations({ entriesMax: 100, recovered: { snapshot: null, mutations } });
    expect(again.entries).toBe(0);
  });

  it.each([
    ['before its reservation', 0],
    ['between reservation and cancel', 1],
    ['after both', 2],
  ])('a snapshot taken %s and the frames that follow it give the same state: replaying twice changes nothing', (_, frames) => {
    const store = memoryReservations({ entriesMax: 100 });
    const keep = store.reserve({ id: 'keep', limits: [limit('k', 5)] }, NOW);
    const gone = store.reserve({ id: 'gone', limits: [limit('k', 5)] }, NOW);
    const cancelled = store.cancel('gone');
    const all = [...(keep.ok ? keep.value.frames : []), ...(gone.ok ? gone.value.frames : []), ...cancelled];
    // The snapshot is of memory, which runs ahead of what was appended before it.
    const again = memoryReservations({ entriesMax: 100, recovered: { snapshot: store.snapshot(), mutations: all.slice(frames) } });
    expect(again.entries).toBe(1);
    expect(again.snapshot()).toEqual(store.snapshot());
  });

  it('goes through a real journal, across removed segments', async () => {
    const disk = simulatedDisk();
    const sizes = { segmentBytesMax: 600, logBytesMax: 6_000, headroomBytes: 600, directory: '/journal' };
    const store = memoryReservations({ entriesMax: 100 });
    const opened = await openJournal({ ...sizes, disk: disk.fs, snapshot: () => store.snapshot() });
    if (!opened.ok) throw new Error('the journal does not open');
    const { journal } = opened.value;
    const stream = 'c'.repeat(32) as never;
    for (let seq = 1; seq <= 12; seq++) {
      const reserved = store.reserve({ id: `call-${seq}`, limits: [limit('k', 50)] }, NOW);
      if (!reserved.ok) throw new Error('refused');
      await journal.append([...reserved.value.frames, { kind: 'record', stream, seq, line: new Uint8Array(60) }], { durability: 'disk' });
      await journal.append(seq % 3 === 0 ? store.cancel(`call-${seq}`) : store.settle(`call-${seq}`, 'succeeded'), { durability: 'disk' });
    }
    await journal.acknowledged(stream, 12);
    const after = await openJournal({ ...sizes, disk: disk.restart({ data: 'lost', names: 'undone' }), snapshot: () => new Uint8Array() });
    if (!after.ok) throw new Error('the journal does not open');
    expect(after.value.recovered.snapshot).not.toBeNull();
    const again = memoryReservations({ entriesMax: 100, recovered: after.value.recovered });
    expect(again.entries).toBe(8);
    expect(again.snapshot()).toEqual(store.snapshot());
  });
});

describe('memory', () => {
  it('is given back by sessions and by windows that are over', () => {
    const store = memoryReservations({ entriesMax: 1000 });
    for (let index = 0; index < 500; index++) store.reserve({ id: `${index}`, limits: [sessionLimit(`k${index}`, 1, 's')] }, NOW);
    for (let index = 0; index < 500; index++) store.settle(`${index}`, 'succeeded');
    expect(store.entries).toBe(500);
    store.forgetSession('s' as SessionId);
    expect(store.entries).toBe(0);
    expect(store.snapshot().length).toBeLessThan(40);
  });

  it('frames are written only for what must survive', () => {
    const store = memoryReservations({ entriesMax: 10 });
    const reserved = store.reserve({ id: 'a', limits: [sessionLimit('k', 1, 's')] }, NOW);
    expect(reserved).toEqual({ ok: true, value: { id: 'a', frames: [], sums: [] } });
    expect(store.settle('a', 'succeeded')).toEqual([]);
  });
});
