import { Bug, Decimal } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { argumentDigest, canonicalValue, serializeValue } from './arguments.ts';
import type { TypedArguments, TypedValue } from './typed-value.ts';

const decimal = (text: string): Decimal => Decimal.parse(text) ?? Decimal.fromBigInt(0n);

describe('one number has one canonical spelling, whatever its type', () => {
  test.each<[string, TypedValue, string]>([
    ['an integer', 5n, '5'],
    ['a decimal of that value', decimal('5.00'), '5'],
    ['a double of that value', 5, '5'],
    ['a negative zero', -0, '0'],
    ['a large double', 1e21, '1000000000000000000000'],
    ['a large integer', 10n ** 21n, '1000000000000000000000'],
    ['a small double', 1e-7, '0.0000001'],
    ['a decimal', decimal('127.50'), '127.5'],
  ])('%s', (_, value, text) => {
    expect(canonicalValue(value)).toBe(text);
  });
});

test('serialised, decimals and bigints are JSON numbers with every digit', () => {
  const value = { amount: decimal('500.10'), big: 123456789012345678901234567890n, small: 1e-7, list: [null, true, 'x'] };
  expect(serializeValue(value)).toBe('{"amount":500.1,"big":123456789012345678901234567890,"small":1e-7,"list":[null,true,"x"]}');
});

test('keys stand by code point, not by UTF-16 unit', () => {
  expect(canonicalValue({ '\u{1f600}': 1n, '\uff21': 2n, b: 3n, a: 4n, B: 5n, '': 6n, aa: 7n })).toBe(
    '{"":6,"B":5,"a":4,"aa":7,"b":3,"\uff21":2,"\u{1f600}":1}',
  );
  expect(canonicalValue({ '\u{1f600}a': 1n, '\u{1f601}': 2n, '\ud7ff': 3n, '\ue000': 4n })).toBe(
    '{"\ud7ff":3,"\ue000":4,"\u{1f600}a":1,"\u{1f601}":2}',
  );
});

test('strings keep their characters: no normalisation, the shortest escapes', () => {
  expect(canonicalValue('é')).not.toBe(canonicalValue('e\u0301'));
  expect(canonicalValue('"\\/\b\f\n\r\t\u0001\u007f\u2028')).toBe('"\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u007f\u2028"');
});

test.each<[string, TypedValue]>([
  ['a lone surrogate', '\ud800'],
  ['a lone surrogate in a key', { '\udc00': 1n }],
  ['a number that is none', Number.NaN],
  ['an endless number', Number.POSITIVE_INFINITY],
])('what validation never makes is a bug: %s', (_, value) => {
  expect(() => canonicalValue(value)).toThrow(Bug);
  expect(() => serializeValue(value)).toThrow(Bug);
});

test('the digest is bound to its use: it is not the digest of the canonical bytes', () => {
  const empty = Object.create(null) as TypedArguments;
  // printf 'sallyport-arguments-v1\0{}' | sha256sum
  expect(argumentDigest(empty)).toBe('sha256:58192775356668970ab2be99020d12f7b075eb768cdb7659750e89a2ac8c0b47');
});
