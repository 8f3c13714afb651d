import { sha256 } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { readHop, type ProvenHop } from '@sallyport/identity';
import type { AgentName, Instant, JsonObject } from '@sallyport/model';
import { testAuthority } from '@sallyport/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { callAgent, issue, posedSidecar, startAgents, type Agents, type AgentSide, type PosedSidecar } from '../../support/agents.ts';
import { delegationPolicy } from '../../support/delegation-policy.ts';
import { codeOf } from '../../support/inbound.ts';
import type { HttpAnswer } from '../../support/world.ts';

let agents: Agents;
let billing: AgentSide;
/** Keys of the fleet and of the partner, in an attacker's hands or in an honest sidecar's. */
let desk: PosedSidecar;
let stock: PosedSidecar;
let helper: PosedSidecar;

beforeAll(async () => {
  agents = await startAgents(['billing'], ({ world, ...about }) => delegationPolicy({ ...about, idp: world.idp }));
  billing = agents.sides['billing'] as AgentSide;
  const { clock } = agents.world;
  desk = await posedSidecar(agents.domain, 'front-desk', clock);
  stock = await posedSidecar(agents.domain, 'stock', clock);
  helper = await posedSidecar(agents.partner, 'helper', clock);
});
afterAll(async () => agents?.close());

let before = 0;
beforeEach(() => {
  before = billing.stub.requests.length;
});
const reached = (): number => billing.stub.requests.length - before;

const toBilling = (): { audience: AgentSide['id'] } => ({ audience: billing.id });
function proven(token: string): ProvenHop {
  const read = readHop(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject);
  if (!read.ok) throw new Error('no hop');
  return { hop: read.value, digest: Buffer.from(sha256(new TextEncoder().encode(token))).toString('base64url') };
}
/** What billing calls with on behalf of whoever was let in. */
const callOut = (tool: string): Promise<HttpAnswer> => billing.sidecar.call(tool, { order_id: 'O-000123' }, agents.tokenGiven('billing'));

