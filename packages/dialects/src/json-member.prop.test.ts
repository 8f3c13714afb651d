import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { memberBytes } from './json-member.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const white = fc.stringMatching(/^[ \t\r\n]{0,2}$/);

/** An object's text with white space wherever JSON allows it at the top, and members of every kind. */
const objectText = fc
  .tuple(
    fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 }),
    fc.array(white, { minLength: 40, maxLength: 40 }),
  )
  .map(([object, whites]) => {
    let next = 0;
    const w = (): string => whites[next++ % whites.length] ?? '';
    const members = Object.entries(object).map(
      ([key, value]) => `${w()}${JSON.stringify(key)}${w()}:${w()}${JSON.stringify(value, null, next % 3)}${w()}`,
    );
    return { object, source: `${w()}{${members.length === 0 ? w() : members.join(',')}}${w()}` };
  });

it('finds exactly the bytes of each member, whatever surrounds them, and none that is not there', () => {
  fc.assert(
    fc.property(objectText, fc.string({ maxLength: 6 }), ({ object, source }, other) => {
      for (const [key, value] of Object.entries(object)) {
        const found = memberBytes(encode(source), key);
        const text = new TextDecoder().decode(found);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(text).toBe(text.trim());
      }
      if (!Object.hasOwn(object, other)) expect(memberBytes(encode(source), other)).toBeUndefined();
    }),
  );
});

it('is not fooled by quotes, brackets and the name itself inside strings and deeper down', () => {
  const source = String.raw`{"a":"\"result\":1}","b":{"result":[2,{"result":"]"}]}, "res\u0075lt" : {"x":"}\\"} }`;
  expect(new TextDecoder().decode(memberBytes(encode(source), 'result'))).toBe(String.raw`{"x":"}\\"}`);
});
