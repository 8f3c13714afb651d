import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runTests } from '../run-tests.ts';
import { policyOf } from '../testing/policies.ts';
import { allowsMore, diffPolicies } from './diff.ts';

/** Fields of a rule, each absent or one of a few values that order by strictness or not at all. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  for: ['{ roles: [a] }', '{ roles: [a, b] }', '{ tenants: [test] }', '{ roles: [b], tenants: [test] }'],
  scopes: ['[s]', '[s, t]'],
  when: ['args.amount < 5', 'args.amount <= 5', 'args.amount > 2'],
  arguments: ['{ amount: { maximum: 4 } }', '{ amount: { maximum: 6 } }', '{ currency: { enum: [EUR] } }'],
  risk: ['{ max: 10 }', '{ max: 20 }'],
  max: ['{ count: 1 }', '{ count: 2 }'],
  budget: ['{ sum: args.amount, max: "5" }', '{ sum: args.amount, max: "7" }'],
};

/** Where a rule stands, and each of its fields. */
const PLACES: readonly string[] = [
  ...Object.keys(FIELDS).map((field) => `allow ${field}`),
  ...['for', 'when'].flatMap((field) => [`deny ${field}`, `require ${field}`]),
  'deny',
  'require',
];

type Written = Readonly<Record<string, string>>;

const written: fc.Arbitrary<Written> = fc
  .tuple(...PLACES.map((place) => fc.option(fc.constantFrom(...(FIELDS[place.split(' ')[1] ?? ''] ?? ['yes'])), { nil: '' })))
  .map((values) => Object.fromEntries(PLACES.map((place, index) => [place, values[index] ?? ''])));

/** A policy, and the same with one or two places changed. */
const pair: fc.Arbitrary<readonly [string, string]> = fc
  .tuple(written, written, fc.constantFrom(...PLACES), fc.constantFrom(...PLACES))
  .map(([before, other, one, two]) => [rulesOf(before), rulesOf({ ...before, [one]: other[one] ?? '', [two]: other[two] ?? '' })]);

function rulesOf(spec: Written): string {
  const fields = (verb: string): string =>
    PLACES.filter((place) => place.startsWith(`${verb} `) && spec[place] !== '')
      .map((place) => `, ${place.split(' ')[1]}: ${spec[place]}`)
      .join('');
  const [deny, require] = [fields('deny'), fields('require')];
  return [
    '  - { id: base, allow: [pay/find] }\n',
    `  - { id: allow, allow: [pay/refund]${fields('allow')} }\n`,
    // Without `for` and `when` it would deny everything, and the allow rule could never match.
    spec['deny'] === '' || deny === '' ? '' : `  - { id: deny, deny: [pay/refund]${deny} }\n`,
    spec['require'] === '' ? '' : `  - { id: require, require: [{ class: money }]${require}, scopes: [s] }\n`,
  ].join('');
}

const CALLS = `kind: Test
given: GIVEN
cases:
${[1, 2, 3, 4, 5, 6, 7].flatMap((amount) => ['', ', currency: EUR', ', currency: USD'].map((more) => `  - { call: pay/refund, args: { order: A, amount: ${amount}${more} }, expect: allow }`)).join('\n')}
steps:
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
`;
const GIVENS = [
  '{ roles: [a] }',
  '{ roles: [b], scopes: [s] }',
  '{ roles: [a, b], scopes: [s, t], session: { risk: 15 } }',
  '{ scopes: [s, t], session: { risk: 10 } }',
  '{ roles: [a], scopes: [s, t], tenant: other, session: { risk: 0 } }',
];

/** Calls that no difference has seen: they stand in a third policy. */
const { policy: tries } = policyOf({
  rules: '  - { id: base, allow: ["pay/*"] }\n',
  more: GIVENS.map((given) => CALLS.replace('GIVEN', given)).join('---\n'),
});

test('changes none of which could allow more let no call through that was denied before', () => {
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const [old, now] = [policyOf({ rules: before }), policyOf({ rules: after })];
      const found = diffPolicies(old, now);
      // What the calls show is set aside: the change alone has to tell.
      if (found.changes.some(({ couldAllowMore }) => couldAllowMore)) return;
      expect(allowsMore({ ...found, newlyAllowed: [] })).toBe(false);
      const [was, is] = [runTests(old.policy, tries.parts.tests).outcomes, runTests(now.policy, tries.parts.tests).outcomes];
      const through = is.filter((one, index) => one.seen === 'allow' && was[index]?.seen !== 'allow');
      // In a session a step that is newly denied takes nothing, so that a later one may: only single calls are promised.
      expect(through.filter(({ source }) => !STEPS.has(source.line))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

const STEPS: ReadonlySet<number> = new Set(tries.parts.tests.flatMap(({ steps }) => steps.map(({ source }) => source.line)));

test('a tool that is said to be answered alike is: what is not touched has no call that differs', () => {
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const [old, now] = [policyOf({ rules: before }), policyOf({ rules: after })];
      if (diffPolicies(old, now).touched.some(({ tool }) => tool === 'pay/refund')) return;
      const seen = (policy: typeof old): readonly string[] => runTests(policy.policy, tries.parts.tests).outcomes.map((one) => one.seen);
      expect(seen(now)).toEqual(seen(old));
    }),
    { numRuns: 80 },
  );
});
