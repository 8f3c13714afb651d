/** The register of machine identities, as it leaves the house: whole, in an open form, with those that nobody registered. */

import type { AgentName } from '@sallyport/model';
import { recordingUpstream, testAuthority, type RecordingUpstream } from '@sallyport/testkit';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { askAgent, codeOf, inboundConfig, inboundPort } from '../../support/inbound.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from '../12-command-line/desk.ts';

const SHADOW = 'shadow-agent' as AgentName;
const schema = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../docs/reference/identity-register.schema.json'), 'utf8'),
) as Record<string, unknown>;

interface Register {
  readonly agents: readonly {
    readonly name: string;
    readonly last_seen: string | null;
    readonly sidecars: readonly Record<string, unknown>[];
  }[];
  readonly credentials: readonly Record<string, unknown>[];
  readonly issuers: readonly Record<string, unknown>[];
  readonly unregistered: { readonly agents: readonly Record<string, unknown>[]; readonly sidecars: readonly Record<string, unknown>[] };
}

describe('the register of machine identities', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let ours: RunningSidecar;
  let shadow: RunningSidecar;

  const policy = (withShadow: boolean): string => {
    const own = READ_ORDERS.replace('kind: Test', `kind: Test\nagent: ${AGENT}`);
    const credential = `---\nkind: Credential\nname: orders-key\nsource: { file: orders/key }\nheader: X-Api-Key\ndestinations: [orders]\nagents: [${AGENT}]\ntools: [orders/*]\nmax_age: 30d\n`;
    const other = withShadow
      ? `---\nkind: Agent\nname: ${SHADOW}\nowner: nobody\nuses: []\nsessions: { roots: [operator], idle: 15m, max: 8h }\n`
      : '';
    return `${ordersPolicy(up.url, own, world.idp).replace('uses: [orders]', 'uses: [orders]\ncallers: [{ roles: [support-rep] }]')}${credential}${other}`;
  };
  const exported = async (): Promise<Register> => {
    const { exit, out, json } = await desk.admin('identities', 'export', '--json');
    // Not even where a secret lies.
    expect([exit, out.includes('orders/key')]).toEqual([0, false]);
    return json() as unknown as Register;
  };

  beforeAll(async () => {
    [up, world] = [await recordingUpstream(), await startWorld()];
    desk = deskOf(world, up.url);
    await world.admin.publish(policy(true));
    const inbound = await inboundConfig({ world, authority: await testAuthority() }, up.url);
    ours = await world.startSidecar({ config: { inbound } });
    shadow = await world.startSidecar({ name: 'shadow', agent: SHADOW });
    await eventually(async () => (await ours.ready()) && (await shadow.ready()), 'readiness');
    // It worked once; nobody thought of it when it was taken out.
    await shadow.session();
    await world.admin.publish(policy(false));
    await eventually(async () => (await shadow.request('/session', { headers: bearer() })).status === 403, 'the policy without it');
    await ours.session();
    const token = (): string => world.idp.mint(world.clock.wall());
    const asked = await askAgent(
      { port: inboundPort(ours), ca: '', path: '/agents/ghost-agent/invoke', token },
      { json: {}, connection: { rejectUnauthorized: false } },
    );
    expect(codeOf(asked)).toBe('agent_not_registered');
    await eventually(async () => {
      const calls = await allCalls(world);
      return (
        calls.some(({ agent_id: id, code }) => id === SHADOW && code === 'agent_not_registered') &&
        calls.some(({ action }) => action.includes('ghost-agent'))
      );
    }, 'the records');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  const bearer = (): Record<string, string> => ({ authorization: `Bearer ${world.idp.mint(world.clock.wall())}` });

  it('[R16.07] is exported in an open form, and lists the agents in traffic that nobody registered', async () => {
    const register = await exported();
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    validate(register);
    expect(validate.errors).toEqual(null);
    expect(register).toMatchObject({
      agents: [{ name: AGENT, owner: 'team-support', last_seen: expect.stringMatching(/^20/) }],
      issuers: [{ issuer: world.idp.issuer, keys: 'pinned', key_ids: [world.idp.jwk.kid] }],
      credentials: [{ name: 'orders-key', source: 'file', destinations: ['orders'], max_age_ms: 2_592_000_000, stale_reported_at: null }],
      unregistered: {
        agents: [
          { agent: 'ghost-agent', seen_as: ['called'], records: 1 },
          { agent: SHADOW, seen_as: ['caller'], first_seen: expect.stringMatching(/^20/) },
        ],
        sidecars: [{ spiffe_id: `spiffe://demo.local/sidecar/${SHADOW}/shadow`, connected: true }],
      },
    });
    const [one] = register.agents[0]?.sidecars ?? [];
    expect(one).toMatchObject({ spiffe_id: `spiffe://demo.local/sidecar/${AGENT}/one`, connected: true, isolation: 'enforced' });
    expect(Date.parse(String(one?.['certified_until']))).toBeGreaterThan(world.clock.wall());
  });

  it('is told to people as a table, with the unregistered below it', async () => {
    const { exit, out } = await desk.admin('identities', 'export');
    expect(exit).toBe(0);
    expect(out).toMatch(new RegExp(`${AGENT} .*\\n[^]*UNREGISTERED: 2 agents in the record\\n[^]*ghost-agent[^]*${SHADOW}`));
  });
});
