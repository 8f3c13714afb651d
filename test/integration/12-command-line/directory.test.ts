import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

const DOCUMENTS = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
---
kind: Policy
agent: support-triage
rules:
  - { id: support, allow: [orders/get_order], when: '"support" in principal.attributes.groups' }
---
kind: Test
given: { attributes: { groups: [support] } }
cases:
  - { call: orders/get_order, expect: allow }
`;

describe('the directory from the command line', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ directoryAttributes: ['groups'] });
    desk = deskOf(world, up.url);
    const directory = 'directory: { groups: { type: strings, values: [support, finance] } }\n';
    desk.write('p/policy.yaml', `${ordersPolicy(up.url, DOCUMENTS, world.idp)}${directory}`);
    expect(await desk.admin('policy', 'publish', 'p')).toMatchObject({ exit: 0 });
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await sidecar?.drain();
    await world?.close();
    await up?.close();
    desk?.close();
  });
  const line = (principal: string, ...groups: readonly string[]): string =>
    JSON.stringify({ issuer: world.idp.issuer, tenant: 'acme', principal, attributes: { groups } });
  const says = async (...lines: readonly string[]): ReturnType<Desk['admin']> => {
    desk.write('people.ndjson', lines.join('\n'));
    return desk.admin('directory', 'import', 'people.ndjson');
  };
  const becomes = async (session: string, status: number): Promise<void> =>
    void (await eventually(async () => (await sidecar.call('orders/get_order', {}, session)).status === status, `${status}`));

  it('puts somebody into a group and takes them out of it, while their session is open', async () => {
    const session = await sidecar.session({ sub: 'alice@company.com', tenant_id: 'acme' });
    expect((await desk.admin('directory', 'show', 'alice@company.com')).out).toBe('nothing is said of anybody\n');
    expect((await sidecar.call('orders/get_order', {}, session)).status).toBe(403);
    expect(await says(line('alice@company.com', 'support'), line('bob@company.com'))).toMatchObject({
      exit: 0,
      out: 'directory 1: principals added 2, changed 0, removed 0\n',
    });
    await becomes(session, 200);
    const shown = await desk.admin('directory', 'show', 'alice@company.com', '--json');
    expect([shown.exit, shown.json()]).toEqual([
      0,
      expect.objectContaining({
        principal: 'alice@company.com',
        entries: [{ issuer: world.idp.issuer, tenant: 'acme', attributes: { groups: ['support'] } }],
      }),
    ]);
    expect(await says(line('alice@company.com', 'finance'))).toMatchObject({
      out: 'directory 2: principals added 0, changed 1, removed 1\n',
    });
    await becomes(session, 403);
    expect(await desk.admin('directory', 'show', 'bob@company.com')).toMatchObject({
      exit: 1,
      out: expect.stringContaining('nothing of bob@'),
    });
  });

  it('refuses a file that says more than Root leaves to it, with its line, and sends nothing', async () => {
    const before = (await desk.admin('directory', 'show', 'alice@company.com')).out;
    const refused = await says(line('alice@company.com', 'support'), line('bob@company.com').replace('groups', 'roles'));
    expect([refused.exit, refused.err]).toEqual([1, expect.stringMatching(/people\.ndjson:2.*`roles` to the directory/)]);
    expect((await desk.admin('directory', 'show', 'alice@company.com')).out).toBe(before);
  });
});
