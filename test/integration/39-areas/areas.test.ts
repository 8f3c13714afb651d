/**
 * A company, the owners of its tools, and three teams: five publishers, one path of areas for each team, three sidecars.
 * What one of them publishes is in force for all whom it concerns, and for nobody else.
 */

import { createClient, type Channel } from '@sallyport/net';
import { create, GetPartRequestSchema, PolicyPlane } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import type { AgentName } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { digestOfJoined } from '@sallyport/trust';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { areasOf, type Areas, type PublishedLayer } from '../../support/areas.ts';
import { issuerDocument } from '../../support/policies.ts';
import { stolenIdentity, tlsOf, workloadChannel } from '../../support/workload-channel.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const COMPANY = 'acme';
const TOOLS = 'acme/tools';
const TEAMS = ['support', 'sales', 'billing'] as const;
type Team = (typeof TEAMS)[number];
const areaOf = (team: Team): string => `${TOOLS}/${team}`;
const agentOf = (team: Team): AgentName => `${team}-agent` as AgentName;

const companyPolicy = (world: World, ceiling: number): string => `apiVersion: sallyport.dev/v1
kind: Policy
agents: "*"
rules:
  - { id: company-ceiling, deny: [{ class: money }], when: args.amount > ${ceiling} }
  - { id: no-destructive-tools, deny: [{ effect: destructive }], for: { roles: [trainee] } }
${issuerDocument(world.idp)}`;

const toolsPolicy = (url: string, archiving: 'write' | 'destructive'): string => `apiVersion: sallyport.dev/v1
kind: ToolServer
name: orders
http: { url: "${url}" }
network: loopback
---
kind: Tool
name: orders/profile
effect: read
route: { method: POST, path: /profile }
arguments: { required: [user], properties: { user: { type: string } } }
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
route: { method: POST, path: /refund }
arguments: { required: [user, amount], properties: { user: { type: string }, amount: { type: integer } } }
---
kind: Tool
name: orders/archive
effect: ${archiving}
route: { method: POST, path: /archive }
`;

const teamPolicy = (team: Team, more = ''): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${agentOf(team)}
owner: team-${team}
uses: [orders]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: Policy
agent: ${agentOf(team)}
rules:
  - { id: ${team}-own, allow: [orders/profile, orders/refund], for: { roles: [${team}] }, bind: [args.user == principal.id] }
  - { id: ${team}-trainees, allow: [orders/archive], for: { roles: [trainee] } }
---
kind: Test
given: { roles: [${team}], principal: ann }
cases:
  - { call: orders/profile, args: { user: ann }, expect: allow }
  - { call: orders/profile, args: { user: bob }, expect: resource_binding_mismatch }
