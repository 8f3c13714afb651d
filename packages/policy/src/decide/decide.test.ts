import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { AgentName, Instant, Principal, PrincipalId, SessionId, TenantId, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { SessionFacts } from '../session.ts';
import { decide } from './decide.ts';
import type { PolicyDecision } from './decide.ts';

const CATALOG = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [crm, pay]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
network: private
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: crm/get
effect: read
arguments: { required: [account], properties: { account: { type: string, pattern: "^[A-Z]$" }, limit: { type: integer } } }
---
kind: Tool
name: crm/verify
effect: read
---
kind: Tool
name: pay/refund
effect: write
classes: [money]
arguments:
  required: [order, amount]
  properties:
    order: { type: string }
    amount: { type: number, format: decimal, minimum: 0 }
    count: { type: integer }
    currency: { enum: [EUR, USD] }
    note: { type: string }
---
kind: Issuer
issuer: https://idp.org
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: { limit: limit, manager: manager } }
---
kind: Environment
values: { cap: { decimal: "1000" }, home: { string: acme } }
---
kind: Policy
agent: triage
rules:
`;

function policyOf(rules: string): CompiledPolicy {
  const source = parseDocuments([{ path: 'p.yaml', text: CATALOG + rules }]);
  if (!source.ok) throw new Error(source.error.map(formatProblem).join('\n'));
  const built = buildParts(source.value);
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value.policy;
}

const ALICE: Principal = {
  id: 'alice@acme.com' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: 'https://idp.org',
  roles: ['clerk', 'employee'],
  scopes: ['pay:write'],
  attributes: { limit: 500, manager: 'dana@acme.com' },
  authenticatedAt: 0 as Instant,
};

interface Given {
  readonly tool?: string;
  readonly args?: string;
  readonly principal?: Partial<Principal>;
  readonly completed?: readonly string[];
  readonly case?: string;
}

function call(policy: CompiledPolicy, given: Given = {}): PolicyDecision {
  const name = (given.tool ?? 'pay/refund') as ToolName;
  const tool = policy.tool(name);
  const judged = judge(new TextEncoder().encode(given.args ?? '{"order":"O-1","amount":20}'));
  const validated = judged.ok ? policy.argumentSchema(name)?.validate(judged.value) : undefined;
  if (tool === undefined || validated?.ok !== true) throw new Error(`no such call: ${JSON.stringify(validated)}`);
  const completed = (given.completed ?? []) as ToolName[];
  const session: SessionFacts = {
    id: 's-1' as SessionId,
    ...(given.case === undefined ? {} : { case: given.case }),
    attempted: completed,
    completed,
    failed: [],
    denied: [],
    hasCompleted: (wanted) => completed.includes(wanted),
  };
  return decide(policy, {
    principal: { ...ALICE, ...given.principal },
    agent: 'triage' as AgentName,
    tool,
    args: validated.value,
    session,
    now: 0 as Instant,
    isolation: 'enforced',
  });
}

/** `allow` or the code, and the rule that answered. */
const answer = (decision: PolicyDecision): string => `${decision.decision === 'allow' ? 'allow' : decision.code} ${decision.ruleId}`;

describe('default deny', () => {
  test.each([
    ['no rule is about the tool', '  - { id: a, allow: [crm/get] }\n', {}],
    ['the rule is for another role', '  - { id: a, allow: [pay/refund], for: { roles: [lead, admin] } }\n', {}],
    ['the rule is for another tenant', '  - { id: a, allow: [pay/refund], for: { tenants: [other] } }\n', {}],
    ['the rule is for another principal', '  - { id: a, allow: [pay/refund], for: { principals: [bob@acme.com] } }\n', {}],
    [
      'one of three lists does not hold',
      '  - { id: a, allow: [pay/refund], for: { roles: [clerk], tenants: [acme], principals: [bob@acme.com] } }\n',
      {},
    ],
    ['only requirements are about the tool', '  - { id: a, require: [pay/refund], scopes: [x] }\n', {}],
    ['the principal has no roles at all', '  - { id: a, allow: [pay/refund], for: { roles: [clerk] } }\n', { principal: { roles: [] } }],
    ['a role differs by case', '  - { id: a, allow: [pay/refund], for: { roles: [clerk] } }\n', { principal: { roles: ['Clerk'] } }],
  ])('%s', (_, rules, given) => {
    expect(answer(call(policyOf(rules), given))).toBe('no_matching_policy default-deny');
  });

  test('an agent without rules may do nothing', () => {
    const policy = policyOf('  - { id: a, allow: [pay/refund] }\n');
    const tool = policy.tool('pay/refund' as ToolName);
    const judged = judge(new TextEncoder().encode('{"order":"O-1","amount":20}'));
    const args = judged.ok ? policy.argumentSchema('pay/refund' as ToolName)?.validate(judged.value) : undefined;
    if (tool === undefined || args?.ok !== true) throw new Error('no call');
    const session: SessionFacts = { id: 's' as SessionId, attempted: [], completed: [], failed: [], denied: [], hasCompleted: () => false };
    expect(decide(policy, { principal: ALICE, agent: 'other' as AgentName, tool, args: args.value, session, now: 0 as Instant })).toEqual({
      decision: 'deny',
      code: 'no_matching_policy',
      ruleId: 'default-deny',
      detail: 'no rule of agent other is about pay/refund',
      unmet: [],
    });
  });

  test.each([
    ['matches', '{ id: a, allow: [pay/refund], for: { roles: [lead, clerk], tenants: [acme, other] } }'],
    ['matches an environment’s tenant', '{ id: a, allow: [pay/refund], for: { tenants: ["${env.home}"] } }'],
    ['matches by class', '{ id: a, allow: [{ class: money }] }'],
    ['matches by prefix', '{ id: a, allow: ["pay/re*"] }'],
    ['matches by effect and server', '{ id: a, allow: [{ effect: write, server: pay }] }'],
  ])('a rule that %s allows', (_, rule) => {
    expect(answer(call(policyOf(`  - ${rule}\n`)))).toBe('allow a');
  });
});

describe('requirements', () => {
  test.each<[string, string, Given, string]>([
    ['a scope that is held', 'scopes: [pay:write]', {}, 'allow a'],
    ['a scope that is not held', 'scopes: [pay:write, pay:large]', {}, 'insufficient_scope a'],
    ['a scope that is held but for its case', 'scopes: [PAY:write]', {}, 'insufficient_scope a'],
    ['a bond that holds', 'bind: [args.order == session.case]', { case: 'O-1' }, 'allow a'],
    ['a bond to another case', 'bind: [args.order == session.case]', { case: 'O-2' }, 'resource_binding_mismatch a'],
    ['a bond where the session has no case', 'bind: [args.order == session.case]', {}, 'resource_binding_mismatch a'],
    ['one of two bonds', 'bind: [args.order == session.case, args.note == principal.id]', { case: 'O-1' }, 'resource_binding_mismatch a'],
    ['an argument within a narrower schema', 'arguments: { amount: { maximum: 20 } }', {}, 'allow a'],
    ['an argument outside it', 'arguments: { amount: { maximum: 19.99 } }', {}, 'parameter_not_allowed a'],
    [
      'an argument outside a narrower enum',
      'arguments: { currency: { enum: [EUR] } }',
      { args: '{"order":"O-1","amount":1,"currency":"USD"}' },
      'parameter_not_allowed a',
    ],
    ['a narrowed argument that is absent', 'arguments: { currency: { enum: [EUR] } }', {}, 'parameter_not_allowed a'],
    ['a precondition that completed', 'after: [crm/verify]', { completed: ['crm/verify'] }, 'allow a'],
    ['a precondition that did not', 'after: [crm/verify]', { completed: ['crm/get'] }, 'session_precondition_failed a'],
    ['one of two preconditions', 'after: [crm/verify, crm/get]', { completed: ['crm/get'] }, 'session_precondition_failed a'],
    ['a condition that holds', 'when: args.amount <= 20', {}, 'allow a'],
    ['a condition that does not', 'when: args.amount < 20', {}, 'no_matching_policy a'],
    ['a condition that cannot be evaluated', 'when: args.count < 20', {}, 'no_matching_policy a'],
    ['a condition on a claim', 'when: args.amount <= principal.attributes.limit', {}, 'allow a'],
    [
      'a condition on a claim that is absent',
      'when: args.amount <= principal.attributes.limit',
      { principal: { attributes: {} } },
      'no_matching_policy a',
    ],
    [
      'a condition on a claim of another type',
      'when: args.amount <= principal.attributes.limit',
      { principal: { attributes: { limit: '500' } } },
      'no_matching_policy a',
    ],
    [
      'a condition on the environment',
      'when: args.amount <= env.cap',
      { args: '{"order":"O-1","amount":1000.01}' },
      'no_matching_policy a',
    ],
    ['a count that cannot be made', 'once: { per: args.note }', {}, 'call_limit_exceeded a'],
  ])('%s', (_, requirement, given, expected) => {
    const others = '  - { id: z, allow: [crm/verify, crm/get] }\n';
    const policy = policyOf(`  - { id: a, allow: [pay/refund], ${requirement} }\n${others}`);
    expect(answer(call(policy, given))).toBe(expected);
  });

  test.each([
    ['500', 'allow a'],
    ['500.00', 'allow a'],
    ['500.01', 'no_matching_policy a'],
    ['500.000000000000000000000000000000001', 'no_matching_policy a'],
    ['499.999999999999999999999999999999999', 'allow a'],
  ])('a limit of 500 is exact: %s', (amount, expected) => {
    const policy = policyOf('  - { id: a, allow: [pay/refund], when: args.amount <= 500 }\n');
    expect(answer(call(policy, { args: `{"order":"O-1","amount":${amount}}` }))).toBe(expected);
  });

  test.each([
    ['9007199254740993', '9007199254740992', 'no_matching_policy a'],
    ['9007199254740993', '9007199254740993', 'allow a'],
    ['123456789012345678901234567890', '123456789012345678901234567890', 'allow a'],
  ])('whole numbers are exact: %s asked for, %s sent', (wanted, sent, expected) => {
    const policy = policyOf(`  - { id: a, allow: [pay/refund], when: args.count == ${wanted} }\n`);
    expect(answer(call(policy, { args: `{"order":"O-1","amount":1,"count":${sent}}` }))).toBe(expected);
  });

  test('names the arguments at fault, and only their names', () => {
    const policy = policyOf('  - { id: a, allow: [pay/refund], arguments: { amount: { maximum: 5 }, order: { maxLength: 2 } } }\n');
    expect(call(policy)).toMatchObject({ code: 'parameter_not_allowed', fields: ['amount', 'order'], source: { file: 'p.yaml' } });
    const bound = policyOf('  - { id: a, allow: [pay/refund], bind: [args.order == session.case] }\n');
    expect(call(bound, { case: 'O-2' })).toMatchObject({ code: 'resource_binding_mismatch', fields: ['order'] });
  });
});

describe('the answering code', () => {
  const ALL = '  - { id: z, allow: [crm/verify] }\n';

  test('is the first unmet requirement in the order of the table', () => {
    const requirements = [
      'scopes: [x]',
      'bind: [args.order == session.case]',
      'arguments: { amount: { maximum: 5 } }',
      'after: [crm/verify]',
      'when: args.amount < 5',
      'once: { per: args.note }',
    ];
    const seen = requirements.map((_, index) =>
      answer(call(policyOf(`  - { id: a, allow: [pay/refund], ${requirements.slice(index).toReversed().join(', ')} }\n${ALL}`))),
    );
    expect(seen).toEqual([
      'insufficient_scope a',
      'resource_binding_mismatch a',
      'parameter_not_allowed a',
      'session_precondition_failed a',
      'no_matching_policy a',
      'call_limit_exceeded a',
    ]);
  });

  test('comes from the rule with fewest unmet, ties from the lower id', () => {
    const near = '  - { id: near, allow: [pay/refund], after: [crm/verify] }\n';
    const far = '  - { id: far, allow: [pay/refund], scopes: [x], bind: [args.order == session.case] }\n';
    expect(answer(call(policyOf(near + far + ALL)))).toBe('session_precondition_failed near');
    const tie = '  - { id: b, allow: [pay/refund], scopes: [x] }\n  - { id: a, allow: [pay/refund], after: [crm/verify] }\n';
    expect(answer(call(policyOf(tie + ALL)))).toBe('session_precondition_failed a');
  });

  test('never comes from a rule that is for somebody else', () => {
    const rules =
      '  - { id: a, allow: [pay/refund], for: { roles: [admin] } }\n  - { id: b, allow: [pay/refund], scopes: [x, y], after: [crm/verify] }\n';
    expect(answer(call(policyOf(rules + ALL)))).toBe('insufficient_scope b');
  });

  test('of a require rule stands before later requirements of the allow rule', () => {
    const rules = '  - { id: a, allow: [pay/refund], after: [crm/verify] }\n  - { id: r, require: [{ class: money }], scopes: [x] }\n';
    const decision = call(policyOf(rules + ALL));
    expect(answer(decision)).toBe('insufficient_scope r');
    expect(decision.decision === 'deny' && decision.unmet.map(({ requirement, ruleId }) => [requirement, ruleId])).toEqual([
      ['scopes', 'r'],
      ['after', 'a'],
    ]);
  });
});

describe('deny rules', () => {
  const ALLOW = '  - { id: a, allow: [pay/refund, crm/get] }\n';

  test.each<[string, string, Given, string]>([
    ['a denial for this role', '{ id: d, deny: [{ class: money }], for: { roles: [clerk] } }', {}, 'no_matching_policy d'],
    ['a denial for another role', '{ id: d, deny: [{ class: money }], for: { roles: [lead] } }', {}, 'allow a'],
    ['a condition that holds', '{ id: d, deny: [pay/refund], when: args.amount > 10 }', {}, 'no_matching_policy d'],
    ['a condition that does not', '{ id: d, deny: [pay/refund], when: args.amount > 30 }', {}, 'allow a'],
    ['an absent argument behind a guard', '{ id: d, deny: [pay/refund], when: has(args.note) && args.note == "x" }', {}, 'allow a'],
    [
      'an evaluation that fails',
      '{ id: d, deny: [pay/refund], when: size(args.order) / (size(args.order) - 3) > 5 }',
      {},
      'no_matching_policy d',
    ],
    [
      'an attribute of another type',
      '{ id: d, deny: [pay/refund], when: has(principal.attributes.limit) && args.amount > principal.attributes.limit }',
      { principal: { attributes: { limit: 'much' } } },
      'no_matching_policy d',
    ],
    [
      'an attribute that came as text where a number was meant',
      '{ id: d, deny: [pay/refund], when: has(principal.attributes.limit) && principal.attributes.limit == 500 }',
      { principal: { attributes: { limit: '500' } } },
      'no_matching_policy d',
    ],
    ['a denial of another tool', '{ id: d, deny: [crm/get], for: { roles: [clerk] } }', {}, 'allow a'],
  ])('%s', (_, rule, given, expected) => {
    expect(answer(call(policyOf(`${ALLOW}  - ${rule}\n`), given))).toBe(expected);
  });

  test('override every allow rule, whatever the order of ids', () => {
    const rules = ['a', 'm', 'z'].map((id) => `  - { id: ${id}, allow: [pay/refund] }\n`).join('');
    expect(answer(call(policyOf(`${rules}  - { id: n, deny: [pay/refund], for: { tenants: [acme] } }\n`)))).toBe('no_matching_policy n');
  });

  test('are for anonymous callers too', () => {
    const rules =
      '  - { id: a, allow: [crm/get], for: { principals: [anonymous] } }\n  - { id: d, deny: [crm/get], when: args.account == "B" }\n';
    const anonymous = { id: 'anonymous' as PrincipalId, kind: 'anonymous', roles: [], scopes: [], attributes: {} } as const;
    expect(answer(call(policyOf(rules), { tool: 'crm/get', args: '{"account":"A"}', principal: anonymous }))).toBe('allow a');
    expect(answer(call(policyOf(rules), { tool: 'crm/get', args: '{"account":"B"}', principal: anonymous }))).toBe('no_matching_policy d');
  });
});

describe('anonymous', () => {
  const anonymous = { id: 'anonymous' as PrincipalId, kind: 'anonymous', roles: ['clerk'], scopes: [], attributes: {} } as const;

  test('is granted nothing by a rule that does not name it', () => {
    const policy = policyOf('  - { id: a, allow: [crm/get] }\n  - { id: b, allow: [crm/get], for: { roles: [clerk] } }\n');
    expect(answer(call(policy, { tool: 'crm/get', args: '{"account":"A"}', principal: anonymous }))).toBe(
      'no_matching_policy default-deny',
    );
  });

  test('is known by its kind, whatever it is called', () => {
    const policy = policyOf('  - { id: a, allow: [crm/get], for: { principals: [anonymous] } }\n');
    const given = { tool: 'crm/get', args: '{"account":"A"}' };
    expect(answer(call(policy, { ...given, principal: { ...anonymous, id: '-' as PrincipalId } }))).toBe('allow a');
    expect(answer(call(policy, given))).toBe('no_matching_policy default-deny');
  });

  test('cannot be claimed by a person of that name', () => {
    const policy = policyOf('  - { id: a, allow: [crm/get], for: { principals: [alice@acme.com] } }\n');
    expect(answer(call(policy, { tool: 'crm/get', args: '{"account":"A"}', principal: { ...anonymous, id: ALICE.id } }))).toBe(
      'no_matching_policy default-deny',
    );
  });
});

describe('require rules', () => {
  test.each<[string, string, Given, string]>([
    ['that are met', 'scopes: [pay:write]', {}, 'allow a'],
    ['that are not met', 'scopes: [pay:large]', {}, 'insufficient_scope r'],
    ['whose guard holds', 'scopes: [pay:large], when: "args.amount > 10"', {}, 'insufficient_scope r'],
    ['whose guard does not hold', 'scopes: [pay:large], when: "args.amount > 100"', {}, 'allow a'],
    [
      'whose guard cannot be evaluated',
      'scopes: [pay:write], when: "size(args.order) / (size(args.order) - 3) > 5"',
      {},
      'no_matching_policy r',
    ],
    ['for another role', 'scopes: [pay:large], for: { roles: [lead] }', {}, 'allow a'],
  ])('%s', (_, rest, given, expected) => {
    expect(answer(call(policyOf(`  - { id: a, allow: [pay/refund] }\n  - { id: r, require: [{ class: money }], ${rest} }\n`), given))).toBe(
      expected,
    );
  });

  test('grant nothing by themselves', () => {
    const policy = policyOf('  - { id: a, allow: [crm/get] }\n  - { id: r, require: [pay/refund], scopes: [pay:write] }\n');
    expect(answer(call(policy))).toBe('no_matching_policy default-deny');
  });
});

describe('once', () => {
  const reservations = (rules: string, given: Given = {}): unknown => {
    const decision = call(policyOf(rules), given);
    return decision.decision === 'allow' ? decision.reservations : decision;
  };

  test('in a session', () => {
    expect(reservations('  - { id: a, allow: [pay/refund], once: {} }\n')).toEqual([
      { kind: 'count', limit: 'once', code: 'call_limit_exceeded', ruleId: 'a', key: 'once:a', scope: 'session', max: 1 },
    ]);
  });

  test('for each value, within a window, by the agent in any session', () => {
    expect(reservations('  - { id: a, allow: [pay/refund], once: { per: args.order, within: 30d } }\n')).toEqual([
      {
        kind: 'count',
        limit: 'once',
        per: 'args.order',
        code: 'call_limit_exceeded',
        ruleId: 'a',
        key: 'once:a:"O-1"',
        scope: 'agent',
        windowMs: 2_592_000_000,
        max: 1,
      },
    ]);
  });

  test.each([
    ['args.amount', '{"order":"x","amount":1.50}', '{"order":"x","amount":1.5}', true],
    ['args.order', '{"order":"1","amount":1}', '{"order":"1 ","amount":1}', false],
    ['args.count', '{"order":"x","amount":1,"count":9007199254740993}', '{"order":"x","amount":1,"count":9007199254740992}', false],
    ['args.order', '{"order":"\\u0061","amount":1}', '{"order":"a","amount":1}', true],
  ])('counts equal values of %s as one: %s and %s', (per, one, other, isEqual) => {
    const rules = `  - { id: a, allow: [pay/refund], once: { per: ${per} } }\n`;
    const [first, second] = [one, other].map((args) => reservations(rules, { args }));
    if (isEqual) expect(first).toEqual(second);
    else expect(first).not.toEqual(second);
  });

  test('of a require rule is reserved beside that of the grant', () => {
    const rules = '  - { id: a, allow: [pay/refund], once: {} }\n  - { id: r, require: [{ class: money }], once: { per: args.order } }\n';
    expect(reservations(rules)).toMatchObject([{ ruleId: 'a' }, { ruleId: 'r', key: 'once:r:"O-1"' }]);
  });

  test('a rule that reserves nothing grants first, so that a single use is kept for when it is needed', () => {
    const policy = policyOf('  - { id: a, allow: [pay/refund], once: {} }\n  - { id: b, allow: [pay/refund], scopes: [pay:write] }\n');
    expect(call(policy)).toMatchObject({ ruleId: 'b', reservations: [] });
    expect(call(policy, { principal: { scopes: [] } })).toMatchObject({ ruleId: 'a', reservations: [{ key: 'once:a' }] });
  });
});

describe('determinism', () => {
  test('the same call, a thousand times, has one answer', () => {
    const policy = policyOf(
      '  - { id: b, allow: [pay/refund], when: args.amount < 100 }\n  - { id: a, allow: ["pay/*"], when: args.amount < 50 }\n',
    );
    const answers = new Set(Array.from({ length: 1_000 }, () => JSON.stringify(call(policy))));
    expect([...answers]).toEqual([JSON.stringify(call(policy))]);
    expect(answer(call(policy))).toBe('allow a');
  });

  test('a retry with other arguments is decided afresh', () => {
    const policy = policyOf('  - { id: a, allow: [pay/refund], when: args.amount <= 500 }\n');
    const seen = ['100', '900', '100'].map((amount) => answer(call(policy, { args: `{"order":"O-1","amount":${amount}}` })));
    expect(seen).toEqual(['allow a', 'no_matching_policy a', 'allow a']);
  });

  test('effect and classes are read from the catalog, not from what the caller of decide holds', () => {
    const policy = policyOf(
      '  - { id: a, allow: ["pay/*", "crm/*"] }\n  - { id: d, deny: [{ effect: write }], for: { roles: [clerk] } }\n',
    );
    const tool = policy.tool('pay/refund' as ToolName);
    const judged = judge(new TextEncoder().encode('{"order":"O-1","amount":20}'));
    const args = judged.ok ? policy.argumentSchema('pay/refund' as ToolName)?.validate(judged.value) : undefined;
    if (tool === undefined || args?.ok !== true) throw new Error('no call');
    const session: SessionFacts = { id: 's' as SessionId, attempted: [], completed: [], failed: [], denied: [], hasCompleted: () => false };
    const decision = decide(policy, {
      principal: ALICE,
      agent: 'triage' as AgentName,
      tool: { ...tool, effect: 'read', classes: [] },
      args: args.value,
      session,
      now: 0 as Instant,
      isolation: 'enforced',
    });
    expect(answer(decision)).toBe('no_matching_policy d');
  });
});
