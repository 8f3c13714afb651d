import { Decimal } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { compileSchema } from './schema.ts';
import { routeTemplate } from './route-table.ts';
import { fillTemplate, scalarText, textKindOf } from './typed-text.ts';
import type { TypedRecord, TypedValue } from './typed-value.ts';

it.each<[TypedValue | undefined, string | undefined]>([
  ['', ''],
  ['é', 'é'],
  [9_007_199_254_740_993n, '9007199254740993'],
  [-0.5, '-0.5'],
  [true, 'true'],
  [Decimal.parse('127.50'), '127.5'],
  [null, undefined],
  [undefined, undefined],
  [['a'], undefined],
  [{ a: 1n }, undefined],
])('the text of %o is %j', (value, text) => {
  expect(scalarText(value)).toBe(text);
});

describe('a template', () => {
  const fill = (args: TypedRecord): unknown => fillTemplate(routeTemplate('/orders/{id}/lines/{line}') ?? [], args);

  it('takes arguments as whole segments', () => {
    expect(fill({ id: 'O 1?', line: 7n, other: 'x' })).toEqual({ segments: ['orders', 'O 1?', 'lines', '7'], unfit: [] });
  });

  it.each<[string, TypedValue | undefined]>([
    ['nothing', undefined],
    ['an empty text', ''],
    ['a dot', '.'],
    ['two dots', '..'],
    ['a slash', 'a/b'],
    ['a backslash', 'a\\b'],
    ['a semicolon', 'a;b'],
    ['dots and a slash for who decodes twice', '%2e%2e%2Fadmin'],
    ['a NUL', 'a\0'],
    ['a control of Latin-1', 'a\u0085'],
    ['null', null],
    ['a list', ['a']],
  ])('does not take %s', (_, id) => {
    expect(fill({ ...(id === undefined ? {} : { id }), line: 7n })).toMatchObject({ unfit: ['id'] });
  });

  it('takes nothing from the prototype', () => {
    expect(fillTemplate(routeTemplate('/{constructor}') ?? [], {})).toMatchObject({ unfit: ['constructor'] });
  });
});

it.each<[string, object, string | undefined]>([
  ['text', { type: 'string' }, 'string'],
  ['listed texts', { enum: ['a', 'b'] }, 'string'],
  ['an integer', { type: 'integer' }, 'integer'],
  ['an integer or null', { type: ['integer', 'null'] }, 'integer'],
  [
    'two patterns of text',
    {
      anyOf: [
        { type: 'string', pattern: '^a$' },
        { type: 'string', pattern: '^b$' },
      ],
    },
    'string',
  ],
  ['text or a number', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, undefined],
  ['two kinds of number', { anyOf: [{ type: 'number', format: 'decimal' }, { type: 'integer' }] }, undefined],
  ['null', { type: 'null' }, undefined],
  ['a list', { type: 'array', items: { type: 'string' } }, undefined],
  ['anything', {}, undefined],
])('what a text means where the schema wants %s', (_, schema, kind) => {
  const compiled = compileSchema({ type: 'object', properties: { it: schema as never } }, '');
  const type = compiled.ok ? compiled.value.type.properties.get('it')?.type : undefined;
  expect(type === undefined ? 'no schema' : textKindOf(type)).toBe(kind);
});