describe('a list of hops, shown to billing over mutual TLS', () => {
  it('opens a session where a sidecar of the front desk has made it for this very sidecar', async () => {
    const answer = await callAgent(agents, billing, { as: desk, hops: [await desk.hop([], toBilling())] });
    expect([answer.status, reached()]).toEqual([200, 1]);
  });

  const made: readonly [
    string,
    () => Promise<{ as: PosedSidecar; hops: readonly string[]; headers?: Record<string, string> }>,
    string,
    number,
  ][] = [
    [
      'a hop whose first was removed',
      async () => {
        const first = await stock.hop([], { audience: desk.id });
        return { as: desk, hops: [await desk.hop([proven(first)], toBilling())] };
      },
      'unauthenticated',
      401,
    ],
    [
      'a hop invented in front',
      async () => {
        const first = await stock.hop([], { audience: desk.id });
        return { as: desk, hops: [first, await desk.hop([], toBilling())] };
      },
      'unauthenticated',
      401,
    ],
    [
      'two hops in the wrong order',
      async () => {
        const first = await stock.hop([], { audience: desk.id });
        return { as: desk, hops: [await desk.hop([proven(first)], toBilling()), first] };
      },
      'unauthenticated',
      401,
    ],
    [
      'a hop twice',
      async () => {
        const only = await desk.hop([], toBilling());
        return { as: desk, hops: [only, only] };
      },
      'unauthenticated',
      401,
    ],
    [
      'a claim written over',
      async () => ({ as: desk, hops: [rewritten(await desk.hop([], toBilling()), { txn: 'transaction-2' })] }),
      'signature_invalid',
      401,
    ],
    [
      'a scope written in',
      async () => ({ as: desk, hops: [rewritten(await desk.hop([], toBilling()), { scope: ['orders:read', 'orders:write'] })] }),
      'signature_invalid',
      401,
    ],
    [
      'another root written in',
      async () => ({
        as: desk,
        hops: [
          rewritten(await desk.hop([], toBilling()), { root: { kind: 'human', sub: 'admin@company.com', tenant: 'acme', auth_time: 1 } }),
        ],
      }),
      'signature_invalid',
      401,
    ],
    ['the list of another sidecar, copied', async () => ({ as: stock, hops: [await desk.hop([], toBilling())] }), 'unauthenticated', 401],
    ['a hop for another sidecar', async () => ({ as: desk, hops: [await desk.hop([], { audience: stock.id })] }), 'unauthenticated', 401],
    [
      'a hop in another agent’s name',
      async () => ({ as: desk, hops: [await desk.hop([], toBilling(), { agent: 'stock' as AgentName, issuer: stock.id })] }),
      'unauthenticated',
      401,
    ],
    [
      'a hop that is over',
      async () => {
        const ago = (agents.world.clock.wall() - 61_000) as Instant;
        return { as: desk, hops: [await desk.hop([], { ...toBilling(), now: ago })] };
      },
      'token_expired',
      401,
    ],
    [
      'a hop that lives for long',
      async () => {
        const end = (agents.world.clock.wall() + 3_600_000) as Instant;
        return { as: desk, hops: [await desk.hop([], toBilling(), { expiresAt: end })] };
      },
      'token_lifetime_exceeded',
      401,
    ],
    ['no hop at all', async () => ({ as: desk, hops: [''] }), 'unauthenticated', 401],
    ['what is no hop', async () => ({ as: desk, hops: ['a.b.c'] }), 'unauthenticated', 401],
    ['a session’s token in place of one', async () => ({ as: desk, hops: [await billing.sidecar.session()] }), 'unauthenticated', 401],
    [
      'more hops than any list has',
      async () => ({ as: desk, hops: Array.from({ length: 9 }, () => 'a.b.c') }),
      'delegation_not_allowed',
      403,
    ],
    [
      'authority that expands',
      async () => ({ as: desk, hops: [await desk.hop([], toBilling(), { authority: 'expanded' })] }),
      'delegation_not_allowed',
      403,
    ],
    [
      'a scope more than the hop before it',
      async () => {
        const first = await stock.hop([], { audience: desk.id });
        const grown = await desk.hop([proven(first)], toBilling(), { scopes: ['orders:read', 'orders:write'] });
        return { as: desk, hops: [first, grown] };
      },
      'delegation_not_allowed',
      403,
    ],
    [
      'billing itself among those who handed on',
      async () => {
        const first = await stock.hop([], { audience: desk.id }, { agent: 'stock' as AgentName });
        const own = await posedSidecar(agents.domain, 'billing', agents.world.clock);
        const [begun, next] = [await own.hop([], { audience: desk.id }), first];
        expect(next).not.toBe(begun);
        return {
          as: desk,
          hops: [begun, await desk.hop([proven(begun)], { ...toBilling(), audience: stock.id }, { audience: billing.id })],
        };
      },
      'delegation_not_allowed',
      403,
    ],
    [
      'an agent that no relation names',
      async () => ({ as: stock, hops: [await stock.hop([], toBilling())] }),
      'delegation_not_allowed',
      403,
    ],
    [
      'a caller’s token beside it',
      async () => {
        const token = agents.world.idp.mint(agents.world.clock.wall() as Instant);
        return { as: desk, hops: [await desk.hop([], toBilling())], headers: { authorization: `Bearer ${token}` } };
      },
      'unauthenticated',
      401,
    ],
    [
      'a session of somebody’s beside it',
      async () => ({ as: desk, hops: [await desk.hop([], toBilling())], headers: { 'sallyport-session': 'x.y.z' } }),
      'session_binding_mismatch',
      401,
    ],
  ];
  it.each(made)('with %s reaches nobody', async (_, attempt, code, status) => {
    const answer = await callAgent(agents, billing, await attempt());
    expect([codeOf(answer), answer.status, reached()]).toEqual([code, status, 0]);
  });

  it('[R7.17] A.30.5 that an agent has re-signed, or taken a hop out of, is 401 and reaches nobody', async () => {
    const stranger = await testAuthority('demo.local');
    const agent = await posedSidecar({ trustDomain: 'demo.local', ca: stranger.ca }, 'front-desk', agents.world.clock);
    const resigned = await callAgent(agents, billing, { as: desk, hops: [await agent.hop([], toBilling())] });
    const first = await stock.hop([], { audience: desk.id });
    const second = await desk.hop([proven(first)], toBilling());
    const whole = await callAgent(agents, billing, { as: desk, hops: [first, second] });
    const shortened = await callAgent(agents, billing, { as: desk, hops: [second] });
    expect([resigned.status, whole.status, shortened.status, reached()]).toEqual([401, 200, 401, 1]);
    expect(await recordOf(agents.world, shortened)).toMatchObject({ decision: 'deny', code: 'unauthenticated', gate: 'authentication' });
  });

  it('[R7.15] A.30.7 has its hops’ authority in the record, one of two words, and expanded is refused', async () => {
    for (const authority of ['transferred', 'retained'] as const) {
      await callAgent(agents, billing, { as: desk, hops: [await desk.hop([], { ...toBilling(), authority })] });
      const [record] = await callsOfSession(agents.world, agents.tokenGiven('billing'), 1);
      expect(record?.hops).toEqual([{ agent: 'front-desk', sidecar: desk.id, authority }]);
    }
    const expanded = await callAgent(agents, billing, { as: desk, hops: [await desk.hop([], toBilling(), { authority: 'expanded' })] });
    expect(codeOf(expanded)).toBe('delegation_not_allowed');
    expect(await recordOf(agents.world, expanded)).toMatchObject({
      decision: 'deny',
      detail: expect.stringContaining('expands authority'),
    });
  });
});

