import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SpiffeId } from '@sallyport/identity';
import type { Area, Digest, Ring } from '@sallyport/model';
import { openSqlite } from '@sallyport/store';
import type { Database } from '@sallyport/store';
import { fakeClock } from '@sallyport/testkit';
import type { FakeClock } from '@sallyport/testkit';
import { openFleet } from './api.ts';
import type { Fleet, Member } from './api.ts';

const DAY_MS = 86_400_000;
const PLACE = { area: 'default' as Area, ring: 'default' as Ring };
const idOf = (instance: string): SpiffeId => `spiffe://t/sidecar/a/${instance}` as SpiffeId;
const member = (instance: string): Member => ({ spiffeId: idOf(instance), agent: 'a', instance, ...PLACE });
const digest = (n: number): Digest => `sha256:${String(n).padStart(64, '0')}` as Digest;

let clock: FakeClock;
let database: Database;
let fleet: Fleet;
beforeEach(async () => {
  clock = fakeClock();
  const opened = openSqlite({ path: ':memory:' });
  if (!opened.ok) throw new Error(opened.error.code);
  database = opened.value;
  fleet = await openFleet({ database, clock, memoryMs: 7 * DAY_MS });
});
afterEach(async () => database.close());

describe('who has not staged', () => {
  test('counts connected sidecars of the place alone, and tells those who refused from those who have not answered', () => {
    for (const instance of ['staged', 'silent', 'refused', 'gone']) fleet.connect(member(instance));
    fleet.connect({ ...member('elsewhere'), ring: 'canary' as Ring });
    fleet.answered(idOf('staged'), digest(1), true);
    fleet.answered(idOf('refused'), digest(1), false);
    fleet.disconnect(idOf('gone'));
    expect(fleet.notStaged(PLACE, [digest(1)])).toEqual([
      { spiffeId: idOf('silent'), isPending: true },
      { spiffeId: idOf('refused'), isPending: false },
    ]);
  });

  test('a sidecar that comes back has staged nothing until it says so again', () => {
    fleet.connect(member('one'));
    fleet.answered(idOf('one'), digest(1), true);
    fleet.disconnect(idOf('one'));
    fleet.connect(member('one'));
    expect(fleet.notStaged(PLACE, [digest(1)])).toMatchObject([{ isPending: true }]);
  });

  test('a refusal is taken back by staging it after all', () => {
    fleet.connect(member('one'));
    fleet.answered(idOf('one'), digest(1), false);
    fleet.answered(idOf('one'), digest(1), true);
    expect(fleet.notStaged(PLACE, [digest(1)])).toEqual([]);
  });
});

test('what a sidecar says of itself is cut to a length', () => {
  fleet.connect(member('one'));
  fleet.tell(idOf('one'), { build: 'x'.repeat(10_000) });
  expect(fleet.all()[0]?.build).toHaveLength(256);
});

test('who was never connected cannot be told of', () => {
  fleet.tell(idOf('ghost'), { state: 'fresh' });
  fleet.answered(idOf('ghost'), digest(1), true);
  expect(fleet.all()).toEqual([]);
});

test('a sidecar that is not heard of is forgotten after a week, a connected one never', async () => {
  fleet.connect(member('gone'));
  fleet.connect(member('here'));
  fleet.disconnect(idOf('gone'));
  await fleet.flush();
  await clock.advance(7 * DAY_MS);
  await fleet.flush();
  expect(fleet.all()).toHaveLength(2);
  await clock.advance(1);
  await fleet.flush();
  expect(fleet.all().map(({ instance }) => instance)).toEqual(['here']);
});
