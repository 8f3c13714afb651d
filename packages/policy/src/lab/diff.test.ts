import { describe, expect, test } from 'vitest';
import { policyOf } from '../testing/policies.ts';
import type { Written } from '../testing/policies.ts';
import { allowsMore, diffPolicies } from './diff.ts';
import type { PolicyDiff } from './diff.ts';

const rule = (fields: string, verb = 'allow'): string => `  - { id: refund, ${verb}: [pay/refund], ${fields} }\n`;
const CLERK = 'for: { roles: [clerk] }';
const TEST = `kind: Test
given: { roles: [clerk], scopes: [money] }
cases: [{ call: pay/refund, args: { order: A, amount: 5 }, expect: EXPECT }]
`;

function diff(before: Written, after: Written, amend?: (text: string) => string): PolicyDiff {
  return diffPolicies(policyOf(before), policyOf(after, amend));
}
const between = (before: string, after: string): PolicyDiff => diff({ rules: before }, { rules: after });
const calls = (list: PolicyDiff['newlyAllowed']): readonly string[] =>
  list.map(({ tool, args, before, after }) => `${tool} ${args} ${before} -> ${after}`);

describe('a difference', () => {
  test('of a policy and itself is none, whatever the tests and comments', () => {
    const rules = rule(`${CLERK}, when: args.amount <= 500`);
    const found = diff({ rules, more: TEST.replace('EXPECT', 'allow') }, { rules: `# a comment\n${rules}` });
    expect(found).toMatchObject({ changes: [], newlyAllowed: [], newlyDenied: [], codeChanged: [], touched: [], untouched: 1 });
    expect(allowsMore(found)).toBe(false);
  });

  test('is the same every time', () => {
    const [before, after] = [rule(CLERK), rule(`for: { roles: [lead, clerk] }, scopes: [money]`)];
    expect(between(before, after)).toEqual(between(before, after));
  });

  test.each([
    [
      'a greater maximum',
      `${CLERK}, arguments: { amount: { maximum: 100 } }`,
      `${CLERK}, arguments: { amount: { maximum: 200 } }`,
      '"amount":200',
    ],
    ['a greater literal in a condition', `${CLERK}, when: args.amount <= 100`, `${CLERK}, when: args.amount <= 200`, '"amount":200'],
    ['an exclusive bound that became inclusive', `${CLERK}, when: args.amount < 100`, `${CLERK}, when: args.amount <= 100`, '"amount":100'],
    [
      'one more member of an enum',
      `arguments: { currency: { enum: [EUR] } }`,
      `arguments: { currency: { enum: [EUR, USD] } }`,
      '"currency":"USD"',
    ],
    ['a requirement that went', `${CLERK}, scopes: [money]`, CLERK, '"order"'],
    ['one call more', `${CLERK}, max: { count: 1 }`, `${CLERK}, max: { count: 2 }`, '"order"'],
    ['once that became twice', `${CLERK}, once: {}`, `${CLERK}, max: { count: 2 }`, '"order"'],
    [
      'a limit of a budget',
      `${CLERK}, budget: { sum: args.amount, max: "100" }`,
      `${CLERK}, budget: { sum: args.amount, max: "100.01" }`,
      '"amount":100.01',
    ],
    ['a risk', 'risk: { max: 10 }', 'risk: { max: 11 }', '"order"'],
    ['an order of calls that went', `${CLERK}, after: [pay/find]`, CLERK, '"order"'],
  ])('shows the call that %s newly allows', (_, before, after, shown) => {
    const open = '  - { id: find, allow: [pay/find] }\n';
    const found = between(open + rule(before), open + rule(after));
    expect(calls(found.newlyAllowed).join('\n')).toContain(shown);
    expect(allowsMore(found)).toBe(true);
    // The other way round the same calls are newly denied.
    expect(found.newlyDenied).toEqual([]);
  });

  test('shows a role that came and one that went, by who may call now', () => {
    const found = between(rule(CLERK), rule('for: { roles: [lead] }'));
    expect(found.newlyAllowed.map(({ given, ruleAfter }) => [given.roles, ruleAfter])).toContainEqual([['lead'], 'refund']);
    expect(found.newlyDenied.map(({ given, after }) => [given.roles, after])).toContainEqual([['clerk'], 'tool_not_allowed']);
  });

  test('names a code that changed, though the call stays denied', () => {
    const found = between(rule(`${CLERK}, scopes: [money]`), rule(`${CLERK}, bind: [args.order == session.case]`));
    expect(found.codeChanged.map((one) => `${one.before} -> ${one.after}`)).toContain('insufficient_scope -> resource_binding_mismatch');
  });

  test('runs the tests of both sides, and names the case', () => {
    const [before, after] = [rule(CLERK), rule(`${CLERK}, when: args.amount < 5`)];
    const found = diff({ rules: before, more: TEST.replace('EXPECT', 'allow') }, { rules: after });
    expect(found.newlyDenied[0]).toMatchObject({ source: { file: 'p.yaml' }, before: 'allow', after: 'no_matching_policy' });
  });

  test('proves what it does not try: tools whose rules, schema and values are the same', () => {
    const open = '  - { id: find, allow: [pay/find] }\n';
    const found = between(open + rule(CLERK), open + rule(`${CLERK}, scopes: [money]`));
    expect(found.touched).toEqual([{ agent: 'triage', tool: 'pay/refund' }]);
    expect(found.untouched).toBe(1);
  });

  test('of a tool that became money shows in every rule about its class', () => {
    const rules = '  - { id: open, allow: [pay/refund] }\n  - { id: m, require: [{ class: money }], scopes: [money] }\n';
    const found = diff({ rules: rules.replace('class: money', 'effect: write') }, { rules }, (text) =>
      text.replace('classes: [money]', 'classes: [money, pii]'),
    );
    expect(
      found.changes.map(({ kind, name, fields, couldAllowMore }) => [kind, name, fields.map(({ field }) => field), couldAllowMore]),
    ).toEqual([
      ['rule', 'm', ['require'], true],
      ['tool', 'pay/refund', ['classes'], true],
    ]);
  });

  test('of environments alone says which values differ, and that the policy is identical', () => {
    const more = (max: string): string => `kind: Environment\nvalues: { refund_max: { decimal: "${max}" }, unread: { string: a${max} } }\n`;
    const rules = rule(`${CLERK}, when: args.amount <= env.refund_max`);
    const found = diff({ rules, more: more('500') }, { rules, more: more('600') });
    expect(found.changes.map(({ kind, name, couldAllowMore }) => [kind, name, couldAllowMore])).toEqual([
      ['value', 'refund_max', true],
      ['value', 'unread', false],
    ]);
    expect(calls(found.newlyAllowed).join('\n')).toContain('"amount":600');
  });
});

