import { certificatePem } from '@sallyport/crypto/keys';
import { verifyAssertion, type Verification } from '@sallyport/verifier';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls, callsOfSession, recordOf } from '../../support/audit.ts';
import { startAgents, type Agents } from '../../support/agents.ts';
import { delegationPolicy } from '../../support/delegation-policy.ts';
import { codeOf } from '../../support/inbound.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

let agents: Agents;
const CLAIMS = { scope: 'orders:read orders:write', tenant_id: 'acme' };
const ORDER = { order_id: 'O-000123' };

beforeAll(async () => {
  agents = await startAgents(['front-desk', 'billing', 'stock'], ({ world, ...about }) => delegationPolicy({ ...about, idp: world.idp }));
});
afterAll(async () => agents?.close());

const call = (by: string, tool: string, session: string, args: object = ORDER): Promise<HttpAnswer> => {
  const side = agents.sides[by];
  if (side === undefined) throw new Error(by);
  return side.sidecar.call(tool, tool.endsWith('/ask') ? { question: 'which order?' } : args, session);
};
const sessionAt = async (name: string, claims: object = {}): Promise<string> =>
  (await agents.sides[name]?.sidecar.session({ ...CLAIMS, ...claims })) as string;

/** Alice asks the front desk, which asks billing. What billing is given with it is what it calls out with. */
async function handedOn(claims: object = {}): Promise<{ readonly answer: HttpAnswer; readonly given: string; readonly session: string }> {
  const session = await sessionAt('front-desk', claims);
  const answer = await call('front-desk', 'billing/ask', session);
  return { answer, given: agents.tokenGiven('billing'), session };
}

describe('alice asks the front desk, which hands on to billing', () => {
  it('reaches billing in a session of its own, to which nobody is given a token but billing', async () => {
    const { answer, given, session } = await handedOn();
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json())).toEqual(['session_id', 'result']);
    const seen = agents.sides['billing']?.stub.requests.at(-1);
    expect(seen?.headers['sallyport-delegation']).toBeUndefined();
    expect([seen?.body, given === session]).toEqual(['{"question":"which order?"}', false]);
  });

  it('[R4.06] the record of the front desk’s call and what rules are asked by say: alice, through the front desk', async () => {
    const { given, session } = await handedOn();
    const desk = { agent: 'front-desk', sidecar: agents.sides['front-desk']?.id, authority: 'transferred' };
    const [sent] = await callsOfSession(agents.world, session, 1);
    expect(sent).toMatchObject({ leg: 'outbound', tool: 'billing/ask', operator: 'alice@company.com', root_kind: 'human', hops: [desk] });
    const [taken] = await callsOfSession(agents.world, given, 1);
    expect(taken).toMatchObject({
      leg: 'inbound',
      agent_id: 'billing',
      operator: 'alice@company.com',
      tenant_id: 'acme',
      root_kind: 'human',
      authn_method: 'delegation',
      rule_id: 'delegation:1',
      scope: 'orders:read',
      hops: [desk],
    });
    // The rule compares the chain and the root: in billing's own session with alice it does not hold.
    expect(codeOf(await call('billing', 'orders/seen', given))).toBe('200');
    expect(codeOf(await call('billing', 'orders/seen', await sessionAt('billing')))).toBe('no_matching_policy');
  });

  it('[R3.19] an e-mail that alice may have billing send is not sent on her behalf by another agent', async () => {
    const before = agents.tool.requests.length;
    expect(codeOf(await call('billing', 'orders/send_email', await sessionAt('billing')))).toBe('200');
    const { given } = await handedOn();
    const refused = await call('billing', 'orders/send_email', given);
    expect([refused.status, codeOf(refused)]).toEqual([403, 'delegation_not_allowed']);
    expect(agents.tool.requests.length - before).toBe(1);
    expect(await recordOf(agents.world, refused)).toMatchObject({ rule_id: 'billing-email', gate: 'authorization', root_kind: 'human' });
  });

  it('[R7.13] A.30.3 billing, which may write, does not write for a caller that handed on reading alone', async () => {
    const { given } = await handedOn();
    expect(codeOf(await call('billing', 'orders/get_order', given))).toBe('200');
    const refused = await call('billing', 'orders/refund', given);
    expect([refused.status, codeOf(refused)]).toEqual([403, 'delegation_not_allowed']);
    expect(codeOf(await call('billing', 'orders/refund', await sessionAt('billing')))).toBe('200');
  });

  it('and hands on no more than alice had', async () => {
    const { given } = await handedOn({ scope: 'profile' });
    expect(codeOf(await call('billing', 'orders/get_order', given))).toBe('delegation_not_allowed');
  });

  it('[R7.16] A.30.2 nobody hands on without a relation, although each may be used on its own', async () => {
    const own = await sessionAt('stock');
    expect(codeOf(await call('stock', 'orders/get_order', own))).toBe('200');
    expect(codeOf(await call('billing', 'orders/get_order', await sessionAt('billing')))).toBe('200');
    const before = agents.sides['billing']?.stub.requests.length;
    const refused = await call('stock', 'billing/ask', own);
    expect([refused.status, codeOf(refused)]).toEqual([403, 'delegation_not_allowed']);
    expect(agents.sides['billing']?.stub.requests.length).toBe(before);
    expect((await recordOf(agents.world, refused)).detail).toContain('agent stock does not hand on to billing');
  });

  it('and nothing is taken of a tenant that the relation does not name', async () => {
    const session = await sessionAt('front-desk', { tenant_id: 'bank' });
    const answer = await call('front-desk', 'billing/ask', session);
    expect(codeOf(answer)).toBe('upstream_error');
    const refusal = await eventually(
      async () => (await allCalls(agents.world)).find((one) => one.agent_id === 'billing' && one.tenant_id === 'bank'),
      'the refusal by billing’s sidecar',
    );
    expect(refusal).toMatchObject({ decision: 'deny', code: 'delegation_not_allowed', operator: 'alice@company.com', leg: 'inbound' });
  });
});

