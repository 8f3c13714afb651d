import { buildParts, parseDocuments } from '@sallyport/policy';
import type { BuiltParts } from '@sallyport/policy';
import { operatorTokens } from '@sallyport/credentials';
import { formatProblem } from '@sallyport/model';
import type { AgentName, Digest } from '@sallyport/model';
import { systemClock, systemRandom } from '@sallyport/runtime';
import { describe, expect, it } from 'vitest';
import { makeDevKey, operatorOf, unknownRoles } from './operator.ts';
import type { DevKey, OperatorWish } from './operator.ts';

const KEY_OF_PRODUCTION =
  '{ kid: p, kty: EC, crv: P-256, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM }';
const CLAIMS =
  '{ subject: login, tenant: org, roles: groups, scopes: scp, case: ticket, attributes: { limit: { claim: refund_limit, type: decimal }, region: reg } }';

function built(key: DevKey, { issuer = true, claims = CLAIMS, asks = 'claims: ' } = {}): BuiltParts {
  const text = `apiVersion: sallyport.dev/v1
kind: Agent
name: a
owner: team
uses: [s]
---
kind: ToolServer
name: s
mcp: { url: "https://s.internal" }
network: private
---
kind: Tool
name: s/t
effect: read
---
kind: Policy
agent: a
rules:
  - { id: x, allow: [s/t], for: { roles: [member, lead] }, scopes: [s:read] }
  - { id: y, deny: [s/t], for: { roles: [contractor] } }
  - { id: z, deny: [s/t], when: '"auditor" in principal.roles' }
${issuer ? `---\nkind: Issuer\nissuer: https://idp.company.test\naudience: sallyport\nkeys: [${KEY_OF_PRODUCTION}]\nmax_lifetime: 2m\n${asks}${claims}\n` : ''}`;
  const source = parseDocuments([{ path: 'p.yaml', text }]);
  const parts = source.ok ? buildParts(key.amend(source.value)) : source;
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  return parts.value;
}

const WISH: OperatorWish & { agent: AgentName } = {
  agent: 'a' as AgentName,
  as: 'alice',
  role: [],
  scope: [],
  tenant: 'acme',
  case: undefined,
  task: undefined,
  acr: undefined,
  amr: [],
  attribute: [],
  origin: [],
};
const now = systemClock().wall();

