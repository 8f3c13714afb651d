import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge } from './judged.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Each character of a JSON string in one of its spellings. */
const spelled = (text: string, spellings: readonly boolean[]): string => {
  const units = Array.from({ length: text.length }, (_, i) => {
    const escape = `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`;
    const isEscaped = spellings[i % spellings.length] ?? false;
    return isEscaped ? escape : JSON.stringify(text.charAt(i)).slice(1, -1);
  });
  return `"${units.join('')}"`;
};

/** Text that is nearly JSON: tokens in any order. */
const nearJson = fc
  .array(fc.constantFrom('{', '}', '[', ']', ':', ',', '"a"', '"b"', '"', '1', '-0', '1e9', 'true', 'null', ' ', 'NaN', '\ufeff'), {
    maxLength: 12,
  })
  .map((tokens) => tokens.join(''));

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('what JSON.parse refuses is refused, and what it accepts is refused only for a named reason', () => {
  fc.assert(
    fc.property(nearJson, (text) => {
      const result = judge(bytes(text));
      if (result.ok) expect(result.value.tree).toEqual(JSON.parse(text));
      else if (parses(text)) expect(result.error.map((problem) => problem.code)).not.toContain('invalid_json');
      else expect(result.error).toMatchObject([{ code: 'invalid_json' }]);
    }),
    { numRuns: 2_000 },
  );
});

test('what JSON.stringify writes is accepted, as the same tree', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value);
      // JSON.stringify writes a lone surrogate as an escape; such documents are refused.
      const isWellFormed = !/\\ud[89a-f]/.test(text);
      const result = judge(bytes(text));
      expect(result.ok).toBe(isWellFormed);
      if (result.ok) expect(result.value.tree).toEqual(JSON.parse(text));
    }),
  );
});

test('a key that stands twice is found, wherever it stands and however it is spelled', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 6 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }),
      fc.array(fc.constantFrom('[', '{"x":', '[0,', '{"y":{},"z":'), { maxLength: 8 }),
      fc.jsonValue({ maxDepth: 2 }),
      (key, first, second, wrappers, between) => {
        const inner = `{${spelled(key, first)}:1,"between ${'x'.repeat(9)}":${JSON.stringify(between)},${spelled(key, second)}:2}`;
        const closings = wrappers.map((wrapper) => (wrapper.startsWith('[') ? ']' : '}')).toReversed();
        const result = judge(bytes(wrappers.join('') + inner + closings.join('')));
        expect(!result.ok && result.error.map((problem) => problem.code)).toEqual(['duplicate_key']);
      },
    ),
  );
});

test('bytes are judged without an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (source) => {
      expect(() => judge(source)).not.toThrow();
    }),
  );
});
