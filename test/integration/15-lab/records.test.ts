/** The lab over what a real sidecar recorded, and over what is in force at a real control plane. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from '../12-command-line/desk.ts';

const EXAMPLE = new URL('../../../examples/expenses', import.meta.url).pathname;

interface Reported {
  readonly exit: number;
  readonly coverage: {
    readonly allow_cases: number;
    readonly deny_cases: number;
    readonly rules: readonly { readonly allows: number; readonly denies: number }[];
  };
}

describe('the lab over a running world', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  const trust: string[] = [];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    trust.push('--dir', world.dir);
    desk.writePolicy('p');
    expect(await desk.admin('policy', 'publish', 'p')).toMatchObject({ exit: 0 });
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    const session = await sidecar.session();
    for (const id of ['O-1', 'O-2']) await sidecar.call('orders/get_order', { order_id: id }, session);
    await sidecar.call('orders/get_order', { order: 1 }, session);
    const opened = await sidecar.request('/session', {
      headers: { authorization: `Bearer ${world.idp.mint(world.clock.wall(), { claims: { sub: 'mallory', roles: ['guest'] } })}` },
    });
    const { token } = opened.json() as { token: string };
    await sidecar.call('orders/get_order', { order_id: 'O-3' }, token);
    await eventually(
      async () => (await desk.admin('audit', 'tail', '--json')).out.split('"tool":"orders/get_order"').length > 4,
      'four calls of the tool in the log',
    );
    desk.write('export.ndjson', (await desk.admin('audit', 'tail', '--view', 'records')).bytes);
    await desk.type('policy', 'build', 'p', '--out', 'was', '--revision', '1');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  const replay = (...argv: readonly string[]): ReturnType<Desk['type']> =>
    desk.type('policy', 'replay', '--from', 'export.ndjson', ...argv);

  it('finds every decision of a real export the same under the policy that made it, built again from its files', async () => {
    const ran = await replay('--policy', 'was', '--json');
    expect([ran.exit, ran.json()]).toMatchObject([
      0,
      { same: 4, undecidable: 0, flipped_to_allow: 0, flipped_to_deny: 0, verified: false },
    ]);
  });

  it('says with --verify that it is proven, and tells nothing of records that were changed', async () => {
    expect((await replay('--policy', 'was', '--verify', '--json', ...trust)).json()).toMatchObject({ same: 4, verified: true });
    const forged = desk.read('export.ndjson').replace('"code":"tool_not_allowed"', '"code":"schema_violation"');
    expect(forged).not.toBe(desk.read('export.ndjson'));
    desk.write('forged.ndjson', forged);
    for (const verb of ['replay', 'suggest']) {
      const ran = await desk.type('policy', verb, '--from', 'forged.ndjson', '--policy', 'was', '--verify', ...trust);
      expect([ran.exit, ran.out, ran.err]).toEqual([1, '', expect.stringContaining('nothing is told from records that are not proven')]);
    }
  });

  it('[R15.06] tests denials as much as allows: the report counts both, for every rule, and each denial is clean, recorded and reaches no tool', async () => {
    // What CI runs on a policy: as many denials as allows at least, and both of every rule, or it is a no.
    const report = (await desk.type('policy', 'test', EXAMPLE, '--coverage', '--json')).json() as unknown as Reported;
    expect(report.coverage.deny_cases).toBeGreaterThanOrEqual(report.coverage.allow_cases);
    expect(report.coverage.rules.filter(({ allows, denies }) => allows === 0 || denies === 0)).toEqual([]);
    const lacking = (await desk.type('policy', 'test', 'p', '--require-coverage', '--json')).json() as unknown as Reported;
    expect([lacking.exit, lacking.coverage.allow_cases, lacking.coverage.deny_cases]).toEqual([1, 1, 0]);
    // The denials of this world: one for its arguments, one for its caller.
    const reached = up.requests.length;
    const session = await sidecar.session();
    for (const args of [{ order: 1 }, { order_id: 'x'.repeat(21) }]) {
      const denied = await sidecar.call('orders/get_order', args, session);
      expect(denied.status).toBeGreaterThanOrEqual(400);
      expect(JSON.stringify(denied.json())).not.toMatch(/read-orders|support-rep|policy\.yaml|xxxx|maxLength/);
      const { decision_id: id } = denied.json() as { decision_id: string };
      await eventually(async () => (await desk.admin('audit', 'tail', '--json')).out.includes(id), 'the denial in the log');
    }
    expect(up.requests.length).toBe(reached);
  });

  it('flips what a stricter candidate certainly denies, and guesses nothing of arguments', async () => {
    desk.writePolicy('q', { maxLength: 3 });
    const changed = desk.read('q/policy.yaml');
    expect((await replay('--policy', 'q', '--was', 'was', '--json')).json()).toMatchObject({
      flipped_to_deny: 0,
      undecided: expect.arrayContaining([expect.objectContaining({ tool: 'orders/get_order', missing: ['args.order_id'] })]),
    });
    const denial = '\n  - { id: nobody, deny: [orders/get_order], for: { principals: ["alice@company.com"] } }';
    desk.write(
      'q/policy.yaml',
      changed.replace(/\n {2}- \{ id: read-orders.*/, (found) => found + denial).replace('expect: allow', 'expect: allow'),
    );
    expect((await replay('--policy', 'q', '--was', 'was', '--json')).json()).toMatchObject({ flipped_to_deny: 2, flipped_to_allow: 0 });
  });

  it('suggests for the one who was denied a rule that lets exactly them, and that builds', async () => {
    const { exit, out } = await desk.type('policy', 'suggest', '--from', 'export.ndjson', '--policy', 'p', '--verify', ...trust);
    expect([exit, out]).toEqual([0, expect.stringMatching(/principals: \["mallory"\] \}$/m)]);
    expect(out).not.toContain('alice');
    desk.writePolicy('more');
    desk.write('more/suggested.yaml', out);
    expect((await desk.type('policy', 'check', 'more')).exit).toBe(0);
    // What it allows more is shown before anybody publishes it.
    const diff = await desk.admin('policy', 'diff', 'more', '--against', 'published');
    expect([diff.exit, diff.out]).toEqual([1, expect.stringMatching(/rule `suggested-orders-get-order-[0-9a-f]{8}` added/)]);
    expect(diff.out).toContain('principal mallory');
  });

  it('compares with what is in force, and finds nothing where it is the same', async () => {
    const same = await desk.admin('policy', 'diff', 'p', '--against', 'published', '--json');
    expect([same.exit, same.json()]).toMatchObject([
      0,
      { ok: true, identical: true, before: { path: 'published', digest: expect.stringMatching(/^sha256:/) } },
    ]);
    expect(await desk.admin('policy', 'diff', 'p', '--against', 'published', '--ring', 'empty')).toMatchObject({ exit: 64, out: '' });
  });
});
