import { certificatePem } from '@sallyport/crypto/keys';
import { recordingUpstream, testAuthority } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callAgent, issue, posedSidecar, startAgents, type Agents, type AgentSide, type PosedSidecar } from '../../support/agents.ts';
import { DELEGATION, delegationPolicy, type PolicyOf } from '../../support/delegation-policy.ts';
import { codeOf } from '../../support/inbound.ts';
import { eventually, request, type HttpAnswer } from '../../support/world.ts';

let agents: Agents;
let billing: AgentSide;
let desk: PosedSidecar;
let helper: PosedSidecar;

beforeAll(async () => {
  agents = await startAgents(['front-desk', 'billing'], ({ world, ...about }) => delegationPolicy({ ...about, idp: world.idp }));
  billing = agents.sides['billing'] as AgentSide;
  desk = await posedSidecar(agents.domain, 'front-desk', agents.world.clock);
  helper = await posedSidecar(agents.partner, 'helper', agents.world.clock);
});
afterAll(async () => agents?.close());

const policy = (more: Partial<PolicyOf> = {}): string =>
  delegationPolicy({ sides: agents.sides, tool: agents.tool.url, idp: agents.world.idp, partner: agents.partner, ...more });
const publish = async (text: string): Promise<void> => {
  const { releaseSeq } = await agents.world.admin.publish(text);
  for (const { sidecar } of Object.values(agents.sides))
    await eventually(async () => (await releaseAt(sidecar.healthPort)) >= releaseSeq, 'the release at every sidecar');
};
const callOut = (tool: string, given: string): Promise<HttpAnswer> => billing.sidecar.call(tool, { order_id: 'O-000123' }, given);
const releaseAt = async (port: number): Promise<number> =>
  Number((await request(port, '/readyz', { method: 'GET' })).json()['release_seq']);
/** A session at billing that a sidecar of the front desk, or the partner's, has opened. */
async function entered(by: PosedSidecar): Promise<string> {
  const answer = await callAgent(agents, billing, { as: by, hops: [await by.hop([], { audience: billing.id })] });
  expect(answer.status).toBe(200);
  return agents.tokenGiven('billing');
}

describe('whoever stands where the called agent should', () => {
  it.each<[string, string, 'tls-server' | 'tls-client']>([
    ['another agent’s sidecar', '/sidecar/stock/one', 'tls-server'],
    ['a sidecar whose agent’s name only begins so', '/sidecar/billing-two/one', 'tls-server'],
    ['the control plane', '/control-plane', 'tls-server'],
    ['a certificate for clients', '/sidecar/billing/one', 'tls-client'],
  ])('%s is sent nothing: no request, no hop', async (_, path, usage) => {
    const { chain, privatePem } = await issue(agents.domain, path, usage);
    const cert = chain.map((der) => certificatePem(der)).join('');
    const impostor = await recordingUpstream(undefined, { cert, key: privatePem, ca: certificatePem(agents.domain.ca.certificate) });
    const sides = { ...agents.sides, billing: { ...billing, url: impostor.url } };
    await publish(policy({ sides }));
    const session = (await agents.sides['front-desk']?.sidecar.session({ scope: 'orders:read', tenant_id: 'acme' })) as string;
    const answer = (await agents.sides['front-desk']?.sidecar.call('billing/ask', {}, session)) as HttpAnswer;
    expect([answer.status, codeOf(answer), impostor.requests.length]).toEqual([502, 'upstream_untrusted', 0]);
    await impostor.close();
    await publish(policy());
  });
});

