import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { Decimal, formatProblem } from '@sallyport/model';
import { CelFailure, loadProgram, parseExpression } from './cel.ts';
import type { Facts } from './cel.ts';

const FACTS: Facts = {
  args: {
    amount: Decimal.parse('500.01'),
    count: 7n,
    ratio: 0.5,
    name: 'O-1',
    note: null,
    tags: ['a', 'b'],
    none: [],
    flag: true,
    whole: Decimal.parse('500'),
    prices: [Decimal.parse('500'), Decimal.parse('0.1')],
    items: [{ sku: 'x', price: Decimal.parse('2') }],
    huge: 123456789012345678901234567890n,
  },
  principal: { id: 'alice', roles: ['clerk'], scopes: [], attributes: { limit: 500n, region: 'eu', regions: ['eu', 'us'] } },
  session: { id: 's', completed: ['orders/get'] },
  env: { max: Decimal.parse('500.01') },
  tool: {},
  agent: {},
  chain: [],
};

function run(text: string, facts: Facts = FACTS): unknown {
  const program = loadProgram(text);
  if (!program.ok) throw new Error(program.error[0]?.message);
  const value = program.value.run(facts);
  return value instanceof CelFailure ? `failure: ${value.reason}` : value instanceof Decimal ? `decimal ${value.toString()}` : value;
}

