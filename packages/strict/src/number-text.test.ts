import { describe, expect, test } from 'vitest';
import { isExactDouble, plainNumber } from './number-text.ts';

describe('a double holds', () => {
  test.each([
    '0',
    '-0',
    '0.0',
    '1',
    '1.0',
    '0.1',
    '127.50',
    '1e2',
    '1E+2',
    '100e-2',
    '1e23',
    '5e-324',
    '1.7976931348623157e308',
    '9007199254740992',
    '0e999999999',
  ])('%s', (text) => {
    expect(isExactDouble(text)).toBe(true);
  });

  test.each([
    '9007199254740993',
    '0.10000000000000001',
    '1e309',
    '-1e309',
    '1e-400',
    '1e99999999999999999999',
    '12345678901234567.5',
    '4e-324',
    'NaN',
    '',
    '1e',
    'Infinity',
  ])('not %s', (text) => {
    expect(isExactDouble(text)).toBe(false);
  });
});

describe('plain notation', () => {
  test.each([
    ['-0', '0'],
    ['0.000', '0'],
    ['1e-7', '0.0000001'],
    ['1.50', '1.5'],
    ['1e21', '1000000000000000000000'],
    ['-12.340e1', '-123.4'],
    ['100', '100'],
    ['0.05', '0.05'],
    ['1234.5e-6', '0.0012345'],
  ])('of %s is %s', (text, plain) => {
    expect(plainNumber(text)).toBe(plain);
  });

  test('a huge exponent is refused instead of written out', () => {
    expect(plainNumber('1e9999')).toBeUndefined();
    expect(plainNumber('1e-9999')).toBeUndefined();
    expect(plainNumber('1e999999999999')).toBeUndefined();
    expect(plainNumber('9'.repeat(9_000))).toBeUndefined();
  });
});