describe('with whose authority it began', () => {
  const rootKindOf = async (): Promise<string | undefined> =>
    (await callsOfSession(agents.world, agents.tokenGiven('billing'), 1))[0]?.root_kind;
  const system = { kind: 'system', subject: 'month-end', tenant: 'acme', authenticatedAt: 0 as Instant } as const;

  it('[R7.11] a person, a system of ours and a stranger’s agent are told apart, and a rule for persons is for persons', async () => {
    const seen: (string | undefined)[][] = [];
    const roots: readonly [PosedSidecar, string][] = [
      [desk, await desk.hop([], toBilling())],
      [desk, await desk.hop([], { ...toBilling(), root: system })],
      [helper, await helper.hop([], toBilling())],
    ];
    for (const [as, hop] of roots) {
      expect((await callAgent(agents, billing, { as, hops: [hop] })).status).toBe(200);
      seen.push([await rootKindOf(), codeOf(await callOut('orders/cancel')), codeOf(await callOut('orders/get_order'))]);
    }
    expect(seen).toEqual([
      ['human', '200', '200'],
      ['system', 'delegation_not_allowed', '200'],
      ['external', 'delegation_not_allowed', '200'],
    ]);
  });

  it('A.30.4 a stranger’s agent between alice’s and billing is told apart as well, and alice stays alice', async () => {
    const begun = await desk.hop([], { audience: helper.id });
    const answer = await callAgent(agents, billing, { as: helper, hops: [begun, await helper.hop([proven(begun)], toBilling())] });
    expect(answer.status).toBe(200);
    const [record] = await callsOfSession(agents.world, agents.tokenGiven('billing'), 1);
    expect(record).toMatchObject({
      operator: 'alice@company.com',
      root_kind: 'human',
      hops: [{ agent: 'front-desk' }, { agent: 'helper' }],
    });
    expect([codeOf(await callOut('orders/list_orders')), codeOf(await callOut('orders/get_order'))]).toEqual([
      'delegation_not_allowed',
      '200',
    ]);
  });

  it('[R7.12] A.30.4 the same call is refused through a stranger’s agent and allowed through one of ours', async () => {
    await callAgent(agents, billing, { as: helper, hops: [await helper.hop([], toBilling())] });
    const foreign = await callOut('orders/list_orders');
    await callAgent(agents, billing, { as: desk, hops: [await desk.hop([], toBilling())] });
    const own = await callOut('orders/list_orders');
    expect([foreign.status, codeOf(foreign), own.status]).toEqual([403, 'delegation_not_allowed', 200]);
  });

  it('a stranger that calls its user alice is not believed to have ours', async () => {
    await callAgent(agents, billing, { as: helper, hops: [await helper.hop([], toBilling())] });
    const [record] = await callsOfSession(agents.world, agents.tokenGiven('billing'), 1);
    expect(record).toMatchObject({
      operator: 'partner.example/alice@company.com',
      root_kind: 'external',
      principal_kind: 'service',
      rule_id: 'delegation:3',
      hops: [{ agent: 'helper', sidecar: helper.id }],
    });
  });

  it('what is taken are the scopes that the relation names, of those that were handed on', async () => {
    const scopes = ['orders:read', 'orders:write'];
    const seen: string[] = [];
    for (const root of [undefined, system]) {
      const hop = await desk.hop([], { ...toBilling(), scopes, ...(root === undefined ? {} : { root }) });
      await callAgent(agents, billing, { as: desk, hops: [hop] });
      seen.push(codeOf(await callOut('orders/refund')));
    }
    expect(seen).toEqual(['200', 'delegation_not_allowed']);
  });

  it('a stranger’s scopes are those that its domain is pinned for', async () => {
    const hop = await helper.hop([], { ...toBilling(), scopes: ['orders:read', 'orders:write'] });
    await callAgent(agents, billing, { as: helper, hops: [hop] });
    expect(codeOf(await callOut('orders/refund'))).toBe('delegation_not_allowed');
  });

  it('a stranger that poses as a sidecar of ours, by its own CA, is nobody', async () => {
    const posing = await posedSidecar(
      { trustDomain: 'demo.local', ca: (await testAuthority('demo.local')).ca },
      'front-desk',
      agents.world.clock,
    );
    const answer = await callAgent(agents, billing, { as: helper, hops: [await posing.hop([], toBilling())] });
    expect([answer.status, reached()]).toEqual([401, 0]);
  });
});

