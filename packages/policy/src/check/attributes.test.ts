import { formatProblem } from '@sallyport/model';
import type { AgentName, AttributeValue, Instant, Principal, PrincipalId, SessionId, TenantId, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { decide } from '../decide/decide.ts';
import { runTests } from '../suites/run-tests.ts';

const TYPED = `
  manager: { claim: "https://company.com/manager", type: string }
  center: { claim: cost_center, type: string }
  projects: { claim: projects, type: strings }
  limit: { claim: refund_limit, type: decimal }
  level: { claim: level, type: integer }
  free: free`;

const issuer = (name: string, attributes: string): string => `kind: Issuer
issuer: https://${name}.org
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: {${attributes.trim().replaceAll(/\n\s*/g, ', ')}} }
---
`;

const documents = (
  rules: string,
  { attributes = TYPED, more = '' }: { attributes?: string; more?: string } = {},
): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: clerk
owner: team
uses: [pay]
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: pay/notify
effect: side_effect
arguments:
  required: [to]
  properties: { to: { type: string }, amount: { type: number, format: decimal }, project: { type: string } }
---
${issuer('idp', attributes)}kind: Environment
values: { centers: { strings: [eng-team-001, sales-004] } }
---
${more}kind: Policy
agent: clerk
rules:
${rules}`;

function problemsOf(text: string): readonly string[] {
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  return parsed.ok ? [] : parsed.error.filter(({ severity }) => severity === undefined).map(formatProblem);
}

function build(text: string): BuiltParts {
  const source = parseDocuments([{ path: 'p.yaml', text }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value;
}

/** `allow`, or the code, of a call by a principal with these attributes. */
function answer(rules: string, attributes: Readonly<Record<string, AttributeValue>>, args = '{"to":"bob@company.com"}'): string {
  const { policy } = build(documents(rules));
  const name = 'pay/notify' as ToolName;
  const judged = judge(new TextEncoder().encode(args));
  const typed = judged.ok ? policy.argumentSchema(name)?.validate(judged.value) : undefined;
  const tool = policy.tool(name);
  if (typed?.ok !== true || tool === undefined) throw new Error(`no such call: ${args}`);
  const principal: Principal = {
    id: 'alice@company.com' as PrincipalId,
    kind: 'person',
    tenant: 'acme' as TenantId,
    issuer: 'https://idp.org',
    roles: [],
    scopes: [],
    attributes,
    authenticatedAt: 0 as Instant,
  };
  const session = { id: 's' as SessionId, attempted: [], completed: [], failed: [], denied: [], hasCompleted: () => false };
  const decision = decide(policy, { principal, agent: 'clerk' as AgentName, tool, args: typed.value, session, now: 0 as Instant });
  return decision.decision === 'allow' ? 'allow' : decision.code;
}

const bind = (condition: string): string => `  - { id: a, allow: [pay/notify], bind: ['${condition}'] }\n`;
const MISMATCH = 'resource_binding_mismatch';

describe('a typed attribute', () => {
  test.each<[string, string, Readonly<Record<string, AttributeValue>>, string, string?]>([
    ['the same', 'args.to == principal.attributes.manager', { manager: 'bob@company.com' }, 'allow'],
    ['another', 'args.to == principal.attributes.manager', { manager: 'carol@company.com' }, MISMATCH],
    ['in another case', 'args.to == principal.attributes.manager', { manager: 'Bob@company.com' }, MISMATCH],
    ['absent', 'args.to == principal.attributes.manager', {}, MISMATCH],
    ['absent, and the denial of it', '!(args.to == principal.attributes.manager)', {}, MISMATCH],
    ['on the list', 'principal.attributes.center in env.centers', { center: 'sales-004' }, 'allow'],
    ['off the list', 'principal.attributes.center in env.centers', { center: 'ops-009' }, MISMATCH],
    ['the beginning of one on the list', 'principal.attributes.center in env.centers', { center: 'eng-team-0' }, MISMATCH],
    ['absent, and a list', 'principal.attributes.center in env.centers', {}, MISMATCH],
    ['a list that holds it', 'args.project in principal.attributes.projects', { projects: ['x', 'y'] }, 'allow', 'y'],
    ['a list that does not', 'args.project in principal.attributes.projects', { projects: ['x', 'yy'] }, MISMATCH, 'y'],
    ['an empty list', 'args.project in principal.attributes.projects', { projects: [] }, MISMATCH, 'y'],
    ['a decimal that is whole, in a list', 'principal.attributes.limit in [decimal("500"), decimal("0.5")]', { limit: 500 }, 'allow'],
    ['a decimal that is not', 'principal.attributes.limit in [decimal("500"), decimal("0.5")]', { limit: 0.5 }, 'allow'],
    ['a whole number', 'principal.attributes.level in [2, 3] && principal.attributes.level + 1 > 3', { level: 3 }, 'allow'],
  ])('%s', (_, condition, attributes, expected, project) => {
    const args = JSON.stringify({ to: 'bob@company.com', ...(project === undefined ? {} : { project }) });
    expect(answer(bind(condition), attributes, args)).toBe(expected);
  });

  test('of a session older than the declaration denies everything: a denial would no longer be what was checked', () => {
    const rules =
      '  - { id: a, allow: [pay/notify] }\n  - { id: d, deny: [pay/notify], when: "has(principal.attributes.level) && principal.attributes.level in [7]" }\n';
    expect(answer(rules, { level: 3 })).toBe('allow');
    expect(answer(rules, { level: 7 })).toBe('no_matching_policy');
    expect(answer(rules, { level: '7' })).toBe('no_matching_policy');
    expect(answer(rules, { level: 3.5 })).toBe('no_matching_policy');
    expect(answer(rules, { free: ['whatever'] })).toBe('allow');
  });
});

describe('documents', () => {
  const OK = '  - { id: a, allow: [pay/notify] }\n';

  test.each<[string, string, string]>([
    [
      'an unknown type',
      'a: { claim: a, type: text }',
      'p.yaml:23:45: claims.attributes.a.type: `text` is not an attribute type (one of string, integer, decimal, boolean, strings)',
    ],
    ['a type without a claim', 'a: { type: string }', 'p.yaml:23:27: claims.attributes.a: an attribute lacks `claim`'],
    [
      'an unknown member',
      'a: { claim: a, tpye: string }',
      'p.yaml:23:39: claims.attributes.a.tpye: `tpye` is not a field of an attribute (did you mean `type`)',
    ],
    ['a list of claims', 'a: [manager]', 'p.yaml:23:27: claims.attributes.a: an attribute must be a map (write { claim: … })'],
  ])('refuse %s', (_, attributes, problem) => {
    expect(problemsOf(documents(OK, { attributes }))).toEqual([problem]);
  });

  test('refuse an attribute that two issuers map to two types', () => {
    const more = issuer(
      'partner',
      'manager: { claim: boss, type: strings }\n  center: cost_center\n  level: { claim: level, type: integer }',
    );
    expect(problemsOf(documents(OK, { more })).map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'claims.attributes.manager: another issuer maps `manager` as string (give both one `type`, or the attribute another name)',
      'claims.attributes.center: another issuer maps `center` as string (give both one `type`, or the attribute another name)',
    ]);
  });

  test('refuse a condition on an attribute that nobody declares, and one that the type does not fit', () => {
    expect(problemsOf(documents(bind('args.to == principal.attributes.boss'))).join()).toContain('no attribute `boss`');
    expect(problemsOf(documents(bind('args.to == principal.attributes.level'))).join()).toContain('cannot apply `==` to string and int');
  });

  test('refuse a test that gives what no token could bring', () => {
    const test = (attributes: string): string =>
      `---\nkind: Test\ngiven: { attributes: { ${attributes} } }\ncases: [{ call: pay/notify, args: { to: x }, expect: allow }]\n`;
    const problems = (attributes: string): readonly string[] =>
      problemsOf(documents(OK) + test(attributes)).map((line) => line.replace(/^\S+ /, ''));
    expect(problems('managr: bob')).toEqual(['given.attributes.managr: no attribute `managr` (did you mean `manager`)']);
    expect(problems('level: "3"')).toEqual(['given.attributes.level: attribute `level` is of type integer']);
    expect(problems('projects: x')).toEqual(['given.attributes.projects: attribute `projects` is of type strings']);
    expect(problems('level: 3, projects: [x], manager: bob, limit: 0.5, free: [a]')).toEqual([]);
  });

  test('travel in the identity part as they were written, under a feature of their own', () => {
    const { parts, features, policy } = build(documents(OK));
    const { issuers } = JSON.parse(new TextDecoder().decode(parts.identity)) as { issuers: { claims: { attributes: unknown } }[] };
    expect(issuers[0]?.claims.attributes).toMatchObject({ center: { claim: 'cost_center', type: 'string' }, free: 'free' });
    expect(features).toContain('attribute.type');
    expect(build(documents(OK, { attributes: 'free: free' })).features).not.toContain('attribute.type');
    expect(policy.parts.issuers[0]?.claims.attributes['projects']).toEqual({ claim: 'projects', type: 'strings' });
  });

  test('are tried by their own tests', () => {
    const { policy } = build(`${documents(bind('args.to == principal.attributes.manager'))}---
kind: Test
given: { attributes: { manager: bob@company.com } }
cases:
  - { call: pay/notify, args: { to: bob@company.com }, expect: allow }
  - { call: pay/notify, args: { to: carol@company.com }, expect: resource_binding_mismatch }
---
kind: Test
cases: [{ call: pay/notify, args: { to: bob@company.com }, expect: resource_binding_mismatch }]
`);
    expect(runTests(policy)).toMatchObject({ passed: 3, failed: 0 });
  });
});
