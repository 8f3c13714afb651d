/** Structured fields: one reading or none. */

import { describe, expect, it } from 'vitest';
import { isInnerList, parseDictionary, serializeInnerList } from './structured-fields.ts';

describe('a dictionary', () => {
  it.each([
    ['sig=("a" "b");created=1;tag="x"', '("a" "b");created=1;tag="x"'],
    ['sig=( "a"   "b" ); created=1', '("a" "b");created=1'],
    ['sig=()', '()'],
    ['sig=("a";sf "b";key="x");alg=token', '("a";sf "b";key="x");alg=token'],
    [String.raw`sig=("a");nonce="q\"\\"`, String.raw`("a");nonce="q\"\\"`],
    ['sig=("a");x=:AQI=:;y=?0;z;w=-7', '("a");x=:AQI=:;y=?0;z;w=-7'],
  ])('%s is written again in one spelling', (text, canonical) => {
    const member = parseDictionary(text)?.get('sig');
    expect(member !== undefined && isInnerList(member) ? serializeInnerList(member) : undefined).toBe(canonical);
  });

  it('has members parted by commas with any space', () => {
    expect([...(parseDictionary('a=:AQI=:,b=:AQI=: \t,\t c;x=1') ?? new Map()).keys()]).toEqual(['a', 'b', 'c']);
    expect(parseDictionary('')?.size).toBe(0);
  });

  it.each([
    ['a key twice, of which the RFC takes the last', 'a=:AQI=:, a=:AQM=:'],
    ['a parameter twice', 'a=("x");keyid="1";keyid="2"'],
    ['a trailing comma', 'a=:AQI=:,'],
    ['a leading comma', ',a=:AQI=:'],
    ['two commas', 'a=1,,b=2'],
    ['a key in capitals', 'A=1'],
    ['a list that does not end', 'a=("x"'],
    ['items without a space between', 'a=("x""y")'],
    ['a text that does not end', 'a="x'],
    ['an escape that is none', String.raw`a="\n"`],
    ['a character beyond ASCII', 'a="é"'],
    ['a decimal', 'a=1.5'],
    ['an integer of sixteen digits', 'a=1234567890123456'],
    ['an integer with a zero before it, which would be written without', 'a=01'],
    ['minus zero, which would be written without its sign', 'a=-0'],
    ['bytes without padding', 'a=:AQI:'],
    ['bytes with bits left over', 'a=:AQJ=:'],
    ['bytes that do not end', 'a=:AQI='],
    ['a boolean that is none', 'a=?2'],
    ['an equals sign with nothing after it', 'a='],
    ['something after the end', 'a=1 b=2'],
    ['a space before', ' a=1'],
    ['more members than any signature needs', Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')],
    ['more items than any signature needs', `a=(${Array.from({ length: 33 }, (_, i) => `"${i}"`).join(' ')})`],
  ])('is refused with %s', (_, text) => {
    expect(parseDictionary(text)).toBeUndefined();
  });
});