${more}`;

describe('areas', () => {
  let world: World;
  let up: RecordingUpstream;
  let areas: Areas;
  const sidecars = new Map<Team, RunningSidecar>();
  const layers = new Map<string, PublishedLayer>();
  const at = (team: Team): RunningSidecar => {
    const sidecar = sidecars.get(team);
    if (sidecar === undefined) throw new Error(`no sidecar of ${team}`);
    return sidecar;
  };
  const publish = async (area: string, text: string): Promise<void> => void layers.set(area, await areas.publish(area, text));
  /** Releases every team's area anew, and waits until each enforces it. */
  const releaseAll = async (): Promise<void> => {
    for (const team of TEAMS) {
      const seq = await areas.release(areaOf(team));
      await eventually(async () => {
        const { sidecars: listed } = await world.admin.status();
        return listed.find(({ area }) => area === areaOf(team))?.activeReleaseSeq === BigInt(seq);
      }, `release ${seq} of ${team}`);
    }
  };
  const channelOf = async (team: Team): Promise<Channel> =>
    workloadChannel(world, tlsOf(await stolenIdentity(at(team), { agent: agentOf(team), instance: team })));

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ areas: [COMPANY, TOOLS, ...TEAMS.map(areaOf)] });
    areas = areasOf(world);
    await publish(COMPANY, companyPolicy(world, 500));
    await publish(TOOLS, toolsPolicy(up.url, 'write'));
    for (const team of TEAMS) await publish(areaOf(team), teamPolicy(team));
    for (const team of TEAMS) {
      await areas.release(areaOf(team));
      sidecars.set(team, await world.startSidecar({ name: team, agent: agentOf(team), area: areaOf(team) }));
    }
    for (const team of TEAMS) await eventually(() => at(team).ready(), `readiness of ${team}`);
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R9.23] a sidecar that asks for a part of another team’s bundle gets PERMISSION_DENIED, and its own and those above it', async () => {
    const channel = await channelOf('sales');
    const part = async (area: string): Promise<string> => {
      const layer = layers.get(area);
      if (layer === undefined) throw new Error(area);
      const request = create(GetPartRequestSchema, { digest: digestOf(layer.layer.parts.policy), offset: 0n });
      const call = createClient(PolicyPlane, channel).getPart(request, { signal: new AbortController().signal });
      let bytes = 0;
      for await (const { data } of call) bytes += data.byteLength;
      return `${(await call.status).code} ${bytes > 0 ? 'bytes' : 'nothing'}`;
    };
    try {
      expect([await part(areaOf('support')), await part(areaOf('billing'))]).toEqual([
        'permission_denied nothing',
        'permission_denied nothing',
      ]);
      expect([await part(areaOf('sales')), await part(TOOLS), await part(COMPANY)]).toEqual(['ok bytes', 'ok bytes', 'ok bytes']);
    } finally {
      channel.close();
    }
    // Nor does it come by the way of a release: what was sent to the sidecar is what its own path holds.
    const disk = at('sales').stateDir;
    const held = realFileSystem().list(join(disk, 'bundle', 'bundles'));
    const expected = [COMPANY, TOOLS, areaOf('sales')].map((area) => `${layers.get(area)?.digest.slice('sha256:'.length)}.json`);
    expect([...held].toSorted()).toEqual(expected.toSorted());
  });

  it('records name the joined set, and say what it stands for', async () => {
    const joined = [COMPANY, TOOLS, areaOf('support')].flatMap((area) => layers.get(area) ?? []);
    const session = await at('support').session({ sub: 'rose', roles: ['support'] });
    expect(codeOf(await at('support').call('orders/profile', { user: 'rose' }, session))).toEqual(ALLOWED);
    const records = await eventually(async () => {
      const lines = (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
      const found = lines.filter((line) => line['kind'] === 'DECISION' && line['tool'] === 'orders/profile' && line['user_id'] === 'rose');
      const active = lines.find((line) => line['kind'] === 'ACTIVE' && line['area'] === areaOf('support'));
      return found.length > 0 && active !== undefined ? { found, active } : undefined;
    }, 'the records');
    const digest = digestOfJoined(joined);
    expect(records.found[0]).toMatchObject({ policy_digest: digest, rule_id: 'support-own' });
    expect(records.active).toMatchObject({
      policy_digest: digest,
      detail: joined.map((one) => `${one.area} ${one.revision} ${one.digest}`).join(', '),
    });
  });

  it('[R9.24] a tool that its owners reclassify as destructive is refused on the next request, by a rule of the company’s that does not name it', async () => {
    const session = await at('billing').session({ sub: 'tim', roles: ['trainee'] });
    expect(codeOf(await at('billing').call('orders/archive', {}, session))).toEqual(ALLOWED);
    const forwarded = up.requests.length;
    await publish(TOOLS, toolsPolicy(up.url, 'destructive'));
    await releaseAll();
    const refused = await at('billing').call('orders/archive', {}, session);
    expect(codeOf(refused)).toEqual([403, 'no_matching_policy']);
    expect(up.requests.length).toBe(forwarded);
    const decision = await eventually(async () => {
      const lines = (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
      return lines.find((line) => line['decision_id'] === refused.json()['decision_id']);
    }, 'its record');
    expect(decision).toMatchObject({ decision: 'deny', rule_id: 'no-destructive-tools', tool_effect: 'destructive' });
  });

  it('[R14.19] one publish of the company’s changes what three agents may do for a hundred people, and each stays with their own', async () => {
    const people = Array.from({ length: 100 }, (_, index) => ({ id: `user-${index}`, team: TEAMS[index % 3] ?? 'support' }));
    const sessions = new Map<string, string>();
    for (const { id, team } of people) sessions.set(id, await at(team).session({ sub: id, roles: [team] }));
    const each = async (call: (of: { id: string; team: Team; session: string }) => Promise<HttpAnswer>): Promise<readonly string[]> => {
      const answers: string[] = [];
      for (const { id, team } of people) answers.push(codeOf(await call({ id, team, session: sessions.get(id) ?? '' })).join(' '));
      return answers;
    };
    const all = (answer: string): string[] => people.map(() => answer);
    const refund = (amount: number) => (of: { id: string; team: Team; session: string }) =>
      at(of.team).call('orders/refund', { user: of.id, amount }, of.session);
    expect(await each(refund(400))).toEqual(all('200 ok'));
    const forwarded = up.requests.length;

    await publish(COMPANY, companyPolicy(world, 300));
    await releaseAll();

    expect(await each(refund(400))).toEqual(all('403 no_matching_policy'));
    expect(up.requests.length).toBe(forwarded);
    expect(await each(refund(200))).toEqual(all('200 ok'));
    // Isolated as before: nobody reads or refunds what is another's, and no session is good at another agent.
    const neighbour = (id: string): string => `user-${(Number(id.slice('user-'.length)) + 1) % people.length}`;
    expect(await each((of) => at(of.team).call('orders/profile', { user: neighbour(of.id) }, of.session))).toEqual(
      all('403 resource_binding_mismatch'),
    );
    const next = (team: Team): Team => TEAMS[(TEAMS.indexOf(team) + 1) % 3] ?? 'support';
    const strayed = await each((of) => at(next(of.team)).call('orders/profile', { user: of.id }, of.session));
    expect(new Set(strayed)).toEqual(new Set(['401 session_expired']));
    expect(up.requests.slice(forwarded).every(({ body }) => body.includes('"amount":200'))).toBe(true);
  });

  it('a team that says itself what the company owns is refused, and so is a release that leaves the company out', async () => {
    const forged = teamPolicy('support').replace('support-own', 'company-ceiling');
    // Built by somebody who left the company's layer out, and signed with the team's own key.
    await expect(areas.submit(areaOf('support'), forged)).rejects.toThrow(/company-ceiling/);
    const own = layers.get(areaOf('support'));
    const refused = await world.admin.promote(own as PublishedLayer, {
      area: areaOf('support') as never,
      releaseSeq: (await seqOf('support')) as never,
      bundles: [own as never],
    });
    expect(refused.refusal).toBe('bundle_rollback_refused');
    const sales = await areas.submit(areaOf('sales'), teamPolicy('sales'), [areas.publisher(areaOf('support'))]);
    expect(sales.problems[0]?.message).toMatch(/REJECTED\(SIGNATURE\)|REJECTED\(AREA\)/);
  });

  it('a restart without the control plane joins the same layers from its cache', async () => {
    const session = await at('sales').session({ sub: 'vic', roles: ['sales'] });
    expect(codeOf(await at('sales').call('orders/refund', { user: 'vic', amount: 250 }, session))).toEqual(ALLOWED);
    await at('sales').drain();
    await world.stopControlPlane();
    const again = await world.startSidecar({ name: 'sales', agent: agentOf('sales'), area: areaOf('sales'), withToken: false });
    sidecars.set('sales', again);
    await eventually(() => again.ready(), 'readiness from the cache');
    const anew = await again.session({ sub: 'vic', roles: ['sales'] });
    expect(codeOf(await again.call('orders/refund', { user: 'vic', amount: 250 }, anew))).toEqual(ALLOWED);
    expect(codeOf(await again.call('orders/refund', { user: 'vic', amount: 400 }, anew))).toEqual([403, 'no_matching_policy']);
  });

  async function seqOf(team: Team): Promise<number> {
    const { sidecars: listed } = await world.admin.status();
    return Number(listed.find(({ area }) => area === areaOf(team))?.activeReleaseSeq ?? 0n) + 1;
  }
});
