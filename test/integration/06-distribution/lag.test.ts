import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const SIDECARS = 20;
const ORDER = { order_id: 'O-000123' };
const [REVOKED, GRANTED] = [
  { sub: 'alice@company.com', roles: ['support-rep'] },
  { sub: 'bob@company.com', roles: ['auditor'] },
];

/** What is promised for a fleet on one control plane, by the clock of all of them. The bench measures how near it comes. */
const BOUND_MS = 1_000;

describe('a fleet of twenty', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let fleet: readonly RunningSidecar[];
  /** Of each sidecar: a session of the one who loses access, and of the one who gains it. */
  let sessions: readonly (readonly [string, string])[];

  beforeAll(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock });
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    const started: RunningSidecar[] = [];
    for (let number = 1; number <= SIDECARS; number++) started.push(await world.startSidecar({ name: `n${number}` }));
    fleet = started;
    await eventually(async () => (await pass(clock, 50), (await Promise.all(fleet.map((one) => one.ready()))).every(Boolean)), 'readiness');
    sessions = await Promise.all(fleet.map(async (one) => [await one.session(REVOKED), await one.session(GRANTED)] as const));
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  const outcomes = (): Promise<readonly string[]> =>
    Promise.all(
      fleet.map(async (one, index) => {
        const [revoked, granted] = sessions[index] ?? ['', ''];
        const answers = [await one.call('orders/get_order', ORDER, revoked), await one.call('orders/get_order', ORDER, granted)];
        return answers.map(({ status }) => status).join(' ');
      }),
    );
  const everywhere = (outcome: string): readonly string[] => fleet.map(() => outcome);

  it('[R9.06] has acknowledged a publication within the bound, and both who loses access and who gains it see it at each', async () => {
    expect(await outcomes()).toEqual(everywhere('200 403'));
    const published = clock.boot();
    const { digest } = await world.admin.publish(versionOf(world, up.url, { number: 2, allows: false }));
    // Time stands still meanwhile, for all of them: nothing on the way may wait for a tick, a poll or a retry. How long the
    // machine needs is the bench's to measure (`propagation`).
    const { sidecars } = await eventually(async () => {
      const status = await world.admin.status();
      return status.sidecars.every(({ activeReleaseSeq }) => activeReleaseSeq === 2n) && status;
    }, 'release 2 at every sidecar');
    expect(clock.boot() - published).toBeLessThan(BOUND_MS);
    expect(await outcomes()).toEqual(everywhere('403 200'));
    expect(sidecars).toHaveLength(SIDECARS);
    for (const { connected, drifted, state, staged, spiffeId } of sidecars)
      expect([spiffeId, connected, drifted, state, staged.includes(digest)]).toEqual([spiffeId, true, false, 'fresh', true]);
  });
});
