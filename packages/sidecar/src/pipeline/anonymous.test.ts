import { deny, fail, type Agent, type DenialCode, type Instant, type Principal } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { asDegraded, orAnonymous } from './anonymous.ts';

const now = 1_000 as Instant;
const agentOf = (callers: Agent['callers']): Agent => ({ name: 'a', callers }) as unknown as Agent;
const MARKED = agentOf([{ roles: ['x'] }, { principals: ['anonymous'] }]);
const away = fail(deny('identity_unavailable', 'no keys'));

describe('nobody in the place of a caller whom nobody can prove', () => {
  it('has no right that a rule does not give to anonymous by name, and no credential that outlives a few minutes', () => {
    const nobody = orAnonymous(away, { agent: MARKED, namesSession: false, now });
    expect(nobody).toMatchObject({
      ok: true,
      value: {
        principal: { id: 'anonymous', kind: 'anonymous', tenant: '-', issuer: '', roles: [], scopes: [], attributes: {} },
        tokenId: null,
        times: { expiresAt: 301_000 },
        origin: { rootKind: 'external', method: 'none' },
      },
    });
  });

  it.each<[what: string, agent: Agent | undefined, namesSession: boolean]>([
    ['an agent that names no callers', agentOf(undefined), false],
    ['an agent that names others', agentOf([{ roles: ['anonymous'] }, { tenants: ['-'] }]), false],
    ['an agent that asks nobody for a role', agentOf([{ principals: ['anonymous'], roles: ['x'] }]), false],
    ['no agent', undefined, false],
    ['a session that goes on', MARKED, true],
  ])('is not there for %s', (_what, agent, namesSession) => {
    expect(orAnonymous(away, { agent, namesSession, now })).toBe(away);
  });

  it.each<DenialCode>([
    'unauthenticated',
    'signature_invalid',
    'token_expired',
    'token_revoked',
    'replay_detected',
    'overloaded',
    'internal',
  ])('is not there where a credential was judged: %s', (code) => {
    const refused = fail(deny(code, 'refused'));
    expect(orAnonymous(refused, { agent: MARKED, namesSession: false, now })).toBe(refused);
  });
});

describe('what nobody is told of a refusal', () => {
  const nobody = { kind: 'anonymous' } as Principal;
  it.each<[gate: 'tool' | 'authorization' | 'validation' | 'reservation', of: Principal | undefined, code: DenialCode, told: DenialCode]>([
    ['tool', nobody, 'tool_not_allowed', 'identity_unavailable'],
    ['authorization', nobody, 'insufficient_scope', 'identity_unavailable'],
    ['authorization', nobody, 'internal', 'internal'],
    ['validation', nobody, 'schema_violation', 'schema_violation'],
    ['tool', { kind: 'person' } as Principal, 'tool_not_allowed', 'tool_not_allowed'],
    ['tool', undefined, 'tool_not_allowed', 'tool_not_allowed'],
  ])('by %s', (gate, principal, code, told) => {
    expect(asDegraded(deny(code, 'why'), gate, principal).code).toBe(told);
  });
});
