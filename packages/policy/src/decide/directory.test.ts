import { formatProblem } from '@sallyport/model';
import type {
  AgentName,
  DirectoryEntry,
  DirectoryReading,
  Instant,
  Principal,
  PrincipalId,
  SessionId,
  TenantId,
  ToolName,
} from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { decide } from './decide.ts';
import { knownPrincipal } from './directory.ts';
import { observe } from './observe.ts';

const ISSUER = 'https://idp.test';
const DIRECTORY = `directory:
  groups: { type: strings, values: [support, finance], max_age: 10m }
  level: { type: integer }
`;
const RULES = `  - { id: find, allow: [pay/find], when: '"support" in principal.attributes.groups' }
  - { id: list, allow: [pay/list] }
  - { id: drop, allow: [pay/drop] }
  - { id: low, deny: [pay/drop], when: 'has(principal.attributes.level) && principal.attributes.level < 3' }
  - { id: trial, allow: [pay/list], shadow: true, when: principal.attributes.level > 1 }
`;

interface Written {
  readonly directory?: string;
  readonly claims?: string;
  readonly more?: string;
  readonly rules?: string;
}

const documents = ({ directory = DIRECTORY, claims = '', more = '', rules = RULES }: Written = {}): string => `apiVersion: sallyport.dev/v1
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
name: pay/find
effect: read
---
kind: Tool
name: pay/list
effect: read
---
kind: Tool
name: pay/drop
effect: write
---
kind: Issuer
issuer: ${ISSUER}
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: { ${claims} } }
${directory}---
${more}kind: Policy
agent: clerk
rules:
${rules}`;

function problemsOf(written: Written): readonly string[] {
  const source = parseDocuments([{ path: 'p.yaml', text: documents(written) }]);
  const built = source.ok ? buildParts(source.value) : source;
  return built.ok ? [] : built.error.filter(({ severity }) => severity === undefined).map(formatProblem);
}

function built(written: Written = {}): BuiltParts {
  const source = parseDocuments([{ path: 'p.yaml', text: documents(written) }]);
  const parts = source.ok ? buildParts(source.value) : source;
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  return parts.value;
}

const NOW = Date.UTC(2026, 10, 20, 9) as Instant;
const BASE: Principal = {
  id: 'alice@acme.test' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: ISSUER,
  roles: [],
  scopes: [],
  attributes: {},
  authenticatedAt: NOW,
};
const args = judge(new TextEncoder().encode('{}'));

function saying(
  attributes: DirectoryEntry['attributes'],
  { ageMs = 0, tenant = 'acme' }: { ageMs?: number; tenant?: string } = {},
): DirectoryReading {
  return {
    ageMs,
    find: ({ id, issuer, tenant: own }) =>
      id === BASE.id && issuer === ISSUER && own === tenant ? { issuer, principal: id, tenant, attributes } : undefined,
  };
}

const NOTHING: DirectoryReading = { ageMs: Number.POSITIVE_INFINITY, find: () => undefined };

function asked(
  { policy }: BuiltParts,
  tool: string,
  { directory, principal = BASE }: { directory: DirectoryReading; principal?: Principal },
): string {
  const schema = policy.shape(tool as ToolName, args.ok ? args.value : fail());
  const pinned = policy.tool(tool as ToolName);
  if (schema?.ok !== true || pinned === undefined) return fail();
  const input = {
    ...knownPrincipal(policy, principal, directory),
    agent: 'clerk' as AgentName,
    tool: pinned,
    args: schema.value.args,
    session: { id: 's' as SessionId, root: 'operator', attempted: [], completed: [], failed: [], denied: [], classes: [] } as never,
    now: NOW,
  };
  const decision = decide(policy, input);
  if (decision.decision === 'allow') return 'allow';
  const passed = observe(policy, input, decision);
  return passed === undefined ? `${decision.code} ${decision.ruleId}: ${decision.detail}` : 'observed';
}

function fail(): never {
  throw new Error('the test is wrong');
}

