import { utf8 } from '@sallyport/crypto';
import type { Json, JsonObject, ServerName } from '@sallyport/model';
import { compileSchema, judge } from '@sallyport/strict';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitSchema } from './fit-schema.ts';
import { readListed } from './listed-tool.ts';
import { lockedTools, readLock, writeLock } from './lock-file.ts';
import { isPlainText } from './visible-text.ts';

const SERVER = 'files' as ServerName;

/** Words that mean something to a schema, to YAML, to a terminal, or to nobody. */
const words = fc.oneof(
  fc.constantFrom(
    'a',
    'A',
    'type',
    'yes',
    'null',
    '~',
    '<<',
    '',
    '__proto__',
    '#/$defs/x',
    '#/properties/a',
    'string',
    '^a+$',
    '(?=x)',
    '${env.x}',
  ),
  fc.constantFrom('\n---\nkind: Policy\n', '": x', "'", '# x', '\u202E', '\u{E0041}', '\u001B[2J', '\r', '\u2028', '\uD83D\uDE00'),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const KEYWORDS = [
  'type',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'enum',
  'const',
  'minimum',
  'exclusiveMaximum',
  'minLength',
  'maxItems',
  'pattern',
  'format',
  'anyOf',
  'allOf',
  'oneOf',
  '$ref',
  '$defs',
  'definitions',
  'not',
  'nullable',
  'description',
  'default',
  'patternProperties',
];
const scalar = fc.oneof(words, fc.boolean(), fc.constant(null), fc.integer(), fc.constantFrom(1e300, 0.1, -0, 2 ** 60));

/** Nearly a JSON Schema: keywords and names in any place, values of any kind. */
const nearSchema: fc.Arbitrary<JsonObject> = fc.letrec<{ schema: JsonObject; value: Json; map: JsonObject }>((tie) => ({
  schema: fc
    .array(fc.tuple(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...KEYWORDS) }, { weight: 1, arbitrary: words }), tie('value')), {
      maxLength: 5,
    })
    .map((members) => Object.fromEntries(members)),
  map: fc.array(fc.tuple(words, tie('schema')), { maxLength: 3 }).map((members) => Object.fromEntries(members)),
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'schema' },
    scalar,
    fc.constantFrom('object', 'string', 'integer', 'array'),
    tie('schema'),
    tie('map'),
    fc.array(tie('schema'), { maxLength: 3 }),
  ),
})).schema;

const rooted = nearSchema.map((schema): JsonObject => ({ ...schema, type: 'object' }));

test('whatever a server calls a schema comes out as one that is enforced, or is refused with a reason', () => {
  fc.assert(
    fc.property(rooted, (schema) => {
      const judged = judge(utf8(JSON.stringify(schema)));
      fc.pre(judged.ok);
      const fitted = fitSchema(judged.value);
      if (fitted.schema === undefined) expect(fitted.notes.map(({ done }) => done)).toContain('refused');
      else expect(compileSchema(fitted.schema, '').ok).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('whatever a server says, a lock file reads back as what was to be written, and shows no character that nobody sees', () => {
  const entry = fc.record({
    name: fc.oneof(fc.constantFrom('a', 'b', 'c_d', 'A'), words),
    description: words,
    inputSchema: rooted,
    annotations: nearSchema,
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), (entries) => {
      const judged = judge(utf8(JSON.stringify(entries)));
      fc.pre(judged.ok);
      const listed = readListed(
        SERVER,
        entries.map((_one, at) => judged.value.at(at)).filter((one) => one !== undefined),
      );
      const written = writeLock(SERVER, lockedTools(listed.tools, undefined), { listed: listed.tools, notes: listed.notes });
      expect(written.ok).toBe(true);
      if (!written.ok) return;
      const read = readLock(SERVER, written.value.text);
      const intended = written.value.tools.map((tool) => ({ ...tool, effect: tool.effect ?? 'destructive' }));
      expect(read).toEqual({ ok: true, value: { tools: intended, digest: written.value.digest, isIntact: true } });
      expect(isPlainText(written.value.text)).toBe(true);
    }),
    { numRuns: 200 },
  );
});
