import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readYaml } from './config-yaml.ts';

test('any text is a value or a list of problems, never an exception, and every problem has a place', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.string({ unit: fc.constantFrom(...Array.from('&*!|>%@`{}[]:-?#, \n\t"\'ab1~<')), maxLength: 60 }),
      ),
      (text) => {
        const read = readYaml(text);
        if (read.ok) return;
        expect(read.error.length).toBeGreaterThan(0);
        for (const problem of read.error) expect([problem.line ?? 0, problem.column ?? 0].every((number) => number >= 1)).toBe(true);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('JSON is read as what it says, and every key and item has a place', () => {
  const key = fc.string({ maxLength: 8 }).filter((text) => text !== '__proto__');
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.string({ maxLength: 10 }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(key, tree, { maxKeys: 4 }), (value) => {
      const read = readYaml(JSON.stringify(value));
      expect(read.ok && JSON.parse(JSON.stringify(read.value.value))).toEqual(JSON.parse(JSON.stringify(value)));
      if (read.ok) expect(read.value.places.size).toBeGreaterThanOrEqual(Object.keys(value).length);
    }),
    { numRuns: 500 },
  );
});
