import type { AttributeType, Issuer, JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { caseFromClaims, principalFromClaims, purposeFromClaims } from './principal.ts';

const ISSUER: Issuer = {
  issuer: 'https://idp.test',
  audience: 'sallyport',
  keys: [],
  tokenLifetimeMsMax: 3_600_000,
  claims: {
    subject: 'email',
    tenant: 'tenant_id',
    roles: 'roles',
    scopes: 'scope',
    case: 'ticket_id',
    attributes: {
      manager: { claim: 'https://company.com/manager' },
      level: { claim: 'level' },
      groups: { claim: 'groups' },
      is_internal: { claim: 'int' },
    },
  },
};
const CLAIMS: JsonObject = { email: 'alice@company.com', tenant_id: 'acme', roles: ['support-rep'], scope: 'a:read b:write', iat: 1000 };

const problemPaths = (claims: JsonObject): string[] => {
  const read = principalFromClaims(ISSUER, claims);
  return read.ok ? [] : read.error.map(({ path }) => path);
};

describe('a principal', () => {
  it('is what the issuer’s mapping admits, and nothing else of the token', () => {
    const claims = { ...CLAIMS, level: 3, groups: ['x'], int: true, 'https://company.com/manager': 'bob', is_admin: true, sub: 'eve' };
    expect(principalFromClaims(ISSUER, claims)).toEqual({
      ok: true,
      value: {
        id: 'alice@company.com',
        kind: 'person',
        tenant: 'acme',
        issuer: 'https://idp.test',
        roles: ['support-rep'],
        scopes: ['a:read', 'b:write'],
        attributes: { manager: 'bob', level: 3, groups: ['x'], is_internal: true },
        authenticatedAt: 1_000_000,
      },
    });
  });

  it('was authenticated when the person was there, not when a refresh was', () => {
    expect(principalFromClaims(ISSUER, { ...CLAIMS, auth_time: 900 })).toMatchObject({ value: { authenticatedAt: 900_000 } });
    expect(problemPaths({ ...CLAIMS, auth_time: 'yesterday' })).toEqual(['auth_time']);
  });

  it('has no roles and scopes where the token has none, and each once', () => {
    const { roles: _, scope: __, ...rest } = CLAIMS;
    expect(principalFromClaims(ISSUER, rest)).toMatchObject({ value: { roles: [], scopes: [] } });
    expect(principalFromClaims(ISSUER, { ...CLAIMS, roles: 'a  b a' })).toMatchObject({ value: { roles: ['a', 'b'] } });
  });

  it.each<[string, JsonObject, string[]]>([
    ['no subject and no tenant', { iat: 1 }, ['email', 'tenant_id']],
    ['a subject that is a number', { ...CLAIMS, email: 7 }, ['email']],
    ['a subject that is a list', { ...CLAIMS, email: ['alice'] }, ['email']],
    ['an empty subject', { ...CLAIMS, email: '' }, ['email']],
    ['the record’s word for unknown as a subject', { ...CLAIMS, email: '-' }, ['email']],
    ['a subject that begins with white space', { ...CLAIMS, email: ' alice' }, ['email']],
    ['a line feed in the subject', { ...CLAIMS, email: 'alice\nbob' }, ['email']],
    ['a bidi override in the subject', { ...CLAIMS, email: 'alice\u202E' }, ['email']],
    ['a zero-width joiner in the subject', { ...CLAIMS, email: 'al\u200Dice' }, ['email']],
    ['a subject of 257 characters', { ...CLAIMS, email: 'a'.repeat(257) }, ['email']],
    ['a tenant that is an object', { ...CLAIMS, tenant_id: {} }, ['tenant_id']],
    ['roles that are an object', { ...CLAIMS, roles: { admin: true } }, ['roles']],
    ['a role that is a list', { ...CLAIMS, roles: [['admin']] }, ['roles']],
    ['an empty role', { ...CLAIMS, roles: [''] }, ['roles']],
    ['too many scopes', { ...CLAIMS, scope: Array.from({ length: 257 }, (_, i) => `s${i}`) }, ['scope']],
    ['null for scopes', { ...CLAIMS, scope: null }, ['scope']],
    ['an attribute that is an object', { ...CLAIMS, level: { of: 3 } }, ['level']],
  ])('is refused with %s', (_, claims, paths) => {
    expect(problemPaths(claims)).toEqual(paths);
  });

  it('is not found on the prototype, whatever a mapping is called', () => {
    const mapped = { ...ISSUER, claims: { ...ISSUER.claims, subject: 'constructor', roles: 'toString' } };
    expect(principalFromClaims(mapped, CLAIMS).ok).toBe(false);
    expect(principalFromClaims(ISSUER, Object.create(CLAIMS) as JsonObject).ok).toBe(false);
    const attributes = Object.fromEntries([['__proto__', { claim: 'email' }]]);
    const read = principalFromClaims({ ...ISSUER, claims: { ...ISSUER.claims, attributes } }, CLAIMS);
    expect(read.ok && Object.getPrototypeOf(read.value.attributes)).toBe(Object.prototype);
  });
});

describe('an attribute with a declared type', () => {
  const read = (type: AttributeType, value: unknown): unknown => {
    const attributes = { it: { claim: 'claim', type } };
    const claims = { ...CLAIMS, ...(value === undefined ? {} : { claim: value }) } as JsonObject;
    const result = principalFromClaims({ ...ISSUER, claims: { ...ISSUER.claims, attributes } }, claims);
    return result.ok ? result.value.attributes : result.error.map(({ path, message }) => `${path} ${message}`);
  };

  it.each<[AttributeType, unknown]>([
    ['string', 'eng-team-001'],
    ['integer', 3],
    ['decimal', 127.5],
    ['decimal', 500],
    ['boolean', false],
    ['strings', ['a', 'b']],
    ['strings', []],
  ])('of %s is %j', (type, value) => {
    expect(read(type, value)).toEqual({ it: value });
  });

  it.each<[string, AttributeType, unknown, string]>([
    ['a list where one text belongs: two managers', 'string', ['bob@company.com', 'eve@company.com'], 'a printable text'],
    ['one text where a list belongs', 'strings', 'eng-team-001', 'a list of'],
    ['a number as text', 'decimal', '500', 'a number without exponent'],
    ['a fraction', 'integer', 1.5, 'a whole number'],
    ['a whole number that a double bends', 'integer', 2 ** 53, 'a whole number'],
    ['a number with an exponent', 'decimal', 1e21, 'a number without exponent'],
    ['the text of true', 'boolean', 'true', 'true or false'],
    ['null', 'string', null, 'a printable text'],
    ['a bidi override', 'string', 'bob\u202E', 'a printable text'],
    ['257 texts', 'strings', Array.from({ length: 257 }, () => 'x'), 'a list of'],
  ])('refuses the token with %s', (_, type, value, words) => {
    expect(read(type, value)).toEqual([expect.stringContaining(`claim is not ${words}`)]);
  });

  it('is absent where the claim is', () => {
    expect(read('string', undefined)).toEqual({});
  });
});

describe('the case of a token', () => {
  it('is a text, or there is none', () => {
    expect(caseFromClaims(ISSUER, { ...CLAIMS, ticket_id: 'T-7' })).toEqual({ ok: true, value: 'T-7' });
    expect(caseFromClaims(ISSUER, CLAIMS)).toEqual({ ok: true, value: null });
    expect(caseFromClaims(ISSUER, { ...CLAIMS, ticket_id: 7 }).ok).toBe(false);
    expect(caseFromClaims(ISSUER, { ...CLAIMS, ticket_id: null }).ok).toBe(false);
  });
});

describe('what a token says of its session and of how the person signed in', () => {
  const names = { ...ISSUER, claims: { ...ISSUER.claims, task: 'task', step: 'tool_step' } };

  it('is the task and the one step that it was issued for, where the issuer names the claims', () => {
    expect(purposeFromClaims(names, { ...CLAIMS, task: 'expenses', tool_step: 'orders/get' })).toEqual({
      ok: true,
      value: { task: 'expenses', step: 'orders/get' },
    });
    expect(purposeFromClaims(names, CLAIMS)).toEqual({ ok: true, value: {} });
    expect(purposeFromClaims(ISSUER, { ...CLAIMS, task: 'expenses' })).toEqual({ ok: true, value: {} });
  });

  it.each([7, null, '', '-', ['a'], { a: 1 }, 'a\nb', 'x'.repeat(300)])(
    'a step of %j is refused, not taken for none: it would widen what the token may do',
    (step) => {
      expect(purposeFromClaims(names, { ...CLAIMS, tool_step: step }).ok).toBe(false);
    },
  );

  it('is how strongly and by which methods; what does not fit is refused', () => {
    expect(principalFromClaims(ISSUER, { ...CLAIMS, acr: 'phr', amr: ['pwd', 'mfa'] })).toMatchObject({
      value: { acr: 'phr', amr: ['pwd', 'mfa'] },
    });
    for (const bent of [{ acr: 7 }, { amr: { mfa: true } }, { amr: [1] }])
      expect(principalFromClaims(ISSUER, { ...CLAIMS, ...bent }).ok).toBe(false);
  });
});
