import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from '../12-command-line/desk.ts';

const TTL_MS = 300_000;
const LOOK_MS = 250;
const ORDER = { order_id: 'O-000123' };

describe('a site without a stream', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  /** To the control plane, and cut from the first moment on: only enrolment passes. */
  let line: TcpProxy;
  let desk: Desk;
  let folder: string;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    line.cut();
    desk = deskOf(world, up.url);
    folder = join(world.dir, 'carried');
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
  });
  afterEach(async () => {
    desk?.close();
    await world?.close();
    await line?.close();
    await up?.close();
  });

  const start = (name = 'one'): Promise<RunningSidecar> =>
    world.startSidecar({ name, controlPlane: { grpc: line }, config: { policy: { directory: folder, look_ms: LOOK_MS } } });
  const command = async (...argv: readonly string[]): Promise<void> => {
    const { exit, err } = await desk.admin(...argv);
    expect([exit, exit === 0 ? '' : err]).toEqual([0, '']);
  };
  /** What the administrator carries: everything, as it is now. */
  const carry = (): Promise<void> => command('bundle', 'export', '--to', folder);
  /** In small steps: what waits for the disk must not age by more than a real site would. */
  const until = (holds: () => boolean | Promise<boolean>, what: string): Promise<boolean> =>
    eventually(async () => (await pass(clock, 50), holds()), what);
  const releaseOf = (sidecar: RunningSidecar): number | null => sidecar.sidecar.readiness().release_seq ?? null;
  const challengeOf = (sidecar: RunningSidecar): string => join(sidecar.stateDir, 'bundle', 'challenge');
  const prove = async (sidecar: RunningSidecar): Promise<void> => {
    await until(() => existsSync(challengeOf(sidecar)), 'a question');
    await command('bundle', 'prove', '--challenge', challengeOf(sidecar), '--to', folder);
    await until(() => sidecar.ready(), 'readiness by file');
  };
  const call = async (sidecar: RunningSidecar): Promise<readonly unknown[]> => {
    const session = await sidecar.session().catch((error: unknown) => String(error));
    const answer = await sidecar.call('orders/get_order', ORDER, session);
    return answer.status === 200 ? [200] : [answer.status, answer.json()['code']];
  };
  const alerts = (code: string): number => world.log.filter((text) => text.includes(`"${code}"`)).length;

  it('[R9.25] replaced by a newer signed bundle it is active; unsigned or older it is refused; untouched past the limit it blocks', async () => {
    await carry();
    const sidecar = await start();
    expect(await call(sidecar)).toEqual([503, 'policy_unavailable']);
    await prove(sidecar);
    expect(await call(sidecar)).toEqual([200]);
    const old = join(world.dir, 'old');
    cpSync(folder, old, { recursive: true });

    await world.admin.publish(versionOf(world, up.url, { number: 2 }), { leaveBehind: true });
    await carry();
    await until(() => releaseOf(sidecar) === 2, 'release 2 by file');
    expect(await call(sidecar)).toEqual([200]);

    // Older: everything as it was, with the same names.
    rmSync(folder, { recursive: true });
    cpSync(old, folder, { recursive: true });
    await until(() => alerts('REJECTED_ROLLBACK') > 0, 'the refusal of an older release');
    expect([releaseOf(sidecar), await call(sidecar)]).toEqual([2, [200]]);

    // Unsigned: a newer release and its bundle whose signatures are gone, and a policy that somebody has edited.
    await world.admin.publish(versionOf(world, up.url, { number: 3, allows: false }), { leaveBehind: true });
    await carry();
    const unsigned = (text: string): string => text.replace(/"signatures":\[[^\]]*\]/, '"signatures":[]');
    const path = join(folder, 'release.json');
    writeFileSync(`${path}.tmp`, unsigned(readFileSync(path, 'utf8')), { mode: 0o644 });
    renameSync(`${path}.tmp`, path);
    await until(() => alerts('REJECTED_SIGNATURE') > 0, 'the refusal of an unsigned release');
    expect([releaseOf(sidecar), await call(sidecar)]).toEqual([2, [200]]);

    // Untouched past the limit: for every caller, also for the next process.
    const served = up.requests.length;
    await pass(clock, TTL_MS + 1_000, 5_000);
    expect(await sidecar.ready()).toBe(false);
    expect(await call(sidecar)).toEqual([503, 'policy_stale']);
    await sidecar.drain();
    const again = await start();
    await pass(clock, 5_000);
    expect(await call(again)).toEqual([503, 'policy_stale']);
    expect(up.requests).toHaveLength(served);
  });

  it('a revocation is carried with the rest, and denies', async () => {
    await carry();
    const sidecar = await start();
    await prove(sidecar);
    const session = await sidecar.session({ sub: 'mallory@company.com' });
    expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
    await world.admin.revoke('agent', 'support-triage', clock.wall());
    await carry();
    await until(async () => (await sidecar.call('orders/get_order', ORDER, session)).status === 401, 'the revocation by file');
  });

  it('a statement that comes by file serves a sidecar whose stream was cut, and the stream serves it again afterwards', async () => {
    line.heal();
    const sidecar = await start();
    await until(() => sidecar.ready(), 'readiness by stream');
    line.cut();
    for (let kept = 0; kept < 3; kept++) {
      await pass(clock, TTL_MS - 60_000, 5_000);
      expect(await call(sidecar)).toEqual([200]);
      await carry();
      await until(() => (sidecar.sidecar.readiness().policy_age_ms ?? TTL_MS) < 60_000, 'a younger statement by file');
    }
    rmSync(folder, { recursive: true });
    line.heal();
    await until(() => world.log.some((text) => text.includes('policy_stream_connected')), 'the stream');
    await pass(clock, 2 * TTL_MS, 5_000);
    await until(() => sidecar.ready(), 'readiness by stream');
  });

  it('a proof is made for the sidecar that asked and no other', async () => {
    await carry();
    const [one, two] = [await start('one'), await start('two')];
    await prove(one);
    await pass(clock, 5_000);
    expect([await one.ready(), await two.ready()]).toEqual([true, false]);
    await prove(two);
  });

  it('the control plane is lost: release extend serves the site for as long as it says, and no longer, and freshness ends it', async () => {
    await carry();
    const sidecar = await start();
    await prove(sidecar);
    await world.stopControlPlane();
    await pass(clock, TTL_MS, 5_000);
    expect(await call(sidecar)).toEqual([503, 'policy_stale']);
    const signer = terminal({ clock });
    const extend = (...more: readonly string[]): ReturnType<Desk['type']> =>
      signer.type('release', 'extend', '--in', folder, '--dir', world.dir, ...more);
    expect((await extend('--ttl', '4m', '--reason', 'the control plane is lost')).exit).toBe(0);
    await until(() => sidecar.ready(), 'readiness by extension');
    expect(await call(sidecar)).toEqual([200]);
    await pass(clock, 4 * 60_000, 5_000);
    expect(await call(sidecar)).toEqual([503, 'policy_stale']);

    await world.restartControlPlane();
    await carry();
    await until(() => sidecar.ready(), 'readiness by freshness');
  });
});
