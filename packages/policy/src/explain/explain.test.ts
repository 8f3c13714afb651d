import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { AgentName, Instant, Principal, PrincipalId, SessionId, TenantId, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { SessionFacts } from '../session.ts';
import { explain, explainDenial, formatExplanation } from './explain.ts';
import type { Explanation } from './explanation.ts';

const CATALOG = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [pay]
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: pay/verify
effect: read
---
kind: Tool
name: pay/refund
effect: write
arguments:
  required: [order, amount]
  properties: { order: { type: string }, amount: { type: number, format: decimal }, tags: { type: array, maxItems: 20, items: { type: string } } }
---
kind: Policy
agent: triage
rules:
  - { id: v, allow: [pay/verify] }
`;

const ALICE: Principal = {
  id: 'alice' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: 'i',
  roles: ['clerk'],
  scopes: ['pay:read'],
  attributes: {},
  authenticatedAt: 0 as Instant,
};

type Given = { args?: string; completed?: readonly string[]; case?: string };

function explained(rules: string, given: Given = {}): Explanation {
  return explain(...asked(rules, given));
}

function asked(rules: string, given: Given): Parameters<typeof explain> {
  const source = parseDocuments([{ path: 'p.yaml', text: CATALOG + rules }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  const { policy } = built.value;
  const tool = policy.tool('pay/refund' as ToolName);
  const judged = judge(new TextEncoder().encode(given.args ?? '{"order":"O-1","amount":900}'));
  const args = judged.ok ? policy.argumentSchema('pay/refund' as ToolName)?.validate(judged.value) : undefined;
  if (tool === undefined || args?.ok !== true) throw new Error('no call');
  const completed = (given.completed ?? []) as ToolName[];
  const session: SessionFacts = {
    id: 's' as SessionId,
    ...(given.case === undefined ? {} : { case: given.case }),
    attempted: completed,
    completed,
    failed: [],
    denied: [],
    hasCompleted: (name) => completed.includes(name),
  };
  return [policy, { principal: ALICE, agent: 'triage' as AgentName, tool, args: args.value, session, now: 0 as Instant }];
}

describe('explain', () => {
  test('names rule, file, line, every unmet requirement with the values compared, and the change that flips it', () => {
    const rules = `  - id: refund
    allow: [pay/refund]
    scopes: [pay:write]
    bind: [args.order == session.case]
    after: [pay/verify]
    when: args.amount <= 500
`;
    expect(formatExplanation(explained(rules, { case: 'O-2' }))).toBe(`deny pay/refund: insufficient_scope, by refund (p.yaml:27)
  scopes: lacks scope pay:write
    principal.scopes = ["pay:read"]
  bind: \`args.order == session.case\` is false
    args.order = "O-1"
    session.case = "O-2"
  after: pay/verify has not completed in this session
    session.completed = []
  when: \`args.amount <= 500\` is false
    args.amount = 900
to allow it:
  use a credential with scope pay:write
  let args.order be "O-2"
  complete pay/verify in this session first
  let args.amount be at most 500`);
  });

  test.each<[string, string, { args?: string; case?: string }, readonly string[]]>([
    ['of a conjunction, only what fails', 'when: args.amount <= 500 && args.order == "O-1"', {}, ['let args.amount be at most 500']],
    ['with the constant first', 'when: 500 >= args.amount', {}, ['let args.amount be at most 500']],
    ['of a list', 'when: \'args.order in ["O-7", "O-8"]\'', {}, ['let args.order be one of ["O-7", "O-8"]']],
    ['of anything else', 'when: args.order.startsWith("X")', {}, ['let `args.order.startsWith("X")` be true (reads args.order)']],
    ['of an absent fact', 'bind: [args.order == session.case]', {}, ['let `args.order == session.case` be true (reads args.order)']],
    ['of a narrowed argument', 'arguments: { amount: { maximum: 500 } }', {}, ['change amount: must be at most 500']],
    [
      'of hours on some days',
      'hours: { days: [tue, mon], from: "22:00", to: "06:00", utc_offset: "+01:00" }',
      {},
      ['call on mon, tue between 22:00 and 06:00 (UTC+01:00)'],
    ],
    ['of hours on all days', 'hours: { from: "08:00", to: "09:00" }', {}, ['call every day between 08:00 and 09:00 (UTC+00:00)']],
  ])('says the smallest change %s', (_, requirement, given, change) => {
    expect(explained(`  - { id: a, allow: [pay/refund], ${requirement} }\n`, given).change).toEqual(change);
  });

  test('of a default denial names the rule that is for others', () => {
    const explanation = explained('  - { id: a, allow: [pay/refund], for: { roles: [lead] } }\n');
    expect(explanation.decision).toMatchObject({ code: 'no_matching_policy', ruleId: 'default-deny' });
    expect(formatExplanation(explanation)).toBe(`deny pay/refund: no_matching_policy, by default-deny
to allow it:
  let rule a be for this principal: wants roles lead; found principal alice (person), tenant acme, roles clerk
other rules about this tool:
  allow a (p.yaml:27): does not match
    for: wants roles lead; found principal alice (person), tenant acme, roles clerk
      principal.id = "alice"
      principal.tenant = "acme"
      principal.roles = ["clerk"]`);
  });

  test('of a deny rule says which condition held', () => {
    const explanation = explained('  - { id: a, allow: [pay/refund] }\n  - { id: d, deny: [pay/refund], when: args.amount > 500 }\n');
    expect(explanation.rules.map(({ ruleId, matches }) => [ruleId, matches])).toEqual([
      ['d', true],
      ['a', true],
    ]);
    expect(explanation.change).toEqual(['let `args.amount > 500` be false, or narrow deny rule d (p.yaml:28)']);
  });

  test('of a grant says what would take it away', () => {
    const explanation = explained(
      '  - { id: a, allow: [pay/refund], when: args.amount < 1000 }\n  - { id: b, allow: [pay/refund], scopes: [pay:read] }\n',
    );
    expect(explanation.decision).toMatchObject({ decision: 'allow', ruleId: 'a' });
    expect(explanation.change).toEqual(['rule a: let `args.amount < 1000` be false', 'rule b: use a credential without scope pay:read']);
  });

  test('of a tool that no rule is about', () => {
    expect(formatExplanation(explained(''))).toBe(
      'deny pay/refund: no_matching_policy, by default-deny\nto allow it:\n  add an allow rule about pay/refund to agent triage',
    );
  });

  test('cuts long values, and shows control characters as what they are', () => {
    const explanation = explained('  - { id: a, allow: [pay/refund], when: args.order == "x" }\n', {
      args: `{"order":"\\u001b[2J${'y'.repeat(300)}","amount":1}`,
    });
    const value = explanation.rules[0]?.unmet[0]?.values['args.order'] ?? '';
    expect(value.length).toBeLessThanOrEqual(160);
    expect(value).toMatch(/^"\\u001b\[2Jyyy.*\.\.\.$/);
  });
});