describe('the operator of dev', () => {
  it('is proven as the policy’s own issuer would prove it: its claims, its audience, its longest life', async () => {
    const key = makeDevKey();
    const parts = built(key);
    const operator = operatorOf(
      parts,
      { ...WISH, case: 'T-7', attribute: ['limit=50.5', 'region=12'], role: ['lead'], scope: ['s:write'] },
      { key, random: systemRandom },
    );
    if (!operator.ok) throw new Error(operator.error.map(formatProblem).join());
    const { issuers } = parts.policy.parts;
    const verified = await operatorTokens().verify(operator.value.token(now), { issuers, bundle: 'sha256:0' as Digest, now });
    expect(verified).toMatchObject({
      ok: true,
      value: {
        principal: {
          id: 'alice',
          tenant: 'acme',
          issuer: 'https://idp.company.test',
          roles: ['lead'],
          scopes: ['s:write'],
          attributes: { limit: 50.5, region: 12 },
        },
        case: 'T-7',
      },
    });
  });

  it('has, unless told, what the allow rules are for, and nothing that only a denial names', () => {
    const key = makeDevKey();
    const operator = operatorOf(built(key), WISH, { key, random: systemRandom });
    expect(operator).toMatchObject({ ok: true, value: { roles: ['lead', 'member'], scopes: ['s:read'] } });
  });

  it('is nobody to the policy without the key of this process, nor with that of another', async () => {
    const [key, other] = [makeDevKey(), makeDevKey()];
    const parts = built(other);
    const operator = operatorOf(parts, WISH, { key, random: systemRandom });
    if (!operator.ok) throw new Error('no operator');
    const verified = await operatorTokens().verify(operator.value.token(now), {
      issuers: parts.policy.parts.issuers,
      bundle: 'sha256:0' as Digest,
      now,
    });
    expect(verified.ok).toBe(false);
  });

  it('adds a key and takes none away: tokens of the real provider go on being good', () => {
    const key = makeDevKey();
    expect(built(key).policy.parts.issuers[0]?.keys.map(({ kid }) => kid)).toEqual(['p', key.issuer.keyId]);
  });

  it.each([
    ['an attribute that is not mapped', ['limt=3'], 'did you mean limit?'],
    ['an attribute like no other', ['colour=red'], 'it maps limit, region'],
    ['no attribute at all', ['limit'], 'such as --attribute cost_center=4711'],
    ['a name that every object has', ['constructor=x'], 'it maps limit, region'],
  ])('refuses %s', (_, attribute, remedy) => {
    const key = makeDevKey();
    expect(operatorOf(built(key), { ...WISH, attribute }, { key, random: systemRandom })).toMatchObject({
      ok: false,
      error: [{ path: '--attribute', remedy }],
    });
  });

  it('has signed in as strongly as is said, for the task that is said', async () => {
    const key = makeDevKey();
    const parts = built(key, { claims: CLAIMS.replace('case: ticket', 'case: ticket, task: purpose') });
    const operator = operatorOf(parts, { ...WISH, task: 'refunds', acr: 'gold', amr: ['mfa', 'hwk'] }, { key, random: systemRandom });
    if (!operator.ok) throw new Error(operator.error.map(formatProblem).join());
    const { issuers } = parts.policy.parts;
    expect(await operatorTokens().verify(operator.value.token(now), { issuers, bundle: 'sha256:0' as Digest, now })).toMatchObject({
      ok: true,
      value: { principal: { acr: 'gold', amr: ['mfa', 'hwk'] }, purpose: { task: 'refunds' } },
    });
  });

  it('is for the environment and of the version that the issuer asks for, and says of the session what is typed', async () => {
    const key = makeDevKey();
    const asks =
      'environment: production\nmin_scope_version: 4\nstrict_claims: true\nrequired_claims: [customer_id, workflow_id]\nclaims: ';
    const more = ', customer_id: customer, run_id: { claim: trace, member: run }, workflow_id: { claim: trace, member: flow } }';
    const parts = built(key, { claims: CLAIMS.replace(/ \}$/, more), asks });
    const origin = ['customer_id=C-17', 'run_id=R-9', 'workflow_id=refunds'];
    const operator = operatorOf(parts, { ...WISH, origin }, { key, random: systemRandom });
    if (!operator.ok) throw new Error(operator.error.map(formatProblem).join());
    const { issuers } = parts.policy.parts;
    expect(await operatorTokens().verify(operator.value.token(now), { issuers, bundle: 'sha256:0' as Digest, now })).toMatchObject({
      ok: true,
      value: { origin: { environment: 'production', scopeVersion: '4', customerId: 'C-17', runId: 'R-9', workflowId: 'refunds' } },
    });
    for (const typed of ['purpose=x', 'customer_id', 'customer_id=', 'constructor=x'])
      expect(operatorOf(parts, { ...WISH, origin: [typed] }, { key, random: systemRandom })).toMatchObject({
        ok: false,
        error: [{ path: '--origin', remedy: 'it maps customer_id, run_id, workflow_id' }],
      });
  });

  it('is warned of a role that nothing in the policy knows, and of no other', () => {
    const warned = (...role: readonly string[]): readonly string[] =>
      unknownRoles(built(makeDevKey()), { agent: WISH.agent, role }).map(formatProblem);
    expect(warned('member', 'contractor', 'auditor')).toEqual([]);
    expect(warned('membr', 'visitor')).toEqual([
      '--role: warning: no rule of a is for role `membr` (did you mean member?)',
      '--role: warning: no rule of a is for role `visitor` (its rules are for contractor, lead, member)',
    ]);
  });

  it('cannot be where the policy knows no issuer', () => {
    const key = makeDevKey();
    expect(operatorOf(built(key, { issuer: false }), WISH, { key, random: systemRandom })).toMatchObject({
      ok: false,
      error: [{ path: 'Issuer' }],
    });
  });
});
