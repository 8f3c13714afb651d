/** Layers by hand: a company, the owners of its tools and a team publish with their own keys, and the team's area is released. */

import { join } from 'node:path';
import type { AgentName } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

const TEAM = 'acme/support';
const SALES = 'acme/sales';

const team = (agent: string, rule: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${agent}
owner: team
uses: [orders]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: Policy
agent: ${agent}
rules:
  - { id: ${rule}, allow: [orders/refund], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/refund, args: { amount: 20 }, expect: allow }
  - { call: orders/refund, args: { amount: 900 }, expect: no_matching_policy }
`;

describe('layers by hand', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  const company = (ceiling: number): string => `apiVersion: sallyport.dev/v1
kind: ToolServer
name: orders
http: { url: "${up.url}" }
network: loopback
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
route: { method: POST, path: /refund }
arguments: { required: [amount], properties: { amount: { type: integer } } }
---
kind: Policy
agents: "*"
rules:
  - { id: ceiling, deny: [{ class: money }], when: args.amount > ${ceiling} }
${issuerDocument(world.idp)}`;
  const key = (area: string): string => join(world.dir, 'signing', `publisher.${area.replaceAll('/', '.')}.pem`);
  const publish = (dir: string, area: string, ...more: readonly string[]) =>
    desk.admin('policy', 'publish', dir, '--area', area, '--key', key(area), ...more);
  const refunds = async (amount: number): Promise<readonly [number, unknown]> => {
    const session = await sidecar.session({ roles: ['support-rep'] });
    return codeOf(await sidecar.call('orders/refund', { amount }, session));
  };

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ areas: ['acme', TEAM, SALES] });
    desk = deskOf(world, up.url);
    desk.write('company/policy.yaml', company(500));
    desk.write('team/policy.yaml', team('support-triage', 'refunds'));
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('a company publishes its layer; a team’s is built, tested and released beneath it', async () => {
    expect(await publish('company', 'acme', '--layer', '--no-promote')).toMatchObject({ exit: 0 });
    const published = await publish('team', TEAM);
    expect([published.exit, published.err]).toEqual([0, expect.stringContaining('beneath revision 1 of acme')]);
    sidecar = await world.startSidecar({ area: TEAM });
    await eventually(() => sidecar.ready(), 'readiness');
    expect([await refunds(400), await refunds(600)]).toEqual([ALLOWED, [403, 'no_matching_policy']]);
  });

  it('a team that says what its company owns learns of it at its desk, with both places', async () => {
    desk.write('forged/policy.yaml', team('support-triage', 'ceiling'));
    const forged = await publish('forged', TEAM);
    expect([forged.exit, forged.err]).toEqual([1, expect.stringMatching(/forged\/policy\.yaml:\d+.*declares rule `ceiling` anew/)]);
    const without = await publish('team', TEAM, '--with', 'elsewhere=1');
    expect([without.exit, without.err]).toEqual([2, expect.stringContaining('does not cover')]);
  });

  it('a team’s policy is checked, tested and built beneath its company’s folder, with no control plane', async () => {
    const beneath = ['--area', TEAM, '--above', 'acme=company'];
    for (const line of [
      ['policy', 'check', 'team', ...beneath],
      ['policy', 'test', 'team', ...beneath],
    ])
      expect(await desk.type(...line)).toMatchObject({ exit: 0 });
    const built = await desk.type('policy', 'build', 'team', '--out', 'built', '--json', ...beneath);
    expect([built.exit, built.json()['features']]).toEqual([0, expect.arrayContaining(['policy.layer'])]);
    const forged = await desk.type('policy', 'check', 'forged', ...beneath);
    expect([forged.exit, `${forged.out}${forged.err}`]).toEqual([1, expect.stringContaining('declares rule `ceiling` anew')]);
    expect(await desk.type('policy', 'check', 'team')).toMatchObject({ exit: 1 });
    for (const wrong of ['acme', 'acme=', 'acme/sales=company', `${TEAM}=company`])
      expect(await desk.type('policy', 'check', 'team', '--area', TEAM, '--above', wrong)).toMatchObject({ exit: 2 });
  });

  it('the company’s change is in force where the area is promoted, and promoting it again changes nothing', async () => {
    desk.write('company/policy.yaml', company(300));
    expect(await publish('company', 'acme', '--layer', '--no-promote')).toMatchObject({ exit: 0 });
    expect(await refunds(400)).toEqual(ALLOWED);
    const promoted = await desk.admin('release', 'promote', '--area', TEAM, '--wait', '--json');
    expect(promoted.exit).toBe(0);
    expect(JSON.parse(promoted.out)).toMatchObject({
      bundles: [
        { area: 'acme', revision: 2 },
        { area: TEAM, revision: 1 },
      ],
      release: { area: TEAM, release_seq: 2 },
      fleet: { active: 1, missing: [] },
    });
    expect([await refunds(400), await refunds(200)]).toEqual([[403, 'no_matching_policy'], ALLOWED]);
    const again = await desk.admin('release', 'promote', '--area', TEAM);
    expect([again.exit, again.err]).toEqual([1, expect.stringContaining('in force already')]);
    // Nothing of its own has changed, and nothing above it.
    const same = await publish('team', TEAM);
    expect([same.exit, same.out]).toEqual([0, expect.stringContaining('nothing changed')]);
  });

  it('an older layer of the company’s is going back, and takes two keys', async () => {
    const alone = await desk.admin('release', 'promote', '--area', TEAM, '--with', 'acme=1');
    expect([alone.exit, alone.err]).toEqual([1, expect.stringContaining('bundle_rollback_refused')]);
    const keys = ['release-1', 'release-2'].flatMap((name) => ['--release-key', join(world.dir, 'signing', `${name}.pem`)]);
    const back = await desk.admin('release', 'promote', '--area', TEAM, '--with', 'acme=1', '--rollback', 'too strict', '--wait', ...keys);
    expect(back.exit).toBe(0);
    expect(await refunds(400)).toEqual(ALLOWED);
  });

  it('a team that goes back to its own older bundle leaves the layers above as they are in force', async () => {
    desk.write('team/policy.yaml', team('support-triage', 'refunds-anew'));
    expect(await publish('team', TEAM, '--wait')).toMatchObject({ exit: 0 });
    // Built beneath the company's newest, it took that up as well.
    expect(await refunds(400)).toEqual([403, 'no_matching_policy']);
    const back = await desk.admin('policy', 'rollback', '--area', TEAM, '--to', '1', '--reason', 'anew was wrong', '--wait');
    expect([back.exit, back.err]).toEqual([0, expect.any(String)]);
    expect([await refunds(400), await refunds(200)]).toEqual([[403, 'no_matching_policy'], ALLOWED]);
    const log = await desk.admin('policy', 'log', '--area', TEAM);
    expect(log.exit).toBe(0);
  });

  describe('a change of the company’s for every team', () => {
    let other: RunningSidecar;
    const below = async (...more: readonly string[]) => desk.admin('release', 'promote', '--area', 'acme', '--all-below', ...more);
    const sells = async (amount: number): Promise<readonly [number, unknown]> => {
      const session = await other.session({ roles: ['support-rep'] });
      return codeOf(await other.call('orders/refund', { amount }, session));
    };
    beforeAll(async () => {
      desk.write('sales/policy.yaml', team('seller', 'sales'));
      expect(await publish('sales', SALES)).toMatchObject({ exit: 0 });
      // Where a team has gone back, whatever is released goes back as well, and takes two keys: it goes forwards again first.
      expect(await desk.admin('release', 'promote', '--area', TEAM, '--wait')).toMatchObject({ exit: 0 });
      other = await world.startSidecar({ name: 'sales', agent: 'seller' as AgentName, area: SALES });
      await eventually(() => other.ready(), 'readiness');
    });

    it('is released to all of them by one command, and waited for', async () => {
      desk.write('company/policy.yaml', company(100));
      expect(await publish('company', 'acme', '--layer', '--no-promote')).toMatchObject({ exit: 0 });
      expect([(await refunds(200))[0], (await sells(200))[0]]).toEqual([200, 200]);
      const all = await below('--wait', '--json');
      expect([all.exit, all.out]).toEqual([0, expect.any(String)]);
      expect(all.json()).toMatchObject({
        bundle: { area: 'acme', revision: 3 },
        released: [{ area: SALES }, { area: TEAM }],
        fleet: [
          { area: SALES, active: 1, missing: [] },
          { area: TEAM, active: 1, missing: [] },
        ],
      });
      expect([(await refunds(200))[0], (await sells(200))[0], await refunds(50), await sells(50)]).toEqual([403, 403, ALLOWED, ALLOWED]);
      const again = await below();
      expect([again.exit, again.err]).toEqual([1, expect.stringContaining('in force already wherever')]);
    });

    it('that one of them does not fit is in force for the others, and says where it is not', async () => {
      // From now on a test of the sales team fails beneath it: its own words say that 20 may be refunded.
      desk.write('sales/policy.yaml', team('seller', 'sales').replace('amount: 20 }', 'amount: 60 }'));
      expect(await publish('sales', SALES, '--wait')).toMatchObject({ exit: 0 });
      desk.write('company/policy.yaml', company(40));
      expect(await publish('company', 'acme', '--layer', '--no-promote')).toMatchObject({ exit: 0 });
      const some = await below();
      expect([some.exit, some.err]).toEqual([1, expect.stringMatching(/acme\/sales.*SELFTEST/)]);
      await eventually(async () => (await refunds(50))[0] === 403, 'the company’s ceiling');
      expect(await sells(50)).toEqual(ALLOWED);
    });

    it.each([['--sign-only'], ['--with', 'acme=1'], ['--file', 'r.json']])('goes with %s nowhere', async (...option) => {
      expect(await below(...option)).toMatchObject({ exit: 2 });
    });
  });
});
