import type { CallEvent } from '@sallyport/audit';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vetHere } from '../../../packages/sidecar/src/testing/bundle-side.ts';
import { allCalls } from '../../support/audit.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const UPDATES = 50;
/** Odd versions allow, even ones do not. */
const allows = (number: number): boolean => number % 2 === 1;

describe('policy that changes under load', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    // Vetted on this thread: fifty workers would make the test a test of starting workers.
    sidecar = await world.startSidecar({ vet: vetHere });
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });
  const isActive = (number: number): Promise<unknown> =>
    eventually(() => sidecar.sidecar.readiness().release_seq === number, `release ${number}`);
  const publish = async (number: number, allowed = allows(number)): Promise<void> => {
    await world.admin.publish(versionOf(world, up.url, { number, allows: allowed }));
  };

  it('[R9.02] a decision that was warm under one version is made anew under the next', async () => {
    const session = await sidecar.session();
    for (let warm = 0; warm < 5; warm++) expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
    const reached = up.requests.length;
    await publish(2);
    await isActive(2);
    const denied = await sidecar.call('orders/get_order', ORDER, session);
    expect([denied.status, denied.json()['code']]).toEqual([403, 'tool_not_allowed']);
    expect(up.requests).toHaveLength(reached);
    await publish(3);
    await isActive(3);
    expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
  });

  it('[R9.14] under continuous load each request sees one version, and the decision is that version’s', async () => {
    const first = 4;
    const session = await sidecar.session();
    const answers: number[] = [];
    const over = new AbortController();
    const load = Array.from({ length: 2 }, async () => {
      while (!over.signal.aborted) answers.push((await sidecar.call('orders/get_order', ORDER, session)).status);
    });
    for (let number = first; number < first + UPDATES; number++) await publish(number);
    await isActive(first + UPDATES - 1);
    over.abort();
    await Promise.all(load);
    const calls = await recorded(answers.length);
    expect(calls.length).toBe(answers.length);
    const seen = new Map<number, Set<string>>();
    for (const call of calls) {
      const { policy_version: version, decision, rule_id: rule, release_seq: release, policy_digest: digest } = call;
      expect(version).toBe(release);
      const isAllowed = allows(version ?? 0);
      // An allow names the rule of its version.
      expect([version, decision, rule]).toEqual([version, isAllowed ? 'allow' : 'deny', isAllowed ? `v${version}` : 'default-deny']);
      seen.set(version ?? 0, (seen.get(version ?? 0) ?? new Set()).add(digest ?? ''));
    }
    // One content under each number, and the load met most of the updates.
    for (const [version, digests] of seen) expect([version, digests.size]).toEqual([version, 1]);
    expect(seen.size).toBeGreaterThan(UPDATES / 2);
    expect(answers.filter((status) => status === 200)).toHaveLength(calls.filter(({ decision }) => decision === 'allow').length);
  });

  /** The calls of the load, once all of them are in the log. */
  async function recorded(count: number): Promise<readonly CallEvent[]> {
    return eventually(async () => {
      const calls = (await allCalls(world)).filter((call) => call.tool === 'orders/get_order' && (call.policy_version ?? 0) >= 3);
      const load = calls.toSorted((a, b) => a.seq - b.seq).slice(-count);
      return load.length === count ? load : undefined;
    }, `${count} records`);
  }
});
