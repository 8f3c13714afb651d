import { describe, expect, test } from 'vitest';
import { utf8 } from '@sallyport/crypto';
import { formatProblem } from '@sallyport/model';
import type { ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { Judged } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { decide } from '../decide/decide.ts';
import type { PolicyInput } from '../input.ts';
import { runTests } from '../suites/run-tests.ts';

/** One agent whose tools read, check, change and send; `rule` is the allow rule under test, of everything. */
const WORLD = `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
http: { url: "https://crm.internal" }
network: private
---
kind: Tool
name: crm/read
effect: read
classes: [pii]
route: { method: GET, path: "/records/{id}" }
arguments: { required: [id], properties: { id: { type: string } } }
touches: { record: args.id }
---
kind: Tool
name: crm/check
effect: read
route: { method: POST, path: "/checks" }
arguments: { required: [record], properties: { record: { type: string }, level: { type: integer } } }
---
kind: Tool
name: crm/pay
effect: write
classes: [money]
route: { method: POST, path: "/payments" }
arguments: { required: [id], properties: { id: { type: string }, amount: { type: number, format: decimal }, text: { type: string } } }
---
kind: Environment
values: { cap: { decimal: "100.50" }, word: { string: x } }
---
kind: Policy
agent: desk
rules:
  - { id: free, allow: [crm/read, crm/check] }
`;

function problemsOf(rule: string): readonly string[] {
  const parsed = parseDocuments([{ path: 'p.yaml', text: `${WORLD}  - { id: r, allow: [crm/pay], ${rule} }\n` }]);
  return parsed.ok ? [] : parsed.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
}

/** The codes that steps end with, under a rule about `crm/pay`. Built and read back, as a sidecar would. */
function codesOf(rule: string, given: string, steps: readonly string[]): readonly string[] {
  const tests = `---\nkind: Test\ngiven: ${given}\nsteps:\n${steps.map((step) => `  - { ${step}, expect: allow }`).join('\n')}\n`;
  const parsed = parseDocuments([{ path: 'p.yaml', text: `${WORLD}  - { id: r, allow: [crm/pay], ${rule} }\n${tests}` }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  expect(readParts(built.value.parts).ok).toBe(true);
  return runTests(built.value.policy).outcomes.map(({ seen }) => seen);
}

function judged(text: string): Judged {
  const result = judge(utf8(text));
  if (!result.ok) throw new Error(text);
  return result.value;
}

const PAY = 'call: crm/pay, args: { id: R-1 }';
const pay = (amount: string): string => `call: crm/pay, args: { id: R-1, amount: ${amount} }`;

describe('what a session is for, how old it is, and what it has come to', () => {
  test.each<[rule: string, given: string, code: string]>([
    ['task: [expenses, travel]', '{ session: { task: travel } }', 'allow'],
    ['task: [expenses]', '{ session: { task: cleanup } }', 'out_of_task'],
    ['task: [expenses]', '{}', 'out_of_task'],
    ['require_purpose: true', '{ session: { purpose: refund } }', 'allow'],
    ['require_purpose: true', '{ session: { task: refund } }', 'out_of_task'],
    ['require_purpose: true', '{ justification: refund }', 'out_of_task'],
    ['require_purpose: true', '{}', 'out_of_task'],
    ['session: { max_age: 10m }', '{ session: { age: 599s } }', 'allow'],
    ['session: { max_age: 10m }', '{ session: { age: 600s } }', 'session_precondition_failed'],
    ['session: { max_age: 10m }', '{ session: { age: 601s } }', 'session_precondition_failed'],
    ['session: { denials_max: 2 }', '{ session: { denied: [crm/read, crm/read] } }', 'allow'],
    ['session: { denials_max: 2 }', '{ session: { denied: [crm/read, crm/read, crm/pay] } }', 'session_precondition_failed'],
    ['risk: { max: 50 }', '{ session: { risk: 50 } }', 'allow'],
    ['risk: { max: 50 }', '{ session: { risk: 51 } }', 'risk_too_high'],
    ['risk: { max: 50 }', '{}', 'risk_too_high'],
    ['delegation: { depth: 0 }', '{}', 'allow'],
    ['delegation: { depth: 0 }', '{ chain: [{ agent: a, first_party: true }] }', 'delegation_not_allowed'],
    [
      'delegation: { depth: 2, first_party: true }',
      '{ chain: [{ agent: a, first_party: true }, { agent: b, first_party: false }] }',
      'delegation_not_allowed',
    ],
    ['delegation: { first_party: true }', '{ chain: [{ agent: a, first_party: true }] }', 'delegation_not_allowed'],
    ['delegation: { roots: [operator] }', '{ chain: [{ agent: a, first_party: true }] }', 'delegation_not_allowed'],
    ['when: size(chain) == 1', '{ chain: [{ agent: a, first_party: true }] }', 'delegation_not_allowed'],
    ['delegation: { depth: 1 }', '{ chain: [{ agent: a, first_party: true }] }', 'allow'],
    ['delegation: { depth: 1 }', '{ chain: [{ agent: partner.example/a, first_party: false }] }', 'allow'],
    ['delegation: { depth: 1, first_party: true }', '{ chain: [{ agent: a, first_party: true }] }', 'allow'],
    [
      'delegation: { depth: 1, first_party: true }',
      '{ chain: [{ agent: partner.example/a, first_party: false }] }',
      'delegation_not_allowed',
    ],
    [
      'delegation: { depth: 1, roots: [operator] }',
      '{ chain: [{ agent: a, first_party: true }], session: { root: system } }',
      'delegation_not_allowed',
    ],
    [
      'delegation: { depth: 1, roots: [operator] }',
      '{ chain: [{ agent: a, first_party: true }], session: { root: external } }',
      'delegation_not_allowed',
    ],
    ['scopes: [a:b]', '{ scopes: [a:c] }', 'insufficient_scope'],
    ['scopes: [a:b], delegation: { depth: 1 }', '{ scopes: [a:c], chain: [{ agent: a, first_party: true }] }', 'delegation_not_allowed'],
    ['scopes: [a:b], delegation: { depth: 1 }', '{ scopes: [a:b], chain: [{ agent: a, first_party: true }] }', 'allow'],
    ['delegation: { roots: [operator] }', '{ session: { root: operator } }', 'allow'],
    ['delegation: { roots: [operator] }', '{ session: { root: schedule } }', 'delegation_not_allowed'],
    ['when: session.age_s < 600 && session.root == "operator"', '{ session: { age: 599s } }', 'allow'],
    ['when: session.age_s < 600', '{ session: { age: 600s } }', 'no_matching_policy'],
    ['when: session.risk < 10', '{}', 'no_matching_policy'],
    ['when: tool.method == "POST" && tool.path == "/payments"', '{}', 'allow'],
    ['when: tool.method == "GET"', '{}', 'no_matching_policy'],
  ])('%s, given %s: %s', (rule, given, code) => expect(codesOf(rule, given, [PAY])).toEqual([code]));

  test.each<[step: string, code: string]>([
    ['crm/pay', 'allow'],
    ['pay', 'allow'],
    ['crm/read', 'tool_step_mismatch'],
    ['read', 'tool_step_mismatch'],
    ['crm', 'tool_step_mismatch'],
  ])('a credential for the step %s: %s, without any rule saying so', (step, code) =>
    expect(codesOf('scopes: [pay]', `{ scopes: [pay], session: { step: ${step} } }`, [PAY])).toEqual([code]),
  );
});

describe('the moment', () => {
  test.each<[rule: string, at: string, code: string]>([
    ['valid: { until: 2026-06-30T00:00:00Z }', '2026-06-29T23:59:59Z', 'allow'],
    ['valid: { until: 2026-06-30T00:00:00Z }', '2026-06-30T00:00:00Z', 'no_matching_policy'],
    ['valid: { from: 2026-06-30T00:00:00Z }', '2026-06-29T23:59:59.999Z', 'no_matching_policy'],
    ['valid: { from: 2026-06-30T00:00:00Z, until: 2026-07-01T00:00:00Z }', '2026-06-30T00:00:00Z', 'allow'],
    // 2026-06-29 is a Monday.
    ['hours: { days: [mon], from: "09:00", to: "17:00" }', '2026-06-29T09:00:00Z', 'allow'],
    ['hours: { days: [mon], from: "09:00", to: "17:00" }', '2026-06-29T17:00:00Z', 'no_matching_policy'],
    ['hours: { days: [tue], from: "09:00", to: "17:00" }', '2026-06-29T12:00:00Z', 'no_matching_policy'],
    ['hours: { from: "00:00", to: "24:00" }', '2026-06-29T23:59:59.999Z', 'allow'],
    ['hours: { days: [mon], from: "22:00", to: "06:00" }', '2026-06-30T05:59:00Z', 'allow'],
    ['hours: { days: [mon], from: "22:00", to: "06:00" }', '2026-06-29T05:59:00Z', 'no_matching_policy'],
    ['hours: { days: [tue], from: "00:00", to: "01:00", utc_offset: "+02:00" }', '2026-06-29T22:30:00Z', 'allow'],
    ['hours: { days: [sun], from: "23:00", to: "24:00", utc_offset: "-02:00" }', '2026-06-29T01:30:00Z', 'allow'],
    ['hours: { days: [mon], from: "23:00", to: "24:00", utc_offset: "-02:00" }', '2026-06-29T01:30:00Z', 'no_matching_policy'],
  ])('%s at %s: %s', (rule, at, code) => expect(codesOf(rule, `{ at: ${at} }`, [PAY])).toEqual([code]));
});

describe('proof', () => {
  const TEXT = 'call: crm/pay, args: { id: R-1, text: "Dear Bob" }';
  test.each<[rule: string, given: string, call: string, code: string]>([
    ['step_up: { max_age: 10m }', '{ signed_in: { ago: 600s } }', PAY, 'allow'],
    ['step_up: { max_age: 10m }', '{ signed_in: { ago: 601s } }', PAY, 'step_up_required'],
    ['step_up: { acr: [phr, high] }', '{ signed_in: { acr: high } }', PAY, 'allow'],
    ['step_up: { acr: [phr] }', '{ signed_in: { acr: low } }', PAY, 'step_up_required'],
    ['step_up: { amr: [mfa] }', '{ signed_in: { amr: [pwd, mfa] } }', PAY, 'allow'],
    ['step_up: { amr: [mfa] }', '{ signed_in: { amr: [pwd] } }', PAY, 'step_up_required'],
    ['step_up: { amr: [mfa] }', '{}', PAY, 'step_up_required'],
    ['step_up: { amr: [mfa], when: args.amount > 50 }', '{}', pay('50'), 'allow'],
    ['step_up: { amr: [mfa], when: args.amount > 50 }', '{}', pay('50.01'), 'step_up_required'],
    // What cannot be evaluated asks for the proof.
    ['step_up: { amr: [mfa], when: args.amount > 50 }', '{}', PAY, 'step_up_required'],
    ['step_up: { amr: [mfa], when: session.risk > 50 }', '{ session: { risk: 10 } }', PAY, 'allow'],
    ['step_up: { amr: [mfa], when: session.risk > 50 }', '{}', PAY, 'step_up_required'],
    ['justification: { chars_min: 5 }', '{ justification: "because" }', PAY, 'allow'],
    ['justification: { chars_min: 5 }', '{ justification: "  no   " }', PAY, 'schema_violation'],
    ['justification: {}', '{}', PAY, 'schema_violation'],
    ['reviewed: args.text', '{ session: { reviewed: ["Dear Bob"] } }', TEXT, 'allow'],
    ['reviewed: args.text', '{ session: { reviewed: ["Dear Bob "] } }', TEXT, 'session_precondition_failed'],
    ['reviewed: args.text', '{ session: { reviewed: ["Dear Bob"] } }', PAY, 'session_precondition_failed'],
    ['reviewed: args.text', '{}', TEXT, 'session_precondition_failed'],
    ['approval: { by: { role: lead } }', '{ approvals: [{ person: bob, roles: [lead] }] }', PAY, 'allow'],
    ['approval: { by: { role: lead } }', '{ approvals: [{ person: bob, roles: [clerk] }] }', PAY, 'requires_approval'],
    ['approval: { by: { role: lead } }', '{}', PAY, 'requires_approval'],
    [
      'approval: { by: { group: payers }, count: 2 }',
      '{ approvals: [{ person: bob, groups: [payers] }, { person: eve, groups: [payers] }] }',
      PAY,
      'allow',
    ],
    // One person twice is one person.
    [
      'approval: { by: { group: payers }, count: 2 }',
      '{ approvals: [{ person: bob, groups: [payers] }, { person: bob, groups: [payers] }] }',
      PAY,
      'requires_approval',
    ],
    ['approval: { by: { person: bob } }', '{ approvals: [{ person: eve, roles: [bob], groups: [bob] }] }', PAY, 'requires_approval'],
    ['approval: { when: args.amount > 500, by: { role: lead } }', '{}', pay('500'), 'allow'],
    ['approval: { when: args.amount > 500, by: { role: lead } }', '{}', pay('500.01'), 'requires_approval'],
    ['approval: { when: args.amount > 500, by: { role: lead } }', '{}', PAY, 'requires_approval'],
  ])('%s, given %s, %s: %s', (rule, given, call, code) => expect(codesOf(rule, given, [call])).toEqual([code]));
});

describe('what was done before, with the same values', () => {
  const read = (id: string): string => `call: crm/read, args: { id: ${id} }`;
  const check = (id: string): string => `call: crm/check, args: { record: ${id} }`;
  const payFor = (id: string): string => `call: crm/pay, args: { id: ${id} }`;

  test('the same record must have been read and checked in this session', () => {
    const rule = 'after: [{ tool: crm/read, with: { id: args.id } }, { tool: crm/check, with: { record: args.id } }]';
    const denied = 'session_precondition_failed';
    expect(
      codesOf(rule, '{}', [payFor('X'), read('X'), payFor('X'), check('Y'), payFor('X'), check('X'), payFor('X'), payFor('Y')]),
    ).toEqual([denied, 'allow', denied, 'allow', denied, 'allow', 'allow', denied]);
  });

  test('long values are compared as exactly as short ones', () => {
    const long = 'x'.repeat(5_000);
    const rule = 'after: [{ tool: crm/read, with: { id: args.id } }]';
    expect(codesOf(rule, '{}', [read(`${long}1`), payFor(`${long}2`), payFor(`${long}1`)])).toEqual([
      'allow',
      'session_precondition_failed',
      'allow',
    ]);
  });

  test('what a given session completed says nothing of values', () => {
    const rule = 'after: [{ tool: crm/read, with: { id: args.id } }]';
    expect(codesOf(rule, '{ session: { completed: [crm/read] } }', [payFor('X')])).toEqual(['session_precondition_failed']);
  });

  test('update only what was read: touched values', () => {
    const rule = 'bind: [args.id in session.touched.record]';
    expect(codesOf(rule, '{}', [payFor('R7'), read('R7'), payFor('R7'), payFor('R8')])).toEqual([
      'resource_binding_mismatch',
      'allow',
      'allow',
      'resource_binding_mismatch',
    ]);
  });

  test('once data of a class was seen, nothing goes out', () => {
    const rule = 'when: "!(\\"pii\\" in session.classes)"';
    expect(codesOf(rule, '{}', [payFor('R7'), read('R7'), payFor('R7')])).toEqual(['allow', 'allow', 'no_matching_policy']);
  });
});

describe('how often, how often in a row, how much', () => {
  const check = 'call: crm/check, args: { record: X }';
  test.each<[rule: string, steps: readonly string[], codes: readonly string[]]>([
    ['max: { count: 2 }', [PAY, PAY, PAY], ['allow', 'allow', 'call_limit_exceeded']],
    ['max: { count: 1, per: args.amount }', [pay('1'), pay('2'), pay('1.0')], ['allow', 'allow', 'call_limit_exceeded']],
    ['max: { count: 1, per: principal, within: 1h }', [pay('1'), pay('2')], ['allow', 'call_limit_exceeded']],
    ['max: { count: 1, per: args.amount }', [PAY], ['call_limit_exceeded']],
    ['sequence: { consecutive: 2 }', [PAY, PAY, PAY, check, PAY], ['allow', 'allow', 'call_limit_exceeded', 'allow', 'allow']],
    [
      'budget: { sum: args.amount, max: "1000" }',
      [pay('600'), pay('500'), pay('400.00'), pay('0.01')],
      ['allow', 'budget_exceeded', 'allow', 'budget_exceeded'],
    ],
    ['budget: { sum: args.amount, max: "${env.cap}" }', [pay('100.50'), pay('0.01')], ['allow', 'budget_exceeded']],
    [
      'budget: { sum: args.amount, max: "10", per: args.id }',
      [pay('10'), 'call: crm/pay, args: { id: R-2, amount: 10 }', pay('1')],
      ['allow', 'allow', 'budget_exceeded'],
    ],
    // What is not there cannot be summed, and what is negative would make room.
    ['budget: { sum: args.amount, max: "10" }', [PAY, pay('-5'), pay('10')], ['budget_exceeded', 'budget_exceeded', 'allow']],
    // A sum of more digits than a decimal has could not be read back after a restart.
    [
      'budget: { sum: args.amount + 1, max: "10", within: 1h }',
      [pay('0.00000000000000000000000000000000000001'), pay('0.1')],
      ['budget_exceeded', 'allow'],
    ],
  ])('%s', (rule, steps, codes) => expect(codesOf(rule, '{}', steps)).toEqual(codes));
});

describe('fields that would not do what they say are refused, with line and remedy', () => {
  test.each<[rule: string, problem: string]>([
    ['task: []', 'must not be empty'],
    ['require_purpose: false', 'must be `true`'],
    ['session: {}', 'demands nothing'],
    ['session: { max_age: 0s }', 'must be a span of time'],
    ['valid: { from: 2026-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z }', 'can never match'],
    ['valid: { from: 2026-01-01 }', 'must be an instant in UTC'],
    ['valid: { from: 2026-02-30T00:00:00Z }', 'must be an instant in UTC'],
    ['hours: { from: "09:00", to: "09:00" }', 'can never match'],
    ['hours: { from: "09:00", to: "25:00" }', 'must be a time of day'],
    ['hours: { from: "24:00", to: "08:00" }', 'must be a time of day'],
    ['hours: { days: [monday], from: "09:00", to: "17:00" }', 'is not a day'],
    ['hours: { from: "09:00", to: "17:00", utc_offset: "Europe/Berlin" }', 'must be an offset from UTC'],
    ['risk: { max: 101 }', 'a whole number from 0 to 100'],
    ['step_up: { when: args.amount > 5 }', 'demands nothing'],
    ['step_up: { amr: [mfa], when: args.amuont > 5 }', 'did you mean `amount`'],
    ['step_up: { amr: [mfa], when: args.id }', 'yields string, not true or false'],
    ['reviewed: args.amount', 'yields decimal, not text'],
    ['approval: { by: { role: a, group: b } }', 'exactly one of role, group and person'],
    ['approval: { by: {} }', 'exactly one of role, group and person'],
    ['approval: { by: { role: a }, count: 0 }', 'a whole number from 1 to 16'],
    ['delegation: {}', 'demands nothing'],
    ['max: { count: 0 }', 'a whole number from 1'],
    ['max: { per: args.id }', 'lacks `count`'],
    ['sequence: { consecutive: 0 }', 'a whole number from 1'],
    ['budget: { sum: args.id, max: "5" }', 'yields string, not a whole number or a decimal'],
    ['budget: { sum: args.amount, max: "-1" }', 'not negative'],
    ['budget: { sum: args.amount, max: 1e3 }', 'must be a decimal'],
    ['budget: { sum: args.amount, max: "${env.word}" }', 'is no number of the environment'],
    ['budget: { sum: args.amount, max: "${env.none}" }', 'is no number of the environment'],
    ['after: [{ tool: crm/read, with: {} }]', '`with` names no argument'],
    ['after: [{ tool: crm/read, with: { nr: args.id } }]', 'no argument `nr`'],
    ['after: [{ tool: crm/read, with: { id: args.none } }]', 'no argument `none`'],
    ['when: args.id in session.touched.order', '`order`'],
    ['when: args.id in session.remembered.record', '`record`'],
  ])('%s: %s', (rule, problem) => {
    const [first = '', ...others] = problemsOf(rule);
    expect(first).toMatch(/^p\.yaml:\d+:\d+: /);
    expect([first, ...others].join('\n')).toContain(problem);
  });

  test('a deny rule has none of them', () => {
    for (const field of ['task: [a]', 'risk: { max: 1 }', 'max: { count: 1 }', 'approval: { by: { role: a } }', 'step_up: { amr: [a] }']) {
      const parsed = parseDocuments([{ path: 'p.yaml', text: `${WORLD}  - { id: r, deny: [crm/pay], ${field} }\n` }]);
      const problems = parsed.ok ? [] : parsed.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
      expect(problems).toEqual([expect.stringContaining('a deny rule cannot have')]);
    }
  });
});

test('selectors by HTTP method', () => {
  const text = `${WORLD}  - { id: reads, allow: [{ method: GET }], for: { roles: [guest] } }
  - { id: no-posts, deny: [{ method: POST }], for: { roles: [guest] } }
---
kind: Test
given: { roles: [guest] }
cases:
  - { call: crm/read, args: { id: X }, expect: allow }
  - { call: crm/check, args: { record: X }, expect: no_matching_policy }
`;
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  expect(runTests(built.value.policy).problems.map(formatProblem)).toEqual([]);
  expect(built.value.features).toContain('selector.method');
});

describe('facts that nothing has told', () => {
  const world = `${WORLD}  - { id: r, allow: [crm/pay], when: CONDITION }\n`;
  const SESSION = { id: 's', attempted: [], completed: [], failed: [], denied: [], hasCompleted: () => false };

  test.each([
    'session.age_s != 5',
    'session.age_s == null || session.age_s != 5',
    '!(session.age_s > 5)',
    'size(session.classes) == 0',
    '!("pii" in session.classes)',
    'session.classes != ["a"]',
    'session.root != "schedule"',
    '!(args.id in session.touched.record)',
    'size(session.touched.record) == 0',
    '!session.touched.record.exists(x, x == args.id)',
  ])('deny whatever reads them, also where it asks for their absence: %s', (condition) => {
    const parsed = parseDocuments([{ path: 'p.yaml', text: world.replace('CONDITION', JSON.stringify(condition)) }]);
    const built = parsed.ok ? buildParts(parsed.value) : parsed;
    if (!built.ok) return expect(built.error.map(formatProblem).join('\n')).toContain(condition.includes('null') ? 'null' : 'never');
    const { policy } = built.value;
    const tool = policy.tool('crm/pay' as ToolName);
    const args = policy.argumentSchema('crm/pay' as ToolName)?.validate(judged('{"id":"R-1"}'));
    if (tool === undefined || args?.ok !== true) throw new Error('no such call');
    const principal = { id: 'alice', kind: 'person', tenant: 't', issuer: 'i', roles: [], scopes: [], attributes: {}, authenticatedAt: 0 };
    const input = { principal, agent: 'desk', tool, args: args.value, session: SESSION, now: 5_000 } as unknown as PolicyInput;
    expect(decide(policy, input)).toMatchObject({ decision: 'deny', code: 'no_matching_policy', ruleId: 'r' });
    return undefined;
  });
});
