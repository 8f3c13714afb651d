/** Policies made by chance, in pairs that differ in little. Used by tests only. */

import * as fc from 'fast-check';

/** Fields of a rule, each absent or one of a few values that order by strictness or not at all. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  for: ['{ roles: [a] }', '{ roles: [a, b] }', '{ tenants: [test] }', '{ roles: [b], tenants: [test] }'],
  scopes: ['[s]', '[s, t]'],
  when: [
    'args.amount < 5',
    'args.amount <= 5',
    'args.amount > 2',
    'principal.tenant == "test"',
    'has(args.currency) || principal.id == "test"',
    'has(session.case) && session.case == "A" && args.amount < 5',
  ],
  arguments: ['{ amount: { maximum: 4 } }', '{ amount: { maximum: 6 } }', '{ currency: { enum: [EUR] } }'],
  bind: ['[args.order == session.case]', '[args.order == session.case, principal.id == "test"]'],
  after: ['[pay/find]'],
  task: ['[t]', '[t, u]'],
  require_purpose: ['true'],
  hours: ['{ from: "09:00", to: "17:00" }'],
  risk: ['{ max: 10 }', '{ max: 20 }'],
  isolation: ['enforced', 'advisory'],
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
export const pair: fc.Arbitrary<readonly [string, string]> = fc
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
