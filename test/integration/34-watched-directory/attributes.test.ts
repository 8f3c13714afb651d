import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { eventually, pass, startWorld, testClock, type World } from '../../support/world.ts';
import { deskOf, type Desk } from '../12-command-line/desk.ts';

const TOOL = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
---
kind: Policy
agent: support-triage
rules:
  - { id: support, allow: [orders/get_order], when: '"support" in principal.attributes.groups' }
`;

describe('what a directory says of principals, at a site without a stream', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;
  let desk: Desk;
  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 300_000, directoryAttributes: ['groups'] });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    line.cut();
    desk = deskOf(world, up.url);
  });
  afterEach(async () => {
    desk?.close();
    await world?.close();
    await line?.close();
    await up?.close();
  });

  it('is carried with the rest: who is put into a group may, and who is taken out may not', async () => {
    const folder = join(world.dir, 'carried');
    const command = async (...argv: readonly string[]): Promise<void> => expect((await desk.admin(...argv)).err).toBe('');
    const carry = (): Promise<void> => command('bundle', 'export', '--to', folder);
    const says = async (groups: readonly string[]): Promise<void> => {
      const row = { issuer: world.idp.issuer, tenant: 'acme', principal: 'alice@company.com', attributes: { groups } };
      expect(await world.admin.directory([row])).toMatchObject({ refusal: '' });
      await carry();
    };
    const issuer = 'directory: { groups: { type: strings, values: [support, finance], max_age: 10m } }\n';
    await world.admin.publish(`${ordersPolicy(up.url, TOOL, world.idp, 'groups_claimed: groups')}${issuer}`);
    await says(['support']);
    const sidecar = await world.startSidecar({ controlPlane: { grpc: line }, config: { policy: { directory: folder, look_ms: 250 } } });
    const until = (holds: () => boolean | Promise<boolean>, what: string): Promise<boolean> =>
      eventually(async () => (await pass(clock, 50), holds()), what);
    const challenge = join(sidecar.stateDir, 'bundle', 'challenge');
    await until(() => existsSync(challenge), 'a question');
    await command('bundle', 'prove', '--challenge', challenge, '--to', folder);
    await until(() => sidecar.ready(), 'readiness by file');
    const session = await sidecar.session({ sub: 'alice@company.com', tenant_id: 'acme', roles: ['support-rep'] });
    const status = async (): Promise<number> => (await sidecar.call('orders/get_order', {}, session)).status;
    await until(async () => (await status()) === 200, 'the group');
    await says(['finance']);
    await until(async () => (await status()) === 403, 'the refusal');
  });
});
