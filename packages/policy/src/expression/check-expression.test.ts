import { describe, expect, test } from 'vitest';
import { compileSchema } from '@sallyport/strict';
import { Decimal } from '@sallyport/model';
import type { Issuer } from '@sallyport/model';
import { parseExpression } from './cel.ts';
import { checkExpression } from './check-expression.ts';
import type { CheckOptions } from './check-expression.ts';
import { argumentsType, sharedScope } from './types.ts';

const SCHEMA = compileSchema(
  {
    type: 'object',
    required: ['amount', 'name', 'count', 'tags', 'items', 'owner'],
    properties: {
      amount: { type: 'number', format: 'decimal' },
      count: { type: 'integer' },
      ratio: { type: 'number' },
      name: { type: 'string' },
      currency: { enum: ['EUR', 'USD'] },
      flag: { type: 'boolean' },
      tags: { type: 'array', items: { type: 'string' }, maxItems: 10 },
      items: {
        type: 'array',
        maxItems: 1_000,
        items: { type: 'object', required: ['sku'], properties: { sku: { type: 'string' }, price: { type: 'number', format: 'decimal' } } },
      },
      owner: { type: 'object', required: ['id'], properties: { id: { type: 'string' }, note: { type: 'string' } } },
      open: { type: 'object', additionalProperties: true },
      endless: { type: 'array', items: { type: 'string' } },
      either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
    },
  },
  'arguments',
);
const TYPED = {
  center: { claim: 'cost_center', type: 'string' },
  centers: { claim: 'cost_centers', type: 'strings' },
  level: { claim: 'level', type: 'integer' },
  cap: { claim: 'cap', type: 'decimal' },
  staff: { claim: 'staff', type: 'boolean' },
};
const ISSUER = {
  claims: { attributes: { region: { claim: 'region' }, limit: { claim: 'spending_limit' }, ...TYPED } },
} as unknown as Issuer;

function check(text: string, options: Partial<CheckOptions> = {}, elsewhere: readonly string[] = []): readonly string[] {
  if (!SCHEMA.ok) throw new Error(JSON.stringify(SCHEMA.error));
  const parsed = parseExpression(text);
  if (!parsed.ok) throw new Error(parsed.error[0]?.message);
  const environment = { max: { type: 'decimal', value: Decimal.fromBigInt(500n) }, regions: { type: 'strings', value: ['eu'] } } as const;
  const scope = new Map([
    ...sharedScope([ISSUER], environment, { touched: [], remembered: [] }),
    ['args', argumentsType(SCHEMA.value.type, elsewhere)] as const,
  ]);
  const { problems, constants } = checkExpression(parsed.value, scope, { wants: 'bool', guardsAbsence: false, ...options });
  return [...problems, ...constants].map(({ message, remedy }) => (remedy === undefined ? message : `${message} (${remedy})`));
}

