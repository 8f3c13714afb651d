import { describe, expect, test } from 'vitest';
import { Decimal } from '@sallyport/model';
import type { JsonObject, Tool } from '@sallyport/model';
import { compileSchema, judge } from '@sallyport/strict';
import type { TypedArguments } from '@sallyport/strict';
import { Problems } from '../reader/node.ts';
import { judgedArguments, narrowedSchema } from './narrow.ts';

const TOOL = {
  name: 'a/b',
  arguments: {
    type: 'object',
    properties: {
      amount: { type: 'number', format: 'decimal', maximum: 100 },
      count: { type: 'integer' },
      ratio: { type: 'number' },
      code: { enum: ['EUR', 'USD'] },
      name: { type: 'string', maxLength: 10 },
      list: { type: 'array', items: { type: 'string' } },
      owner: { type: 'object', properties: { id: { type: 'string' }, note: { type: 'string' } } },
      link: { type: 'string', format: 'uri' },
      linked: { $ref: '#/$defs/link' },
    },
    $defs: { link: { type: 'string' } },
  },
} as unknown as Tool;

/** Whether arguments pass a narrower schema, having passed the tool's own. */
function passes(narrower: Record<string, JsonObject>, args: string): boolean {
  const problems = new Problems();
  const schema = narrowedSchema(TOOL, narrower, (name) => ({ path: name }), problems);
  const [own, narrow] = [compileSchema(TOOL.arguments, ''), compileSchema(schema ?? {}, '')];
  const judged = judge(new TextEncoder().encode(args));
  if (problems.hasErrors || !own.ok || !narrow.ok || !judged.ok) throw new Error(JSON.stringify([problems.sorted(), own, narrow]));
  const typed = own.value.validate(judged.value);
  if (!typed.ok) throw new Error(JSON.stringify(typed.error));
  return narrow.value.validate(judgedArguments(typed.value, Object.keys(narrower))).ok;
}

describe('narrowedSchema', () => {
  test.each<[Record<string, JsonObject>, string, boolean]>([
    [{ amount: { maximum: 50 } }, '{"amount":50.00}', true],
    [{ amount: { maximum: 50 } }, '{"amount":50.000000000000000000000000000000001}', false],
    [{ amount: { minimum: 0.1 } }, '{"amount":0.1}', true],
    [{ count: { maximum: 9007199254740991 } }, '{"count":9007199254740992}', false],
    [{ count: { minimum: 1 } }, '{"count":123456789012345678901234567890}', true],
    [{ ratio: { maximum: 0.5 } }, '{"ratio":0.25}', true],
    [{ code: { enum: ['EUR'] } }, '{"code":"EUR"}', true],
    [{ code: { const: 'EUR' } }, '{"code":"USD"}', false],
    [{ name: { pattern: '^a' } }, '{"name":"abc"}', true],
    [{ name: { pattern: '^a' } }, '{"name":"bcd"}', false],
    [{ name: { format: 'sql-read' } }, '{"name":"SELECT 1"}', true],
    [{ name: { format: 'sql-read' } }, '{"name":"DROP a"}', false],
    [{ link: { hosts: ['a.example.com'] } }, '{"link":"https://a.example.com/x"}', true],
    [{ link: { hosts: ['a.example.com'] } }, '{"link":"https://a.example.com@b.com/"}', false],
    [{ list: { maxItems: 1 } }, '{"list":["a","b"]}', false],
    [{ list: { items: { maxLength: 1 } } }, '{"list":["a","bb"]}', false],
    [{ owner: { properties: { id: { const: 'x' } } } }, '{"owner":{"id":"x","note":"kept"}}', true],
    [{ owner: { properties: { id: { const: 'x' } } } }, '{"owner":{"id":"y"}}', false],
    [{ owner: { required: ['id'] } }, '{"owner":{}}', false],
    [{ amount: { maximum: 50 } }, '{"count":1}', false],
    [{ amount: { maximum: 50 } }, '{"amount":1,"count":7,"name":"passes"}', true],
  ])('%j on %s: %s', (narrower, args, expected) => {
    expect(passes(narrower, args)).toBe(expected);
  });

  test.each<[Record<string, JsonObject>, string]>([
    [{ amout: { maximum: 5 } }, '`a/b` has no argument `amout` (did you mean `amount`)'],
    [{ amount: { type: 'string' } }, '`type` does not narrow'],
    [{ owner: { additionalProperties: true } }, '`additionalProperties` does not narrow'],
    [{ amount: { minimum: 101 } }, 'no value fits: at least 101 and at most 100'],
    [{ name: { minLength: 11 } }, 'no value fits: at least 11 and at most 10'],
    [{ code: { enum: ['CHF'] } }, 'no value fits: the tool takes only "EUR", "USD"'],
    [{ __proto__: null, toString: { maximum: 1 } } as unknown as Record<string, JsonObject>, '`a/b` has no argument `toString`'],
  ])('refuses %j', (narrower, message) => {
    const problems = new Problems();
    expect(narrowedSchema(TOOL, narrower, (name) => ({ path: name }), problems)).toBeUndefined();
    const [problem] = problems.sorted();
    expect(`${problem?.message ?? ''}${problem?.remedy?.startsWith('did') === true ? ` (${problem.remedy})` : ''}`).toBe(message);
  });
});

test('judgedArguments keeps numbers exactly, and names nothing that was not asked for', () => {
  const args = {
    __proto__: null,
    big: 12345678901234567890n,
    small: 5n,
    exact: Decimal.parse('0.10000000000000000000000000000000000001'),
    nested: { __proto__: null, list: [99999999999999999999n] },
    other: 'x',
  } as unknown as TypedArguments;
  const judged = judgedArguments(args, ['big', 'small', 'exact', 'nested', 'absent']);
  expect(Object.keys(judged.tree as object)).toEqual(['big', 'small', 'exact', 'nested']);
  expect(judged.numberText(judged.tree as object, 'big')).toBe('12345678901234567890');
  expect(judged.numberText(judged.tree as object, 'small')).toBeUndefined();
  expect(judged.numberText(judged.tree as object, 'exact')).toBe('0.10000000000000000000000000000000000001');
  const list = judged.at('nested', 'list');
  expect(list?.numberText(list.tree as object, 0)).toBe('99999999999999999999');
  expect(judged.at('constructor')).toBeUndefined();
});