describe('conditions', () => {
  test.each([
    ['args.amount <= 500', false],
    ['args.amount <= 501', true],
    ['500 < args.amount', true],
    ['args.amount == decimal("500.010")', true],
    ['args.amount != 500', true],
    ['500 == args.amount', false],
    ['args.amount == env.max', true],
    ['args.amount <= principal.attributes.limit', false],
    ['args.count <= principal.attributes.limit', true],
    ['args.amount - 1 < 500', true],
    ['args.amount + args.amount', 'decimal 1000.02'],
    ['args.amount in [decimal("1"), decimal("500.01")]', true],
    ['args.huge > 123456789012345678901234567889', true],
    ['args.huge == 123456789012345678901234567890', true],
    ['args.items.all(item, item.price <= 2)', true],
    ['args.items.exists(item, item.sku == "y")', false],
    ['args.tags.filter(tag, tag != "a").size() == 1', true],
    ['"orders/get" in session.completed', true],
    ['has(args.missing) && args.missing > 3', false],
    ['has(session.case)', false],
    ['args.ratio in [1.0, 0.5]', true],
    ['args.count in [7.0]', true],
    ['args.tags == ["a", "b"]', true],
    ['args.prices == [decimal("500"), decimal("0.10")]', true],
    ['args.name in principal.attributes.regions', false],
    ['args.name in args.none', false],
    ['args.prices.exists(x, x == 500)', true],
    ['args.prices.exists(x, x == args.whole)', true],
    ['args.none == ["a"]', false],
    ['args.tags == args.none', false],
    ['args.none == args.none', true],
    ['args.none.all(x, x == "a") && !args.none.exists(x, x == "a")', true],
    ['args.note == null', true],
    ['args.name == null', false],
    ['args.count != null', true],
    ['args.ratio == 0.5', true],
    ['args.count == 7.0', true],
    ['args.ratio == args.count', false],
    ['args.name.startsWith("O-") && args.name.size() == 3', true],
    ['args.name.matches("^O-[0-9]+$")', true],
    ['"a1".matches("^[a-z][0-9]$")', true],
    ['string(args.count) == "7"', true],
    ['chain.exists(hop, !hop.first_party)', false],
    ['args.ratio < 1', true],
  ])('%s is %s', (text, value) => {
    expect(run(text)).toBe(value);
  });

  test.each([
    ['args.missing == 1', 'no such key: missing'],
    ['session.case == args.name', 'no such key: case'],
    ['args.amount <= 500.5', 'no such overload: dyn<decimal> <= double'],
    ['args.name <= 5', 'no such overload: dyn<string> <= int'],
    ['args.items[3].sku == "x"', 'index out of bounds'],
    ['args.count / 0 == 1', 'division by zero'],
    ['args.count * 9223372036854775807 > 0', 'integer overflow'],
    ['args.note.size() > 0', 'no matching overload'],
    ['args.tags.exists(x, x == principal.attributes.limit)', 'cannot compare string and int'],
    ['args.name == 5', 'cannot compare string and int'],
    ['args.name != 5', 'cannot compare string and int'],
    ['5 != args.name', 'cannot compare string and int'],
    ['args.name == args.count', 'cannot compare string and int'],
    ['args.count != args.name', 'cannot compare string and int'],
    ['args.amount != "500.01"', 'cannot compare string and decimal'],
    ['args.amount == args.ratio', 'cannot compare decimal and double'],
    ['args.ratio != args.amount', 'cannot compare decimal and double'],
    ['args.name in principal.attributes.region', 'no such overload'],
    ['args.name == true', 'cannot compare string and bool'],
    ['args.count == false', 'cannot compare bool and int'],
    ['args.count.matches("7")', '`matches` wants text'],
  ])('%s fails, and a failure is neither true nor false', (text, reason) => {
    expect(run(text)).toContain(reason);
    expect(String(run(text))).toMatch(/^failure: /);
  });

  test.each([
    ['an object of its own kind', { constructor: 'x', amount: 1n }],
    ['an object that names a prototype', JSON.parse('{"__proto__":{"amount":1}}') as object],
  ])('%s cannot reach a prototype', (_, args) => {
    const value = run('args.amount == 1 && has(args.toString)', { ...FACTS, args });
    expect(value).not.toBe(true);
  });

  test.each([
    ['a catastrophic pattern', 'args.name.matches("^(a+)+$")', `${'a'.repeat(60)}!`, false],
    ['nested repetitions', 'args.name.matches("(x+x+)+y")', 'x'.repeat(5_000), false],
  ])('%s answers at once', (_, text, name, value) => {
    expect(run(text, { ...FACTS, args: { name } })).toBe(value);
  });

  test('a text too long to match fails instead of slipping past a denial', () => {
    expect(run('args.name.matches("x$")', { ...FACTS, args: { name: 'y'.repeat(2_000_000) } })).toBe(
      'failure: the text takes too much work to match',
    );
  });

  test.each([
    ['bytes', 'b"bytes" == b"bytes"', 'bytes and unsigned numbers are not part of this language'],
    ['unsigned numbers', '5u == 5u', 'bytes and unsigned numbers are not part of this language'],
    ['map literals', '{"a": 1}.a == 1', 'map literals are not part of this language'],
    ['optional access', 'args.?name == "x"', '`?` cannot stand here'],
    ['a macro of three', 'args.tags.map(x, y, z)', '`map` takes a name and a condition'],
    ['half a comparison', 'args.name ==', 'ends in the middle: a value is missing after `==`'],
    ['an open string', 'args.name == "x', 'the text that begins here has no closing quote'],
    ['an open bracket', '(args.name', 'ends in the middle: `)` is missing'],
    ['an open list', 'args.name in ["x"', 'ends in the middle: `]` is missing'],
    ['half a path', 'args.', 'ends in the middle: a name is missing after `args.`'],
    ['half a choice', 'args.a ? 1', 'ends in the middle: `:` is missing'],
    ['half of nothing', '!', 'ends in the middle: a value is missing after `!`'],
    ['two dots', 'args..name', '`.` cannot stand here (a name is missing before it)'],
    ['one sign for equal', 'args.a = 3', '`=` cannot stand here (write ==)'],
    ['the sign of another language for unequal', 'args.a <> 3', '`<>` cannot stand here (write !=)'],
    ['a word for and', 'args.a and args.b', '`and` cannot stand here (write &&)'],
    ['two conditions', 'args.a < 3 args.b', '`args.b` cannot stand here (join two conditions with && or ||)'],
    ['a bracket too many', 'args.a < )', '`)` cannot stand here'],
    ['a comment', 'args.a == "x" # y', '`#` cannot stand here'],
    ['nothing', '', 'is empty'],
    ['deep brackets', `${'('.repeat(40)}args.a${')'.repeat(40)}`, 'exceeded maxDepth'],
    ['a tower of negations', `${'!'.repeat(1_500)}args.a`, 'exceeded maxAstNodes'],
    ['a long disjunction', `args.a == 1${' || args.a == 1'.repeat(120)}`, 'exceeded maxAstNodes'],
    ['a long text', `args.a == "${'x'.repeat(2_000)}"`, 'longer than 2000 characters'],
    ['a long list', `args.a in [${'1,'.repeat(300)}1]`, 'exceeded maxListElements'],
  ])('does not parse %s', (_, text, message) => {
    const parsed = parseExpression(text);
    const [problem] = parsed.ok ? [] : parsed.error;
    expect(problem === undefined ? 'parsed' : formatProblem({ path: '', ...problem })).toContain(message);
  });

  test('runs where the process forbids to make code from strings', () => {
    const script = `
      const { loadProgram } = await import(${JSON.stringify(new URL('cel.ts', import.meta.url).href)});
      let forbidden = false;
      try { new Function('return 1')(); } catch { forbidden = true; }
      const program = loadProgram('args.items.all(item, item.size() < 3) && args.name.matches("^a+$")');
      console.log(JSON.stringify([forbidden, program.ok && program.value.run({ args: { items: ['x'], name: 'aa' } })]));
    `;
    const flags = ['--conditions=sallyport-src', '--disallow-code-generation-from-strings', '--input-type=module', '--eval', script];
    const child = spawnSync(process.execPath, flags, { encoding: 'utf8', cwd: import.meta.dirname });
    expect(child.stderr).toBe('');
    expect(JSON.parse(child.stdout)).toEqual([true, true]);
  });
});