describe('the called agent’s port', () => {
  it('may show a certificate of a CA that its server declares, which then names that sidecar; of no other CA', async () => {
    const { trustDomain, ca } = await testAuthority('demo.local');
    const { chain, privatePem } = await issue({ trustDomain, ca }, '/sidecar/billing/one', 'tls-server');
    const cert = chain.map((der) => certificatePem(der)).join('');
    const port = await recordingUpstream(undefined, { cert, key: privatePem, ca: certificatePem(agents.domain.ca.certificate) });
    const sides = { ...agents.sides, billing: { ...billing, url: port.url } };
    const session = (await agents.sides['front-desk']?.sidecar.session({ scope: 'orders:read', tenant_id: 'acme' })) as string;
    const asked = async (): Promise<string> =>
      codeOf((await agents.sides['front-desk']?.sidecar.call('billing/ask', {}, session)) as HttpAnswer);
    await publish(policy({ sides }));
    expect([await asked(), port.requests.length]).toEqual(['upstream_untrusted', 0]);
    await publish(policy({ sides, authorities: { billing: certificatePem(ca.certificate) } }));
    expect(await asked()).toBe('200');
    const [, payload = ''] = String(port.requests.at(-1)?.headers['sallyport-delegation']).split('.');
    const hop = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    expect([hop['aud'], hop['scope'], hop['root']]).toEqual([
      'spiffe://demo.local/sidecar/billing/one',
      ['orders:read'],
      { kind: 'human', sub: 'alice@company.com', tenant: 'acme', auth_time: expect.any(Number) },
    ]);
    await port.close();
    await publish(policy());
  });
});

describe('what was taken goes on only while it would be taken', () => {
  it('a session ends where the relation it came by is gone', async () => {
    const given = await entered(desk);
    expect(codeOf(await callOut('orders/get_order', given))).toBe('200');
    await publish(
      policy({
        delegation: { billing: DELEGATION['billing']?.replace('agents: [front-desk], tenants', 'agents: [stock], tenants') ?? '' },
      }),
    );
    expect(codeOf(await callOut('orders/get_order', given))).toBe('delegation_not_allowed');
    await publish(policy());
  });

  it.each<[string, string, string]>([
    ['other roles', 'roles: [support-rep]', 'roles: [support-rep, auditor]'],
    ['fewer roles', 'roles: [support-rep]', 'roles: []'],
    ['fewer scopes', 'scopes: ["orders:read", "orders:write"]', 'scopes: []'],
  ])('a session ends where its relation gives %s', async (_, before, after) => {
    const given = await entered(desk);
    expect(codeOf(await callOut('orders/list_orders', given))).toBe('200');
    await publish(policy({ delegation: { billing: DELEGATION['billing']?.replace(before, after) ?? '' } }));
    expect(codeOf(await callOut('orders/list_orders', given))).toBe('delegation_not_allowed');
    await publish(policy());
  });

  it('a session ends where its agent takes nothing any more', async () => {
    const given = await entered(desk);
    await publish(policy({ delegation: { billing: '' } }));
    expect(codeOf(await callOut('orders/get_order', given))).toBe('delegation_not_allowed');
    await publish(policy());
  });

  it('a session of a stranger’s ends where its domain is pinned no longer', async () => {
    const given = await entered(helper);
    expect(codeOf(await callOut('orders/get_order', given))).toBe('200');
    const without =
      DELEGATION['billing']
        ?.split('\n')
        .filter((line) => !line.includes('partner.example'))
        .join('\n') ?? '';
    await publish(
      policy({ delegation: { billing: `${without}\n    - { agents: [stock], third_party: true }` } }).replace(
        /kind: TrustDomain[\s\S]*?---\n/,
        '',
      ),
    );
    expect(codeOf(await callOut('orders/get_order', given))).toBe('delegation_not_allowed');
    const again = await callAgent(agents, billing, { as: helper, hops: [await helper.hop([], { audience: billing.id })] });
    expect([again.status, codeOf(again)]).toEqual([401, 'unauthenticated']);
    await publish(policy());
  });

  it('a session ends where the agent that handed it on is revoked, and no other begins', async () => {
    const given = await entered(desk);
    await agents.world.admin.revoke('agent', 'front-desk');
    await eventually(async () => codeOf(await callOut('orders/get_order', given)) === 'token_revoked', 'the revocation at billing');
    const again = await callAgent(agents, billing, { as: desk, hops: [await desk.hop([], { audience: billing.id })] });
    expect([again.status, codeOf(again)]).toEqual([401, 'token_revoked']);
  });
});