/** What a tool's owner makes of the last call that reached them. */
function believed(tool: string, hopsMax: number): Verification {
  const { trustDomain, ca } = agents.domain;
  const token = agents.tool.requests.at(-1)?.headers['sallyport-assertion'] as string;
  const authorities = certificatePem(ca.certificate);
  return verifyAssertion(token, { trustDomain, authorities, audience: 'sallyport:demo.local:server:orders', tool, hopsMax });
}

describe('what a tool is told', () => {
  it('[R7.10] A.30.1 of alice, the front desk and billing: both hops in order', async () => {
    const { given } = await handedOn();
    await call('billing', 'orders/get_order', given);
    expect(actOf()).toEqual({ sub: 'billing', act: { sub: 'front-desk', authority: 'transferred' } });
    expect(believed('orders/get_order', 1)).toMatchObject({
      ok: true,
      assertion: { operator: 'alice@company.com', rootKind: 'human', agent: 'billing', chain: [{ agent: 'front-desk' }] },
    });
    expect(believed('orders/get_order', 0)).toMatchObject({ ok: false, code: 'delegation_refused' });
  });

  it('is no list of hops, whatever the agent sends along', async () => {
    const { given } = await handedOn();
    const headers = { 'content-type': 'application/json', 'sallyport-session': given, 'sallyport-delegation': 'a.b.c' };
    const answer = await agents.sides['billing']?.sidecar.request('/tools/orders/get_order', { headers, body: JSON.stringify(ORDER) });
    expect([answer?.status, agents.tool.requests.at(-1)?.headers['sallyport-delegation']]).toEqual([200, undefined]);
  });

  it('of alice and billing alone is nothing of the front desk', async () => {
    await call('billing', 'orders/get_order', await sessionAt('billing'));
    expect([actOf(), believed('orders/get_order', 0).ok]).toEqual([{ sub: 'billing' }, true]);
  });
});

const actOf = (): unknown => {
  const token = agents.tool.requests.at(-1)?.headers['sallyport-assertion'] as string;
  return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { act: unknown }).act;
};

describe('billing hands on to stock', () => {
  const toStock = async (): Promise<string> => {
    const { given } = await handedOn();
    expect(codeOf(await call('billing', 'stock/ask', given))).toBe('200');
    return agents.tokenGiven('stock');
  };

  it('whose records name both hops in order, each with its authority', async () => {
    const given = await toStock();
    expect(codeOf(await call('stock', 'orders/get_order', given))).toBe('200');
    const calls = await callsOfSession(agents.world, given, 2);
    const hops = [
      { agent: 'front-desk', sidecar: agents.sides['front-desk']?.id, authority: 'transferred' },
      { agent: 'billing', sidecar: agents.sides['billing']?.id, authority: 'retained' },
    ];
    expect(calls.map((one) => [one.operator, one.hops])).toEqual([
      ['alice@company.com', hops],
      ['alice@company.com', hops],
    ]);
  });

  it('[R4.15] whose tools are told with whom it began, through whom, and what was handed on at each step', async () => {
    await call('stock', 'orders/get_order', await toStock());
    expect(actOf()).toEqual({
      sub: 'stock',
      act: { sub: 'billing', authority: 'retained', act: { sub: 'front-desk', authority: 'transferred' } },
    });
    expect(believed('orders/get_order', 2)).toMatchObject({
      ok: true,
      assertion: {
        operator: 'alice@company.com',
        rootKind: 'human',
        tenant: 'acme',
        scopes: ['orders:read'],
        agent: 'stock',
        chain: [
          { agent: 'front-desk', authority: 'transferred' },
          { agent: 'billing', authority: 'retained' },
        ],
      },
    });
  });

  it('[R7.14] and nobody a third time, nor back to who handed on', async () => {
    const third = await call('stock', 'archive/ask', await toStock());
    expect([third.status, codeOf(third)]).toEqual([403, 'delegation_not_allowed']);
    expect((await recordOf(agents.world, third)).detail).toContain('3 hops, of at most 2');
    const { given } = await handedOn();
    const back = await call('billing', 'front-desk/ask', given);
    expect([back.status, codeOf(back)]).toEqual([403, 'delegation_not_allowed']);
    expect((await recordOf(agents.world, back)).detail).toContain('agent front-desk stands in the chain already');
  });
});