describe('the connection', () => {
  const tried = async (connection: object): Promise<string> => {
    try {
      const answer = await callAgent(agents, billing, { hops: [await desk.hop([], toBilling())], connection });
      return String(answer.status);
    } catch (thrown) {
      return thrown instanceof Error ? 'no connection' : 'thrown';
    }
  };
  afterEach(() => expect(reached()).toBe(0));

  it('[R7.18] A.30.6 from agent to agent ends in its handshake without a valid client certificate', async () => {
    const pair = async (path: string, usage: 'tls-client' | 'tls-server', life = {}, domain = agents.domain): Promise<object> => {
      const { chain, privatePem } = await issue(domain, path, usage, life);
      return { cert: certificatePem(chain[0] ?? new Uint8Array()), key: privatePem };
    };
    const path = '/sidecar/front-desk/posed';
    const hour = 3_600_000;
    const stranger = await testAuthority('demo.local');
    const ended = { notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour };
    expect([
      await tried({}),
      await tried(await pair(path, 'tls-client', {}, { trustDomain: 'demo.local', ca: stranger.ca })),
      await tried(await pair(path, 'tls-client', ended)),
      await tried(await pair(path, 'tls-server')),
    ]).toEqual(Array.from({ length: 4 }, () => 'no connection'));
  });

  it('of what is no sidecar, under our own CA, brings nobody in', async () => {
    const { chain, privatePem } = await issue(agents.domain, '/admin/ada', 'tls-client');
    expect(await tried({ cert: certificatePem(chain[0] ?? new Uint8Array()), key: privatePem })).toBe('401');
  });
});

/** The same hop with other claims, and the signature that it had. */
function rewritten(token: string, claims: JsonObject): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const held = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JsonObject;
  return `${header}.${Buffer.from(JSON.stringify({ ...held, ...claims })).toString('base64url')}.${signature}`;
}