describe('explainDenial', () => {
  const SECRET = 'hunter2';

  test.each<[string, string, readonly string[]]>([
    ['a value of the session', 'bind: [args.order == session.case]', ['let args.order be `session.case`']],
    ['another argument', 'when: "args.order == string(args.tags[0])"', ['let args.order be `string(args.tags[0])`']],
    ['a claim', 'bind: [args.order == principal.id]', ['let args.order be `principal.id`']],
    ['a constant, which stands in the policy', 'when: args.amount <= 500', ['let args.amount be at most 500']],
    ['a narrowed argument', 'arguments: { order: { enum: [O-9] } }', ['change order: must be one of `"O-9"`']],
  ])('names what is compared and shows no value of the call: %s', (_, requirement, change) => {
    const given = { args: `{"order":"${SECRET}","amount":900,"tags":["${SECRET}-tag"]}`, case: `${SECRET}-case` };
    const explanation = explainDenial(...asked(`  - { id: a, allow: [pay/refund], ${requirement} }\n`, given));
    expect(explanation?.change).toEqual(change);
    expect(explanation?.unmet).toMatchObject([{ ruleId: 'a', source: { file: 'p.yaml', line: 27 } }]);
    expect(JSON.stringify(explanation)).not.toContain(SECRET);
  });

  test('of a deny rule, of a rule for others and of no rule says what would have to change', () => {
    const change = (rules: string): readonly string[] | undefined => explainDenial(...asked(rules, {}))?.change;
    expect(change('  - { id: a, allow: [pay/refund] }\n  - { id: d, deny: [pay/refund], when: args.amount > 500 }\n')).toEqual([
      'let `args.amount > 500` be false, or narrow deny rule d (p.yaml:28)',
    ]);
    expect(change('  - { id: a, allow: [pay/refund], for: { roles: [lead] } }\n')).toEqual([
      'let rule a be for this principal: wants roles lead; found principal alice (person), tenant acme, roles clerk',
    ]);
    expect(change('')).toEqual(['add an allow rule about pay/refund to agent triage']);
  });

  test('of an allow there is none', () => {
    expect(explainDenial(...asked('  - { id: a, allow: [pay/refund] }\n', {}))).toBeUndefined();
  });
});
