import type { DirectoryEntry } from '@sallyport/model';
import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, pass, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const MINUTE_MS = 60_000;
const TOOL = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
---
kind: Tool
name: orders/list_orders
effect: read
route: { method: POST, path: /list_orders }
---
kind: Policy
agent: support-triage
rules:
  - { id: support, allow: [orders/get_order], when: '"support" in principal.attributes.groups' }
  - { id: list, allow: [orders/list_orders], for: { roles: [support-rep] } }
`;

describe('whom the directory puts into a group, and takes out of it', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  let row: (groups: readonly string[]) => DirectoryEntry;
  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 30 * MINUTE_MS, directoryAttributes: ['groups', 'level'] });
    row = (groups) => ({ issuer: world.idp.issuer, tenant: 'acme', principal: 'alice@company.com', attributes: { groups } });
    const issuer = 'directory: { groups: { type: strings, values: [support, finance], max_age: 10m } }\n';
    await world.admin.publish(`${ordersPolicy(up.url, TOOL, world.idp, 'groups_claimed: groups')}${issuer}`);
    sidecar = await world.startSidecar();
    await once(() => sidecar.ready(), 'readiness');
  });
  afterEach(async () => {
    await sidecar.drain();
    await world.close();
    await up.close();
  });
  const once = <T>(look: () => Promise<T | undefined | false> | T | undefined | false, what: string): Promise<T> =>
    eventually(async () => {
      await pass(clock, 100);
      return look();
    }, what);
  const open = (): Promise<string> =>
    sidecar.session({ sub: 'alice@company.com', tenant_id: 'acme', roles: ['support-rep'], groups: ['support'] });
  const call = (session: string, tool = 'orders/get_order'): Promise<HttpAnswer> => sidecar.call(tool, {}, session);
  const says = async (session: string, status: number, what: string): Promise<void> =>
    void (await once(async () => (await call(session)).status === status, what));
  const arrived = (): number => up.requests.length;

  it('taken out of the group, the next request of the open session is refused, and nothing reaches the tool', async () => {
    const session = await open();
    // A claim of the same name is no word of the directory, and before the directory says anything nothing is known.
    expect((await call(session)).status).toBe(403);
    expect(await world.admin.directory([row(['support'])])).toMatchObject({ seq: 1, refusal: '' });
    await says(session, 200, 'the group');
    const before = arrived();
    expect(await world.admin.directory([row(['finance'])])).toMatchObject({ refusal: '' });
    await says(session, 403, 'the refusal');
    const after = arrived();
    const refused = await call(session);
    expect([refused.status, refused.json()['code']]).toEqual([403, 'no_matching_policy']);
    expect([after >= before, arrived()]).toEqual([true, after]);
    expect((await call(session, 'orders/list_orders')).status).toBe(200);
    const acts = (await world.admin.tail())
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ act }) => act === 'directory');
    expect(acts.map(({ object, detail, actor }) => [object, detail, actor])).toEqual([
      ['directory 1', expect.stringContaining('added 1, changed 0, removed 0'), 'spiffe://demo.local/admin/admin'],
      ['directory 2', expect.stringContaining('added 0, changed 1, removed 0'), 'spiffe://demo.local/admin/admin'],
    ]);
    expect(JSON.stringify(acts)).not.toContain('alice');
  });

  it('it is signed again before it is old, and a removal outlives a restart of the sidecar', async () => {
    const session = await open();
    await world.admin.directory([row(['support'])]);
    await says(session, 200, 'the group');
    // It is signed again all the while: past its bound it is still young.
    await pass(clock, 11 * MINUTE_MS, 1_000);
    expect((await call(session)).status).toBe(200);
    await world.admin.directory([]);
    await says(session, 403, 'the refusal');
    await sidecar.drain();
    sidecar = await world.startSidecar({ withToken: false });
    await once(() => sidecar.ready(), 'readiness');
    const again = await open();
    expect((await call(again)).status).toBe(403);
    expect((await call(again, 'orders/list_orders')).status).toBe(200);
  });

  it('a control plane that is gone: what it said is believed within its bound and no longer, and a longer freshness does not help', async () => {
    const session = await open();
    await world.admin.directory([row(['support'])]);
    await says(session, 200, 'the group');
    await world.stopControlPlane();
    await pass(clock, 9 * MINUTE_MS, 1_000);
    expect((await call(session)).status).toBe(200);
    await pass(clock, 2 * MINUTE_MS, 1_000);
    expect([(await call(session)).status, (await call(session, 'orders/list_orders')).status]).toEqual([403, 200]);
    await world.restartControlPlane();
    await says(session, 200, 'the group, said again');
  });

  it('what Root does not leave to it is refused where it is handed in, and leaves what was said', async () => {
    const session = await open();
    await world.admin.directory([row(['support'])]);
    await says(session, 200, 'the group');
    const said = await world.admin.directory([{ ...row(['support']), attributes: { admin: true } }]);
    expect(said).toMatchObject({ seq: 0, refusal: expect.stringContaining('leaves no attribute `admin`') });
    expect((await call(session)).status).toBe(200);
  });
});
