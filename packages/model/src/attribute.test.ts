import { expect, it } from 'vitest';
import { ATTRIBUTE_TYPES, hasAttributeType, type AttributeType } from './attribute.ts';

it.each<[unknown, readonly AttributeType[]]>([
  ['eu', ['string']],
  ['500', ['string']],
  ['', ['string']],
  [500, ['integer', 'decimal']],
  [0.1, ['decimal']],
  [-3, ['integer', 'decimal']],
  [2 ** 53, ['decimal']],
  [1e21, []],
  [1e-7, []],
  [Number.NaN, []],
  [Number.POSITIVE_INFINITY, []],
  [true, ['boolean']],
  [['a', 'b'], ['strings']],
  [[], ['strings']],
  [['a', 1], []],
  [null, []],
  [undefined, []],
  [{}, []],
])('%j is of the types %j alone', (value, types) => {
  expect(ATTRIBUTE_TYPES.filter((type) => hasAttributeType(value, type))).toEqual(types);
});
