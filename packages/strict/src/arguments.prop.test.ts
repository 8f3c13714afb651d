import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { argumentDigest, canonicalArguments, serializeArguments } from './arguments.ts';
import { judge } from './judged.ts';
import { compileSchema } from './schema.ts';
import type { TypedArguments } from './typed-value.ts';

const schema = compileSchema(
  {
    properties: {
      integer: { type: 'integer' },
      decimal: { type: 'number', format: 'decimal' },
      double: { type: 'number' },
      text: { type: 'string' },
      list: { type: 'array', items: { $ref: '#/$defs/node' } },
      free: {},
    },
    $defs: {
      node: {
        type: 'object',
        additionalProperties: {
          anyOf: [{ type: 'integer' }, { type: 'number', format: 'decimal' }, { type: 'null' }, { $ref: '#/$defs/node' }],
        },
      },
    },
  },
  '',
);

/** `undefined` where the document is refused, or does not fit. */
function read(source: Uint8Array | string): TypedArguments | undefined {
  const judged = judge(typeof source === 'string' ? new TextEncoder().encode(source) : source);
  if (!judged.ok || !schema.ok) return undefined;
  const result = schema.value.validate(judged.value);
  return result.ok ? result.value : undefined;
}

const plainNumber = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.stringMatching(/^(\.[0-9]{1,6})?$/))
  .map(([whole, fraction]) => `${whole}${fraction}`);
const anyNumber = fc.oneof(
  plainNumber,
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom('-0', '1e400', '9007199254740993', '1E2'),
);
const text = fc
  .string({ unit: 'binary' })
  .filter((value) => value.isWellFormed())
  .map((value) => JSON.stringify(value));
const node = fc.letrec<{ node: string; member: string }>((tie) => ({
  node: fc
    .dictionary(
      fc.string({ maxLength: 3 }).filter((key) => key.isWellFormed()),
      tie('member'),
      { maxKeys: 3 },
    )
    .map((members) => objectText(Object.entries(members))),
  member: fc.oneof({ maxDepth: 3 }, plainNumber, fc.constant('null'), tie('node')),
})).node;
const entries = fc
  .tuple(
    fc.option(fc.oneof(fc.bigInt().map(String), anyNumber)),
    fc.option(anyNumber),
    fc.option(anyNumber),
    fc.option(text),
    fc.option(fc.array(node, { maxLength: 2 }).map((items) => `[${items.join(',')}]`)),
    fc.option(fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value))),
  )
  .map(([integer, decimal, double, string, list, free]) =>
    Object.entries({ integer, decimal, double, text: string, list, free }).filter((entry): entry is [string, string] => entry[1] !== null),
  );

function objectText(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

test('whatever is accepted is written as a document that is read as the same typed value', () => {
  let accepted = 0;
  fc.assert(
    fc.property(entries, (members) => {
      const args = read(objectText(members));
      if (args === undefined) return;
      accepted += 1;
      expect(read(serializeArguments(args))).toEqual(args);
    }),
    { numRuns: 1_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test('the canonical form is itself a document of the same canonical form', () => {
  fc.assert(
    fc.property(entries, (members) => {
      const args = read(objectText(members));
      if (args === undefined) return;
      const again = read(canonicalArguments(args));
      // A double such as 1e300 is canonically written with more digits than a plain number may have, and stays exact.
      expect(again === undefined ? undefined : argumentDigest(again)).toBe(argumentDigest(args));
    }),
    { numRuns: 500 },
  );
});

test('the digest does not depend on the order of keys nor on how numbers are spelled', () => {
  fc.assert(
    fc.property(entries, fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), (members, weights) => {
      const args = read(objectText(members));
      if (args === undefined) return;
      const shuffled = members.toSorted(([a], [b]) => (weights[a.length % 6] ?? 0) - (weights[b.length % 6] ?? 0));
      const respelled = shuffled.map(([key, value]) => [key, key === 'decimal' && value.includes('.') ? `${value}00` : value] as const);
      const again = read(objectText(respelled));
      expect(again === undefined ? undefined : argumentDigest(again)).toBe(argumentDigest(args));
    }),
    { numRuns: 500 },
  );
});

test('arguments of another value have another digest', () => {
  fc.assert(
    fc.property(entries, entries, (a, b) => {
      const [first, second] = [read(objectText(a)), read(objectText(b))];
      if (first === undefined || second === undefined) return;
      const isEqual = new TextDecoder().decode(canonicalArguments(first)) === new TextDecoder().decode(canonicalArguments(second));
      expect(argumentDigest(first) === argumentDigest(second)).toBe(isEqual);
    }),
  );
});
