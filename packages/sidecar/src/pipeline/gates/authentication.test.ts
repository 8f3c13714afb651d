import { deny, fail, ok } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { Arrival, Caller, Framed, Fresh } from '../facts.ts';
import type { Ports } from '../ports.ts';
import { authentication, decideAuthentication } from './authentication.ts';

const at = (path: string, headers: Record<string, string>): Arrival & Framed & Fresh =>
  ({
    head: { target: { path }, headers: { get: (name: string) => headers[name] } },
    held: { snapshot: { agents: new Map(), issuers: [], policyDigest: 'sha256:0' } },
  }) as unknown as Arrival & Framed & Fresh;

const ports = {
  clock: { wall: () => 0 },
  agent: 'triage',
  schemes: { inbound: 'https', outbound: 'http' },
  agentCredential: {
    isAsked: true,
    judge: (shown?: string) => (shown === 'bent' ? fail(deny('unauthenticated', 'another agent')) : ok('triage')),
  },
  sessionTokens: { verify: (token: string) => (token === 'good' ? ok({ sessionId: 's1' }) : fail(deny('signature_invalid', 'bent'))) },
  operatorTokens: { verify: async (token: string) => (token === 'good' ? ok({ tokenId: 'j1' }) : fail(deny('token_expired', 'old'))) },
} as unknown as Ports;

const judged = async (path: string, headers: Record<string, string>): Promise<ReturnType<typeof decideAuthentication>> =>
  decideAuthentication(await authentication.gather(at(path, headers), ports));

describe('authentication', () => {
  it.each<[attack: string, code: string, path: string, headers: Record<string, string>]>([
    ['nothing presented', 'unauthenticated', '/tools/orders/x', {}],
    ['an operator’s token where a session is needed', 'unauthenticated', '/tools/orders/x', { authorization: 'Bearer good' }],
    ['a bent session token', 'signature_invalid', '/mcp/orders', { 'sallyport-session': 'bent' }],
    ['a session token where an operator is needed', 'unauthenticated', '/session', { 'sallyport-session': 'good' }],
    ['another scheme', 'unauthenticated', '/session', { authorization: 'Basic Z29vZA==' }],
    ['two tokens in one header', 'unauthenticated', '/session', { authorization: 'Bearer good good' }],
    ['an expired operator token', 'token_expired', '/session', { authorization: 'Bearer old' }],
    ['a user named by a header', 'unauthenticated', '/tools/orders/x', { 'x-user-id': 'alice', 'x-forwarded-user': 'alice' }],
  ])('refuses %s with %s', async (_, code, path, headers) => {
    expect(await judged(path, headers)).toMatchObject({ verdict: 'deny', denial: { code } });
  });

  it('asks first whether it is the agent at all, and names it in the refusal of what came after', async () => {
    const call = (agent: string, session: string): Promise<unknown> =>
      judged('/tools/orders/x', { 'sallyport-agent': agent, 'sallyport-session': session });
    expect(await call('bent', 'good')).toMatchObject({
      verdict: 'deny',
      denial: { detail: 'another agent' },
      proven: { agentId: undefined },
    });
    expect(await call('good', 'bent')).toMatchObject({ verdict: 'deny', proven: { agentId: 'triage' } });
    expect(await call('good', 'good')).toMatchObject({ verdict: 'pass', facts: { agentId: 'triage' } });
  });

  it('no agent is no pass, whatever else was proven', () => {
    const caller = ok({ kind: 'session', claims: {} }) as unknown as Parameters<typeof decideAuthentication>[0]['caller'];
    expect(decideAuthentication({ caller })).toMatchObject({ verdict: 'deny', denial: { code: 'unauthenticated' } });
  });

  it('passes what its verifier proved, and keeps the two kinds apart', async () => {
    const kindOf = async (path: string, headers: Record<string, string>): Promise<Caller['kind'] | undefined> => {
      const judgement = await judged(path, headers);
      return judgement.verdict === 'pass' ? judgement.facts.caller.kind : undefined;
    };
    expect(await kindOf('/tools/orders/x', { 'sallyport-session': 'good' })).toBe('session');
    expect(await kindOf('/session', { authorization: 'bearer good' })).toBe('operator');
  });
});