describe('what is tried', () => {
  test('is bounded for each tool, and the difference says where there was more', () => {
    const members = Array.from({ length: 450 }, (_, index) => `C${index}`).join(', ');
    const wide = (text: string): string => text.replace('enum: [EUR, USD]', `enum: [${members}]`);
    const many = (max: number): ReturnType<typeof policyOf> => policyOf({ rules: rule(`when: args.amount < ${max}`) }, wide);
    const found = diffPolicies(many(5), many(6));
    expect([found.tried, found.isCut]).toEqual([400, true]);
  });

  test('and what is not looks at values however a condition spells them', () => {
    const more = (max: string): string => `kind: Environment\nvalues: { most: { decimal: "${max}" } }\n`;
    const rules = rule(`when: 'args.amount <= env["most"]'`);
    const found = diff({ rules, more: more('5') }, { rules, more: more('6') });
    expect([found.touched.length, allowsMore(found)]).toEqual([1, true]);
  });
});

describe('a change that can only deny more needs nobody', () => {
  test.each([
    ['a denial that came', rule(CLERK), `${rule(CLERK)}  - { id: never, deny: [pay/refund], when: args.amount > 5 }\n`],
    ['a requirement that came', rule(CLERK), rule(`${CLERK}, scopes: [money]`)],
    ['a smaller maximum', rule('arguments: { amount: { maximum: 9 } }'), rule('arguments: { amount: { maximum: 8 } }')],
    ['a role that went', rule('for: { roles: [a, b] }'), rule('for: { roles: [a] }')],
    ['a grant that went', `${rule(CLERK)}  - { id: b, allow: [pay/find] }\n`, rule(CLERK)],
    ['a tool fewer in a grant', '  - { id: a, allow: [pay/find, pay/refund] }\n', '  - { id: a, allow: [pay/find] }\n'],
    [
      'a tool more in a denial',
      `  - { id: a, allow: ["pay/*"] }\n  - { id: d, deny: [pay/drop] }\n`,
      `  - { id: a, allow: ["pay/*"] }\n  - { id: d, deny: [pay/drop, pay/refund] }\n`,
    ],
    [
      'a denial of more people',
      `${rule(CLERK)}  - { id: d, deny: [pay/refund], for: { roles: [x] } }\n`,
      `${rule(CLERK)}  - { id: d, deny: [pay/refund], for: { roles: [x, y] } }\n`,
    ],
    ['a smaller budget', rule('budget: { sum: args.amount, max: "9" }'), rule('budget: { sum: args.amount, max: "8.99" }')],
  ])('%s', (_, before, after) => {
    const found = between(before, after);
    expect([found.newlyAllowed, allowsMore(found), found.changes.length]).toEqual([[], false, 1]);
    // And the other way round it does.
    expect(allowsMore(between(after, before))).toBe(true);
  });
});

