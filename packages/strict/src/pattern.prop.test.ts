import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePattern } from './pattern.ts';

const { expression } = fc.letrec<{ expression: string; atom: string; term: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\d', '\\s', '[a-c0-9]', '😀', '\\.'),
    tie('expression').map((inner) => `(?:${inner})`),
  ),
  term: fc.oneof(
    fc.constantFrom('^', '$', '\\b', '\\B'),
    fc.tuple(tie('atom'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?')).map(([atom, quantifier]) => atom + quantifier),
  ),
  expression: fc
    .array(fc.array(tie('term'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
    .map((options) => options.map((terms) => terms.join('')).join('|')),
}));

/** The standard's search: an attempt at each code point. (V8's own also tries between the halves of a surrogate pair.) */
function matchesSomewhere(source: string, text: string): boolean {
  const sticky = new RegExp(source, 'uy');
  const starts = Array.from(text).reduce((places, character) => [...places, (places.at(-1) ?? 0) + character.length], [0]);
  return starts.some((start) => {
    sticky.lastIndex = start;
    return sticky.test(text);
  });
}

test('every pattern that is accepted matches what the engine’s own matches', () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', '.', '😀'), maxLength: 8 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(expression, texts, (source, candidates) => {
      const compiled = compilePattern(source);
      if (!compiled.ok) throw new Error(`refused: ${source}: ${compiled.error.message}`);
      for (const text of candidates)
        expect([source, text, compiled.value.test(text)]).toEqual([source, text, matchesSomewhere(source, text)]);
    }),
    { numRuns: 1_000 },
  );
});

test('whatever is accepted is a pattern of ECMA-262', () => {
  const nearPattern = fc.string({
    unit: fc.constantFrom(
      'a',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '1',
      ',',
      '*',
      '+',
      '?',
      '\\',
      '^',
      '$',
      '|',
      '-',
      ':',
      '<',
      '=',
      'p',
      'u',
      'd',
    ),
    maxLength: 10,
  });
  fc.assert(
    fc.property(nearPattern, (source) => {
      if (compilePattern(source).ok) expect(() => new RegExp(source, 'u')).not.toThrow();
    }),
    { numRuns: 3_000 },
  );
});
