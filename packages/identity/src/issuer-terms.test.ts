import type { Issuer, JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { judgeIssuerTerms } from './issuer-terms.ts';
import { principalFromClaims } from './principal.ts';

const issuer = (over: Partial<Issuer>): Issuer => ({
  issuer: 'https://idp.test',
  audience: 'sallyport',
  keys: [],
  tokenLifetimeMsMax: 900_000,
  claims: { subject: 'sub', tenant: 'tid', roles: 'groups', scopes: 'scope', case: 'case', attributes: {} },
  ...over,
});

describe('the environment of a token', () => {
  const production = issuer({ environment: { claim: 'env', is: 'production' } });
  it.each<[string, JsonObject, string | undefined]>([
    ['ours', { env: 'production' }, undefined],
    ['another', { env: 'staging' }, 'unauthenticated'],
    ['ours in another case', { env: 'Production' }, 'unauthenticated'],
    ['a list with ours', { env: ['production'] }, 'unauthenticated'],
    ['none', {}, 'unauthenticated'],
    ['ours on the prototype', Object.create({ env: 'production' }) as JsonObject, 'unauthenticated'],
  ])('%s', (_, claims, code) => {
    expect(judgeIssuerTerms(production, claims)?.code).toBe(code);
  });

  it('is not asked where the issuer names none', () => {
    expect(judgeIssuerTerms(issuer({}), { env: 'staging' })).toBeUndefined();
  });
});

describe('the version of a token’s scopes', () => {
  const third = issuer({ scopeVersion: { claim: 'scope_version', min: 3 } });
  it.each<[string, JsonObject, string | undefined]>([
    ['in force', { scope_version: 3 }, undefined],
    ['newer', { scope_version: 4 }, undefined],
    ['withdrawn', { scope_version: 2 }, 'token_outdated'],
    ['not told', {}, 'token_outdated'],
    ['text', { scope_version: '3' }, 'unauthenticated'],
    ['no whole number', { scope_version: 3.5 }, 'unauthenticated'],
    ['beyond exact numbers', { scope_version: 2 ** 60 }, 'unauthenticated'],
  ])('%s', (_, claims, code) => {
    expect(judgeIssuerTerms(third, claims)?.code).toBe(code);
  });
});

describe('groups that are mapped', () => {
  const mapped = issuer({ groups: { 'Support Team': 'support-rep', '9f8e-guid': 'support-rep', Leads: 'lead' } });
  const rolesOf = (groups: unknown): readonly string[] | undefined => {
    const read = principalFromClaims(mapped, { sub: 'a', tid: 't', iat: 1, groups } as JsonObject);
    return read.ok ? read.value.roles : undefined;
  };
  it.each<[string, unknown, readonly string[] | undefined]>([
    ['become roles, each once', ['Support Team', '9f8e-guid', 'Leads'], ['support-rep', 'lead']],
    ['that nobody maps are no roles, though they are called like one', ['support-rep', 'admin'], []],
    ['of the prototype are no roles', ['constructor', '__proto__', 'toString'], []],
    ['left out because there were too many give no role', undefined, []],
    ['that are no texts refuse the token', [{ id: 'Leads' }], undefined],
  ])('%s', (_, groups, roles) => {
    expect(rolesOf(groups)).toEqual(roles);
  });
});
