import { deny, fail, ok } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { Asked, HeadFacts } from '../facts.ts';
import type { Ports } from '../ports.ts';
import { decideSession, session } from './session.ts';

const origin = { rootKind: 'human', method: 'access_token', hops: [] };
const open = { id: 's1', principal: { id: 'alice' }, agent: 'triage', tokenId: 'j1', origin };
const agent = { name: 'triage', sessions: { roots: ['operator'] } };

const SNAPSHOT = { agents: new Map([['triage', agent]]), revocations: { denies: () => false }, issuers: [{}], policyDigest: 'sha256:1' };

const HEADERS: Readonly<Record<string, string>> = { authorization: 'Bearer good', 'sallyport-session': 'token' };

const facts = (over: object = {}): HeadFacts & Asked =>
  ({
    ask: { dialect: 'http-tool', call: {} },
    caller: { kind: 'session', claims: { sessionId: 's1', agent: 'triage' } },
    route: { kind: 'tool' },
    head: { target: { path: '/session' }, headers: { get: (name: string) => HEADERS[name] } },
    held: { snapshot: SNAPSHOT },
    ...over,
  }) as unknown as HeadFacts & Asked;

/** Knows the one token, under whatever issuers there are; none is trusted where there are none. */
const operatorTokens = {
  verify: async (token: string, { issuers }: { issuers: readonly unknown[] }) =>
    token === 'good' && issuers.length > 0 ? ok(operator.operator) : fail(deny('unauthenticated', 'of nobody we trust')),
};
const ports = (over: object = {}): Ports =>
  ({
    agent: 'triage',
    clock: { wall: () => 0 },
    sessions: { find: () => open, hasRoom: () => true },
    operatorTokens,
    schemes: { inbound: 'https', outbound: 'http' },
    ...over,
  }) as unknown as Ports;

const judged = async (f = facts(), p = ports()): Promise<ReturnType<typeof decideSession>> => decideSession(await session.gather(f, p));

const operator = { kind: 'operator', operator: { principal: { id: 'alice' }, tokenId: 'j1', origin } };
const snapshot = (over: object): object => ({
  held: { snapshot: { ...SNAPSHOT, ...over } },
});

describe('session', () => {
  it.each<[attack: string, code: string, f: HeadFacts & Asked, p?: Ports]>([
    ['a session that is not here', 'session_unknown', facts(), ports({ sessions: { find: () => 'unknown' } })],
    ['lost state: a session of an earlier start', 'session_expired', facts(), ports({ sessions: { find: () => 'expired' } })],
    [
      'another agent’s token',
      'session_binding_mismatch',
      facts({ caller: { kind: 'session', claims: { sessionId: 's1', agent: 'other' } } }),
    ],
    [
      'header and _meta that name different sessions',
      'session_binding_mismatch',
      facts({ ask: { dialect: 'mcp', message: { session: 'another' } } }),
    ],
    ['a revoked session', 'token_revoked', facts(snapshot({ revocations: { denies: () => true } }))],
    ['an agent that left the inventory', 'agent_not_registered', facts(snapshot({ agents: new Map() }))],
    [
      'opening for an agent that is not registered',
      'agent_not_registered',
      facts({ caller: operator, ...snapshot({ agents: new Map() }) }),
    ],
    [
      'opening where operators may not',
      'agent_not_registered',
      facts({ caller: operator, ...snapshot({ agents: new Map([['triage', { ...agent, sessions: { roots: ['schedule'] } }]]) }) }),
    ],
    [
      'opening by an issuer that left the release while the body was on its way',
      'unauthenticated',
      facts({ caller: operator, ...snapshot({ issuers: [] }) }),
    ],
    [
      'opening by a credential that nobody could judge at its head, and whose proof was so never taken',
      'identity_unavailable',
      facts({ caller: { kind: 'operator', operator: { principal: { id: 'anonymous', kind: 'anonymous' }, tokenId: null, origin } } }),
    ],
    ['opening with a revoked token', 'token_revoked', facts({ caller: operator, ...snapshot({ revocations: { denies: () => true } }) })],
    ['opening one more than may be open', 'overloaded', facts({ caller: operator }), ports({ sessions: { hasRoom: () => false } })],
  ])('refuses %s with %s', async (_, code, f, p) => {
    expect(await judged(f, p)).toMatchObject({ verdict: 'deny', denial: { code } });
  });

  describe('that names an MCP session', () => {
    const named = (mcpSession: string | undefined, server = 'files'): HeadFacts & Asked =>
      facts({ ask: { dialect: 'mcp', message: { session: undefined, mcpSession } }, route: { kind: 'mcp', server } });
    const mcpSessions = {
      has: (id: string, to: { session: string; server: string }) => `${id} ${to.session} ${to.server}` === 'm1 s1 files',
    };

    it('passes with its own, and without one', async () => {
      for (const f of [named('m1'), named(undefined)]) expect(await judged(f, ports({ mcpSessions }))).toMatchObject({ verdict: 'pass' });
    });

    it.each<[string, HeadFacts & Asked]>([
      ['one that is not its own', named('m2')],
      ['its own with another server', named('m1', 'orders')],
      ['an empty one', named('')],
    ])('refuses %s as if there were none', async (_, f) => {
      expect(await judged(f, ports({ mcpSessions }))).toMatchObject({
        verdict: 'deny',
        denial: { code: 'session_expired', rpc: { status: 404, code: 404 } },
      });
    });

    it('is refused for the session that it stands in first', async () => {
      const revoked = { ...named('m2'), ...snapshot({ revocations: { denies: () => true } }) } as HeadFacts & Asked;
      expect(await judged(revoked, ports({ mcpSessions }))).toMatchObject({ denial: { code: 'token_revoked' } });
    });
  });

  describe('whom the agent may act for', () => {
    const named = (callers: object[]): object => snapshot({ agents: new Map([['triage', { ...agent, callers }]]) });
    it.each<[string, object, string]>([
      ['an agent that names its callers, and not this one', named([{ principals: ['bob'] }]), 'no_matching_policy'],
      ['one that names nobody', named([]), 'no_matching_policy'],
      ['one that names this caller', named([{ principals: ['alice'] }]), 'local'],
    ])('is asked where the agent opens a session: %s', async (_, over, expected) => {
      const judgement = await judged(facts({ caller: operator, ...over }));
      expect(judgement.verdict === 'deny' ? judgement.denial.code : judgement.verdict).toBe(expected);
    });
  });

  it('the end of a session is answered here, and only for who holds it', async () => {
    const ended: string[] = [];
    const sessions = { find: () => open, close: (id: string) => void ended.push(id) };
    const closing = facts({ route: { kind: 'session', closes: true }, ask: { dialect: 'session', closes: true } });
    const judgement = await judged(closing, ports({ sessions }));
    expect([judgement.verdict, ended]).toEqual(['local', []]);
    if (judgement.verdict === 'local') await judgement.produce();
    expect(ended).toEqual(['s1']);
    expect(await judged(closing, ports({ sessions: { ...sessions, find: () => 'expired' } }))).toMatchObject({
      denial: { code: 'session_expired' },
    });
  });

  it('passes the one open session, and answers an opening itself', async () => {
    expect(await judged()).toMatchObject({ verdict: 'pass', facts: { session: open } });
    expect(await judged(facts({ caller: operator }))).toMatchObject({ verdict: 'local', what: 'session' });
    expect(decideSession(ok(open as never)).verdict).toBe('pass');
    expect(decideSession(fail(deny('session_unknown', ''))).verdict).toBe('deny');
  });
});