describe('what decides nothing', () => {
  const shadow = '  - { id: s, allow: [pay/find], shadow: true }\n';
  test('a grant in shadow needs nobody, one that comes out of it does', () => {
    expect(allowsMore(between(rule(CLERK), rule(CLERK) + shadow))).toBe(false);
    expect(allowsMore(between(rule(CLERK) + shadow, rule(CLERK) + shadow.replace(', shadow: true', '')))).toBe(true);
  });

  test('a denial that goes into shadow is a denial less', () => {
    const denial = '  - { id: d, deny: [pay/refund], when: args.amount > 5 }\n';
    expect(allowsMore(between(rule(CLERK) + denial, rule(CLERK) + denial.replace(' }', ', shadow: true }')))).toBe(true);
  });

  test('an Observe lets pass what rules refuse, and no test shows it', () => {
    const more = 'kind: Observe\nagents: [triage]\nuntil: "2026-12-01T00:00:00.000Z"\n';
    const found = diff({ rules: rule(CLERK) }, { rules: rule(CLERK), more });
    expect([found.changes.map(({ kind }) => kind), allowsMore(found)]).toEqual([['observe'], true]);
  });
});

describe('a change that could allow more is named though no call shows it', () => {
  test.each([
    ['a condition in other words', rule('when: args.order.startsWith("A")'), rule('when: args.order.contains("A")')],
    ['a window of a limit', rule('once: { within: 2d }'), rule('once: { within: 1d }')],
    ['a pattern', rule('arguments: { order: { pattern: "^A$" } }'), rule('arguments: { order: { pattern: "^[A-Z]{9}$" } }')],
    ['who counts as nobody', rule(CLERK), rule('for: { roles: [clerk, anonymous] }')],
    ['a guard of a demand', rule('step_up: { max_age: 5m }'), rule('step_up: { max_age: 5m, when: args.amount > 90071992547 }')],
  ])('%s', (_, before, after) => {
    expect(allowsMore(between(before, after))).toBe(true);
  });

  test('another place that calls go to, and another issuer that is believed', () => {
    const rules = rule(CLERK);
    const moved = diff({ rules }, { rules }, (text) => text.replace('https://pay.internal', 'https://pay2.internal'));
    expect([moved.newlyAllowed, allowsMore(moved)]).toEqual([[], true]);
  });

  const agentOf =
    (fields: string): ((text: string) => string) =>
    (text) =>
      text.replace(/^(name: triage\n)/m, `$1${fields}\n`);
  const ISSUER = `---\nkind: Issuer\nissuer: https://a.example\naudience: s\ndiscovery: true\n`;

  test.each<[string, string, string, boolean]>([
    ['callers where there were none', '', 'callers: [{ roles: [a] }]', true],
    ['no callers where there were some', 'callers: [{ roles: [a] }]', '', true],
    ['one role more', 'callers: [{ roles: [a] }]', 'callers: [{ roles: [a, b] }]', true],
    ['one grant more', 'callers: [{ roles: [a] }]', 'callers: [{ roles: [a] }, { tenants: [t] }]', true],
    ['a scope less', 'callers: [{ roles: [a], scopes: [x, y] }]', 'callers: [{ roles: [a], scopes: [x] }]', true],
    ['a tenant that is not asked for any more', 'callers: [{ roles: [a], tenants: [t] }]', 'callers: [{ roles: [a] }]', true],
    ['a role instead of a tenant', 'callers: [{ tenants: [t] }]', 'callers: [{ roles: [a] }]', true],
    ['one role less', 'callers: [{ roles: [a, b] }]', 'callers: [{ roles: [a] }]', false],
    ['one grant less', 'callers: [{ roles: [a] }, { tenants: [t] }]', 'callers: [{ tenants: [t] }]', false],
    ['a scope more', 'callers: [{ roles: [a] }]', 'callers: [{ roles: [a], scopes: [x] }]', false],
    ['nobody any more', 'callers: [{ roles: [a] }]', 'callers: []', false],
    [
      'a job that begins sessions',
      'sessions: { roots: [operator, event] }',
      'sessions: { roots: [operator, event], jobs: [{ name: j, root: event }] }',
      true,
    ],
  ])('an agent with %s: %s -> %s', (_, before, after, could) => {
    const side = (fields: string): ReturnType<typeof policyOf> => policyOf({ rules: rule(CLERK) }, agentOf(fields));
    const found = diffPolicies(side(before), side(after));
    expect(found.changes.map(({ kind, couldAllowMore }) => [kind, couldAllowMore])).toEqual([['agent', could]]);
  });

  test.each<[string, string, boolean]>([
    ['that nobody reaches', '', false],
    ['that somebody reaches', 'callers: [{ roles: [a] }]\n', true],
    ['that nobody may reach', 'callers: []\n', false],
    ['that begins sessions', 'sessions: { roots: [event], jobs: [{ name: j, root: event }] }\n', true],
  ])('a new agent %s', (_, fields, could) => {
    const rules = rule(CLERK);
    const found = diff({ rules }, { rules, more: `kind: Agent\nname: clerk\nowner: t\nuses: []\n${fields}` });
    expect(found.changes.map(({ kind, name, couldAllowMore }) => [kind, name, couldAllowMore])).toEqual([['agent', 'clerk', could]]);
  });

  test.each<[string, string, string, boolean]>([
    ['that asks for strict claims', '', 'strict_claims: true\nclaims: { run_id: r }\n', true],
    ['that asks for strict claims, its mapping as before', 'claims: { run_id: r }\n', 'claims: { run_id: r }\nstrict_claims: true\n', true],
    ['that asks for none any more', 'claims: { run_id: r }\nrequired_claims: [run_id]\n', 'claims: { run_id: r }\n', true],
    ['that asks for one', 'claims: { run_id: r }\n', 'claims: { run_id: r }\nrequired_claims: [run_id]\n', false],
    ['that asks for one less', 'required_claims: [case, roles]\n', 'required_claims: [roles]\n', true],
    ['whose tokens live longer', 'max_lifetime: 5m\n', 'max_lifetime: 10m\n', true],
    ['that maps another claim', 'claims: { roles: a }\n', 'claims: { roles: b }\n', true],
    ['with an algorithm more', 'algorithms: [ES256]\n', 'algorithms: [ES256, RS256]\n', true],
    ['with an algorithm less', 'algorithms: [ES256, RS256]\n', 'algorithms: [ES256]\n', false],
  ])('an issuer %s', (_, before, after, could) => {
    const rules = rule(CLERK);
    const side = (fields: string): { rules: string; more: string } => ({ rules, more: ISSUER.replace('---\n', '') + fields });
    const found = diff(side(before), side(after));
    expect(found.changes.map(({ kind, couldAllowMore }) => [kind, couldAllowMore])).toEqual([['issuer', could]]);
  });

  test('a grant without `for` that is given to nobody in particular', () => {
    const open = '  - { id: open, allow: [pay/find] }\n';
    const more = 'kind: Test\ncases: [{ call: pay/find, args: { order: A }, expect: allow }]\n';
    const found = diff({ rules: open, more }, { rules: open.replace(' }', ', for: { principals: [anonymous] } }') });
    expect(allowsMore(found)).toBe(true);
    expect(found.newlyAllowed.some(({ given }) => given.principal === 'anonymous')).toBe(true);
  });
});
