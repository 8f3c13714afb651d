import { describe, expect, it } from 'vitest';
import { ambiguityOfForm } from './agent-form.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const COMMAND = 'team_id=T0001&user_id=U1&command=%2Fweather&text=94070+and%20more&response_url=https%3A%2F%2Fhooks.example%2F1%3Ba&empty=';

describe('a form', () => {
  it.each([COMMAND, 'a=1', 'payload=%7B%22a%22%3A1%7D', 'a=%C3%A9'])('%s has one meaning', (text) => {
    expect(ambiguityOfForm(utf8(text))).toBeUndefined();
  });

  it.each([
    ['a field twice: one reader takes the first, another the last', 'user_id=a&b=c&user_id=d'],
    ['a field twice in different case', 'user_id=a&User_ID=d'],
    ['a field twice in different spelling', 'user_id=a&user%5Fid=d'],
    ['a semicolon, which separates fields to some readers', 'a=1;user_id=b'],
    ['a field without `=`', 'a&b=1'],
    ['a field without a name', '=a'],
    ['an empty field', 'a=1&&b=2'],
    ['a percent sign that escapes nothing', 'a=%zz'],
    ['bytes that are not UTF-8 when decoded', 'a=%ff'],
    ['an escaped zero', 'a=b%00c'],
    ['too many fields', Array.from({ length: 1_001 }, (_, i) => `f${i}=1`).join('&')],
  ])('with %s is refused', (_, text) => {
    expect(ambiguityOfForm(utf8(text))?.code).toBe('malformed_request');
  });

  it('that is not UTF-8 is refused', () => {
    expect(ambiguityOfForm(Uint8Array.of(0x61, 0x3d, 0xff))?.code).toBe('malformed_request');
  });
});