describe('what the directory says', () => {
  const policy = built();

  test('allows while it says so, and denies at the next decision after it does not', () => {
    expect(asked(policy, 'pay/find', { directory: saying({ groups: ['support'] }) })).toBe('allow');
    expect(asked(policy, 'pay/find', { directory: saying({ groups: ['finance'] }) })).toMatch(/^no_matching_policy find/);
    expect(asked(policy, 'pay/find', { directory: saying({}) })).toMatch(/^no_matching_policy find/);
  });

  test('a claim that sets what the directory says, or a session that was opened with one, sets nothing', () => {
    const principal = { ...BASE, attributes: { groups: ['support'] } };
    expect(asked(policy, 'pay/find', { directory: saying({}), principal })).toMatch(/^no_matching_policy/);
    expect(asked(policy, 'pay/find', { directory: NOTHING, principal })).toMatch(/^no_matching_policy/);
    const other = { ...principal, issuer: 'https://other.test' };
    expect(asked(policy, 'pay/find', { directory: saying({ groups: ['support'] }), principal: other })).toMatch(/^no_matching_policy/);
  });

  test('a directory that sets an undeclared attribute sets nothing', () => {
    const { principal } = knownPrincipal(policy.policy, BASE, saying({ groups: ['support'], admin: true, constructor: 'x' }));
    expect(principal.attributes).toEqual({ groups: ['support'] });
  });

  test.each([
    ['a wrong type', { groups: 'support' }],
    ['a value that was not declared', { groups: ['support', 'root'] }],
    ['a number where text is declared', { groups: [1] as never }],
    ['another attribute of a wrong type', { groups: ['support'], level: 'high' }],
  ])('a directory that says %s of a principal gets every call of it refused', (_, attributes) => {
    expect(asked(policy, 'pay/find', { directory: saying(attributes) })).toMatch(/is not what was declared$/);
    expect(asked(policy, 'pay/list', { directory: saying(attributes) })).toMatch(/is not what was declared$/);
  });

  test('another tenant’s entry of the same name is not this principal’s', () => {
    expect(asked(policy, 'pay/find', { directory: saying({ groups: ['support'] }, { tenant: 'other' }) })).toMatch(
      /^no_matching_policy find/,
    );
  });

  test('a directory older than its bound is not known: what may read it is refused, the rest goes on', () => {
    const groups = { groups: ['support'], level: 5 };
    expect(asked(policy, 'pay/find', { directory: saying(groups, { ageMs: 600_000 }) })).toBe('allow');
    expect(asked(policy, 'pay/find', { directory: saying(groups, { ageMs: 600_001 }) })).toMatch(
      /attribute groups is the directory's to say/,
    );
    expect(asked(policy, 'pay/list', { directory: saying(groups, { ageMs: 1e9 }) })).toBe('allow');
    expect(asked(policy, 'pay/find', { directory: saying(groups, { ageMs: Number.NaN }) })).toMatch(/attribute groups/);
  });

  test('a withheld directory does not lift a denial that asks whether an attribute is there', () => {
    expect(asked(policy, 'pay/drop', { directory: saying({ level: 1 }) })).toMatch(/denied by rule low/);
    expect(asked(policy, 'pay/drop', { directory: saying({}) })).toBe('allow');
    expect(asked(policy, 'pay/drop', { directory: NOTHING })).toMatch(/attribute level is the directory's to say/);
  });

  test('an agent that is observed is not let past a directory that nobody knows', () => {
    const observed = built({ more: 'kind: Observe\nagents: [clerk]\nfrom: 2026-11-01T00:00:00Z\nuntil: 2026-11-28T00:00:00Z\n---\n' });
    expect(asked(observed, 'pay/find', { directory: saying({}) })).toBe('observed');
    expect(asked(observed, 'pay/find', { directory: NOTHING })).toMatch(/attribute groups is the directory's to say/);
  });

  test('a policy that leaves nothing to it hands the principal on as it is', () => {
    const plain = built({ directory: '', rules: '  - { id: list, allow: [pay/list] }\n' });
    expect(knownPrincipal(plain.policy, BASE, NOTHING).principal).toBe(BASE);
    expect(plain.policy.features).not.toContain('issuer.directory');
    expect(policy.policy.features).toContain('issuer.directory');
  });

  test('what was declared stands in the identity part, and reads back as it was', () => {
    const read = readParts(policy.parts);
    expect(read.ok && read.value.issuers[0]?.directory).toEqual({
      groups: { type: 'strings', values: ['finance', 'support'], ageMsMax: 600_000 },
      level: { type: 'integer', ageMsMax: 3_600_000 },
    });
  });
});

describe('a builder refuses', () => {
  const second = (rest: string): string => `kind: Issuer
issuer: https://second.test
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
${rest}
---
`;
  const method = `kind: CallerMethod
name: desk
slack: { secret: { file: slack/secret } }
principals: [{ subject: T1/U1, id: bob, tenant: acme, attributes: { groups: [support] } }]
---
`;
  test.each<[string, Written, RegExp]>([
    [
      'an attribute of both a claim and the directory',
      { claims: 'groups: groups' },
      /`groups` is said both by a claim and by the directory/,
    ],
    [
      'the claim of another issuer for it',
      { more: second('claims: { attributes: { groups: { claim: g, type: strings } } }') },
      /said both by/,
    ],
    ['other values with another issuer', { more: second('directory: { groups: { type: strings } }') }, /other `values` of `groups`/],
    ['another type with another issuer', { more: second('directory: { level: { type: string } }') }, /maps `level` as integer/],
    ['a caller method that gives it', { more: method }, /attribute `groups` is the directory's to say/],
    ['no type', { directory: 'directory: { groups: { max_age: 1h } }\n' }, /lacks `type`/],
    ['values of numbers', { directory: 'directory: { groups: { type: integer, values: ["1"] } }\n' }, /`values` are of text/],
    ['no attribute at all', { directory: 'directory: {}\n' }, /names no attribute/],
    ['an age of more than a day', { directory: 'directory: { groups: { type: strings, max_age: 2d } }\n' }, /longer than 1d/],
    ['a name of a prototype', { directory: 'directory: { __proto__: { type: string } }\n' }, /is not a word/],
    ['a denial that reads it unguarded', { rules: '  - { id: a, deny: [pay/find], when: principal.attributes.level > 2 }\n' }, /level/],
  ])('%s', (_, written, message) => {
    expect(problemsOf(written).join('\n')).toMatch(message);
  });
});