describe('checkExpression', () => {
  test.each([
    'args.amount <= 500',
    'args.amount <= decimal("500.01") && 0 < args.amount',
    'args.amount <= env.max',
    'args.amount <= principal.attributes.limit',
    'args.count == 5 || args.count in [1, 2, 3]',
    'args.ratio < 0.5 && args.ratio < 1',
    'args.currency == "EUR"',
    'args.currency in ["EUR", "GBP"]',
    'args.name == session.case',
    'args.name == principal.id',
    'args.owner.id == principal.tenant',
    'args["owner"]["id"] == agent.owner',
    'env.regions.exists(region, region == principal.attributes.region)',
    '"clerk" in principal.roles && !("orders/get" in session.completed)',
    'args.items.all(item, item.sku.startsWith("a") && (!has(item.price) || item.price < 5))',
    'args.tags.filter(tag, tag.contains("x")).size() < 3',
    'args.items.map(item, item.sku).exists(sku, sku == args.name)',
    'tool.effect == "read" && tool.server == "orders"',
    'args.tags == ["a"] || args.count in [1.0] || args.amount in [decimal("1")]',
    'args.name in principal.attributes.region',
    'principal.attributes.center in env.regions',
    'principal.attributes.center == args.name',
    'args.name in principal.attributes.centers',
    'principal.attributes.centers.exists(c, c in env.regions)',
    'principal.attributes.level in [1, 2] && principal.attributes.level + 1 < 4',
    'args.amount <= principal.attributes.cap && principal.attributes.staff',
    'chain.all(hop, hop.first_party)',
    'args.flag',
    'args.either == "x" || args.either == 5',
    'has(args.open.anything) && args.open.anything == 3',
    'args.name.matches("^[a-z]+$") == true',
    'string(args.count) == args.name',
    'args.count > 0 ? args.name == "x" : args.name == "y"',
    'args.count + 1 < 10 && args.count * 2 != 4 && -args.count < 0',
    'args.amount + 5 < 10 && args.amount - decimal("0.5") > 0',
  ])('accepts %s', (text) => {
    expect(check(text)).toEqual([]);
  });

  test.each([
    ['args.amount <= 500.5', '`500.5` is a double, which cannot stand beside decimal (write decimal("500.5"))'],
    ['500.5 >= args.amount', '`500.5` is a double, which cannot stand beside decimal (write decimal("500.5"))'],
    [
      'principal.attributes.limit <= 0.1',
      '`0.1` is a double, which cannot stand beside a type known only at run time (write decimal("0.1"))',
    ],
    ['args.amount in [0.1]', 'cannot apply `in` to decimal and list of double (compare one by one: list.exists(x, x == value))'],
    ['args.amount in [1]', 'cannot apply `in` to decimal and list of int (compare one by one: list.exists(x, x == value))'],
    [
      'principal.attributes.region in env.regions',
      'cannot apply `in` to a type known only at run time and list of string (say its type where the claim is mapped: { claim: …, type: string })',
    ],
    [
      'principal.attributes.level == "3"',
      'cannot apply `==` to int and string (a number and text never compare: mend the schema, or quote the number)',
    ],
    ['principal.attributes.center in [1]', 'cannot apply `in` to string and list of int (compare one by one: list.exists(x, x == value))'],
    ['principal.attributes.cap < 0.5', '`0.5` is a double, which cannot stand beside decimal (write decimal("0.5"))'],
    ['principal.attributes.centers == "x"', 'cannot apply `==` to list of string and string'],
    ['args.name in []', 'cannot apply `in` to string and list of a type known only at run time (nothing is in an empty list)'],
    ['args.amount <= args.ratio', 'cannot apply `<=` to decimal and double (declare the argument with `format: decimal`)'],
    [
      'args.amount == "500"',
      'cannot apply `==` to decimal and string (a number and text never compare: mend the schema, or quote the number)',
    ],
    ['args.name == 5', 'cannot apply `==` to string and int (a number and text never compare: mend the schema, or quote the number)'],
    ['args.name < true', 'cannot apply `<` to string and bool'],
    ['args.tags == "x"', 'cannot apply `==` to list of string and string'],
    ['5 in args.tags', 'cannot apply `in` to int and list of string (compare one by one: list.exists(x, x == value))'],
    ['args.ratio / args.ratio > 1.0', 'cannot apply `/` to double and double'],
    ['args.either + 1 > 2', 'cannot apply `+` to a type known only at run time and int'],
    ['args.amount * 2 > 4', 'cannot apply `*` to decimal and int'],
    [
      '5 in principal.attributes.region',
      'cannot apply `in` to int and a type known only at run time (compare one by one: list.exists(x, x == value))',
    ],
    ['args.tags == []', 'cannot apply `==` to list of string and list of a type known only at run time'],
    ['args.tags == [1]', 'cannot apply `==` to list of string and list of int'],
    ['args.owner == args.owner', 'cannot apply `==` to record and record'],
    ['args.nam == "x"', 'no argument `nam` (did you mean `name`)'],
    ['args.owner.ident == "x"', 'no argument `ident` (there are `id`, `note`)'],
    ['args.name.length == 3', 'string has no field `length`'],
    ['session.cases == args.name', 'no field `cases` (did you mean `case`)'],
    ['principal.attributes.regoin == "eu"', 'no attribute `regoin` (did you mean `region`)'],
    ['env.maximum < 5', 'no environment value `maximum` (there are `max`, `regions`; declare it in a document of kind Environment)'],
    ['arg.name == "x"', 'no variable `arg` (did you mean `args`)'],
    ['args.name', 'yields string, not true or false'],
    ['args.count && true', 'is int, not true or false'],
    ['!args.name', 'is string, not true or false'],
    ['args.name.startswith("x")', 'no function `startswith` (did you mean `startsWith`)'],
    ['startsWith(args.name, "x")', '`startsWith` does not take string and string (write text.startsWith("…"))'],
    ['args.count.startsWith("x")', '`startsWith` does not take int and string (write text.startsWith("…"))'],
    ['args.name.matches(args.currency)', '`matches` takes a constant (write the text itself, in quotes)'],
    ['args.name.matches("(?=a)")', '`(?=a)` is not a pattern: look-around cannot be matched in linear time (use what RE2 accepts)'],
    ['args.name.matches("(a)\\\\1")', '`(a)\\1` is not a pattern: back-references cannot be matched in linear time (use what RE2 accepts)'],
    ['args.amount < decimal("1e3")', '`1e3` is not a decimal (digits, at most one point, at most 38 digits)'],
    ['args.amount < decimal(args.name)', '`decimal` takes a constant (write the text itself, in quotes)'],
    [
      'timestamp(args.name) == timestamp("x")',
      'no function `timestamp` (there are size, startsWith, endsWith, contains, matches, decimal, string, has, all, exists, exists_one, filter, map)',
    ],
    ['args.name.exists(c, c == "x")', '`exists` walks lists, not string'],
    ['args.tags.exists(args, args == "x")', '`args` already has a meaning here (choose another name)'],
    ['args.tags[0.5] == "x"', 'a position must be a whole number'],
    ['[1, "a"].exists(x, x == args.count)', 'a list of int cannot hold string'],
    ['(args.count > 0 ? "x" : 5) == "x"', 'yields string or int (let both branches yield the same type)'],
    ['has(args)', '`has` takes a field, such as has(args.note)'],
    ['has(args.nope)', 'no argument `nope`'],
    ['1 < 2', 'does not read the call, so it always or never holds (leave it out, or compare with an argument)'],
    ['[1, 2].all(x, x > 0)', 'does not read the call, so it always or never holds (leave it out, or compare with an argument)'],
    ['args.currency == "GBP"', '`EUR` or `USD` is never `GBP` (compare with a value that can occur)'],
    ['args.currency != "GBP"', '`EUR` or `USD` is never `GBP` (compare with a value that can occur)'],
    ['args.currency in ["GBP", "CHF"]', '`EUR` or `USD` is never `GBP` or `CHF` (compare with a value that can occur)'],
  ])('refuses %s', (text, problem) => {
    expect(check(text)).toContain(problem);
  });

  test.each([
    ['args.ratio > 1', '`args.ratio` may be absent, and this rule would then deny (guard it: has(args.ratio) && …)'],
    ['session.case == args.name', '`session.case` may be absent, and this rule would then deny (guard it: has(session.case) && …)'],
    [
      'principal.attributes.region == "eu"',
      '`principal.attributes.region` may be absent, and this rule would then deny (guard it: has(principal.attributes.region) && …)',
    ],
    ['has(args.ratio) || args.ratio > 1', '`args.ratio` may be absent, and this rule would then deny (guard it: has(args.ratio) && …)'],
    ['args.items.all(item, item.price > 1)', '`item.price` may be absent, and this rule would then deny (guard it: has(item.price) && …)'],
  ])('in a deny rule, %s needs a guard', (text, problem) => {
    expect(check(text, { guardsAbsence: true })).toEqual([problem]);
    expect(check(text, { guardsAbsence: false })).toEqual([]);
  });

  test.each([
    'has(args.ratio) && args.ratio > 1.0',
    '!has(args.ratio) || args.ratio > 1.0',
    'has(args.ratio) ? args.ratio > 1.0 : args.count > 1',
    '!(has(args.ratio) && args.ratio > 1.0)',
    'has(args.ratio) && args["ratio"] > 1.0',
    'has(args.ratio) && has(args.currency) && (args.ratio > 1.0 || args.currency == "EUR")',
    'has(session.case) && session.case == args.name',
  ])('in a deny rule, %s is guarded', (text) => {
    expect(check(text, { guardsAbsence: true })).toEqual([]);
  });

  test('an argument that only another tool of the rule has must be guarded everywhere', () => {
    expect(check('args.order_id == session.case', {}, ['order_id'])).toEqual([
      'not every tool of this rule has `args.order_id` (guard it: has(args.order_id) && …)',
    ]);
    expect(check('has(args.order_id) && args.order_id == session.case', {}, ['order_id'])).toEqual([]);
  });

  test.each([
    ['session.completed.all(a, session.attempted.exists(b, a == b))', false],
    ['args.items.all(a, args.items.all(b, args.items.all(c, a.sku == c.sku)))', false],
    ['args.tags.all(a, args.tags.all(b, args.tags.all(c, a != b || b != c)))', true],
    ['session.completed.exists(a, a == "orders/get")', true],
    ['args.endless.exists(a, a == args.name)', false],
    ['args.name in args.endless', true],
    ['principal.attributes.region.exists(a, a == args.name)', true],
    ['has(args.open.any) && args.open.any.exists(a, a == args.name)', false],
    ['args.name in args.endless.filter(a, a != "x")', false],
  ])('bounds the cost of %s', (text, isCheap) => {
    const problems = check(text);
    expect(problems.some((problem) => /can take \d+ steps, more than 200000/.test(problem))).toBe(!isCheap);
  });

  test.each([
    ['args.name', []],
    ['args.amount', []],
    ['args.count', []],
    ['args.ratio', ['yields double, not text, a whole number, a decimal or a bool']],
    ['args.tags', ['yields list of string, not text, a whole number, a decimal or a bool']],
    ['args.owner', ['yields record, not text, a whole number, a decimal or a bool']],
  ])('counts by %s only if it has one spelling', (text, problems) => {
    expect(check(text, { wants: 'key' })).toEqual(problems);
  });
});
