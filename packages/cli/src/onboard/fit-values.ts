/** Types, listed values, bounds and texts of a server's schema, in the spelling of ours. */

import type { Json, JsonObject } from '@sallyport/model';
import { compilePattern } from '@sallyport/strict';
import { STRING_FORMATS } from './fit-keywords.ts';
import type { Done } from './import-note.ts';
import { isList, listOf } from './json-shape.ts';
import { isPlainText, quotedText } from './visible-text.ts';

type Note = (keyword: string, done: Done, says: string) => void;

const TYPES = ['null', 'boolean', 'string', 'integer', 'number', 'array', 'object'];
const VALUES_MAX = 1_000;

/** `type`, with OpenAPI's `nullable`; nothing where the schema says none. */
export function fitTypes(schema: JsonObject, note: Note): JsonObject {
  const { type, nullable } = schema;
  if (type === undefined) return {};
  const given = [...new Set(listOf(type))].filter((one): one is string => typeof one === 'string' && TYPES.includes(one));
  if (given.length === 0) {
    note('type', 'loosened', 'dropped: no type of JSON');
    return {};
  }
  const types = given.includes('number') ? given.filter((one) => one !== 'integer') : given;
  // The one way to say `integer` in a draft that had none, and a habit since.
  const whole = types.map((one) => (one === 'number' && schema['multipleOf'] === 1 ? 'integer' : one));
  if (nullable === true && !whole.includes('null')) whole.push('null');
  const [only, ...more] = whole;
  return { type: only !== undefined && more.length === 0 ? only : whole };
}

/** `enum` or `const`, of scalars that have one of the types. */
export function fitValues(schema: JsonObject, { type }: JsonObject, note: Note): JsonObject {
  const keyword = schema['const'] === undefined ? 'enum' : 'const';
  const given = keyword === 'const' ? [schema['const'] as Json] : schema['enum'];
  if (!isList(given)) return {};
  const types = type === undefined ? undefined : listOf(type);
  const values = given.filter((value) => types === undefined || types.some((one) => isOf(one, value)));
  const isScalar = values.every((value) => typeof value !== 'object' || value === null);
  const isExact = values.every((value) => typeof value !== 'number' || isExactNumber(value));
  if (values.some((value) => typeof value === 'string' && !isPlainText(value)))
    note(keyword, 'refused', 'holds characters that nobody sees');
  if (values.length > 0 && values.length <= VALUES_MAX && isScalar && isExact)
    return { [keyword]: keyword === 'const' ? (values[0] as Json) : values };
  note(keyword, 'loosened', isScalar ? 'dropped: none, too many, or a number that cannot be held' : 'dropped: only scalars can be listed');
  return {};
}

function isOf(type: Json, value: Json): boolean {
  if (value === null) return type === 'null';
  if (type === 'integer') return Number.isSafeInteger(value);
  if (type === 'array') return isList(value);
  return typeof value === type;
}

interface Numbers {
  readonly isInteger: boolean;
  /** Whether a number of the source is the double that was made of it. */
  readonly isExact: (key: string) => boolean;
  readonly note: Note;
}

/** `minimum` and `maximum`, exclusive ones included; `multipleOf` where it means whole numbers. */
export function fitNumbers(schema: JsonObject, numbers: Numbers): JsonObject {
  const { isInteger, note } = numbers;
  const minimum = fitBound(schema, { keyword: 'minimum', exclusive: 'exclusiveMinimum', inward: 1 }, numbers);
  const maximum = fitBound(schema, { keyword: 'maximum', exclusive: 'exclusiveMaximum', inward: -1 }, numbers);
  const { multipleOf } = schema;
  if (multipleOf !== undefined && !(isInteger && multipleOf === 1)) note('multipleOf', 'loosened', 'dropped: the server alone judges it');
  if (minimum !== undefined && maximum !== undefined && minimum > maximum) {
    note('minimum', 'loosened', 'dropped with `maximum`: nothing lies between them');
    return {};
  }
  return { ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) };
}

interface Bound {
  readonly keyword: 'minimum' | 'maximum';
  readonly exclusive: 'exclusiveMinimum' | 'exclusiveMaximum';
  /** From the bound to what it lets through. */
  readonly inward: 1 | -1;
}

/** One bound as an inclusive one: of the plain and the exclusive spelling, where both are written, the inner one. */
function fitBound(schema: JsonObject, { keyword, exclusive, inward }: Bound, { isInteger, isExact, note }: Numbers): number | undefined {
  const read = (key: Bound['keyword'] | Bound['exclusive']): number | undefined => {
    const value = schema[key];
    if (value === undefined || typeof value === 'boolean') return undefined;
    if (typeof value === 'number' && isExactNumber(value) && isExact(key)) return value;
    note(key, 'loosened', 'dropped: the bound cannot be held exactly');
    return undefined;
  };
  // Draft 4 wrote a flag beside the bound, later drafts the bound itself.
  const isFlagged = schema[exclusive] === true;
  const plain = read(keyword);
  const strict = isFlagged ? plain : read(exclusive);
  if (strict === undefined) return plain;
  const isShifted = isInteger && Number.isSafeInteger(strict + inward);
  if (!isShifted) note(exclusive, 'loosened', 'the bound itself is accepted too');
  const inner = isShifted ? strict + inward : strict;
  return plain === undefined || isFlagged || (inner - plain) * inward >= 0 ? inner : plain;
}

/** Counts of characters and elements. */
export function fitCounts(schema: JsonObject, note: Note): JsonObject {
  const fitted: Record<string, Json> = {};
  for (const [least, most] of [
    ['minLength', 'maxLength'],
    ['minItems', 'maxItems'],
  ] as const) {
    for (const keyword of [least, most]) {
      const value = schema[keyword];
      if (value === undefined) continue;
      if (Number.isSafeInteger(value) && Number(value) >= 0) fitted[keyword] = value;
      else note(keyword, 'loosened', 'dropped: no count');
    }
    if (Number(fitted[least] ?? 0) <= Number(fitted[most] ?? Number.POSITIVE_INFINITY)) continue;
    note(least, 'loosened', `dropped with \`${most}\`: nothing lies between them`);
    delete fitted[least];
    delete fitted[most];
  }
  return fitted;
}

/** `pattern` and `format`, which we do enforce where a server may only describe. */
export function fitTexts(schema: JsonObject, note: Note): JsonObject {
  const fitted: Record<string, Json> = {};
  const { pattern, format, type } = schema;
  if (typeof pattern === 'string') {
    const compiled = compilePattern(pattern);
    if (!isPlainText(pattern)) note('pattern', 'refused', 'holds characters that nobody sees');
    else if (compiled.ok) fitted['pattern'] = pattern;
    else note('pattern', 'loosened', `dropped: ${compiled.error.message}`);
  }
  if (typeof format !== 'string') return fitted;
  const isText = type === undefined || listOf(type).includes('string');
  if (isText && STRING_FORMATS.has(format)) fitted['format'] = format;
  else if (isText) note('format', 'loosened', `dropped: ${quotedText(format)} is no format of ours`);
  else note('format', 'unchanged', `dropped: ${quotedText(format)} is no format of text`);
  return fitted;
}

/** As a policy document takes it: at most 15 digits or a safe integer, without exponent. */
function isExactNumber(value: number): boolean {
  const text = String(value);
  return (
    Number.isSafeInteger(value) || (/^-?[0-9]+(\.[0-9]+)?$/.test(text) && text.replaceAll(/[-.]/g, '').replace(/^0+/, '').length <= 15)
  );
}
