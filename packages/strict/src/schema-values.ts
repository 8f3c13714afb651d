/** The values that stand in schemas: those of `enum` and `const`, and bounds of numbers. */

import { Decimal } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import { canonicalValue } from './arguments.ts';
import type { TypeRules } from './schema-node.ts';

export type JsonType = 'null' | 'boolean' | 'string' | 'integer' | 'number' | 'array' | 'object';

/** A double of at most this many digits is the number that its author wrote. */
export const BOUND_DIGITS_MAX = 15;

/** The values that `const` or `enum` lists; `undefined` where neither stands. */
export function valuesOf(schema: JsonObject): readonly Json[] | undefined {
  if (Object.hasOwn(schema, 'const')) return [schema['const'] as Json];
  const values = schema['enum'];
  return values === undefined ? undefined : isList(values) ? values : [];
}

/** The types of listed values, where no `type` is written. Whole numbers among others are read as the others are. */
export function typesOfValues(values: readonly Json[]): readonly JsonType[] {
  const types = [...new Set(values.map(typeOfValue))].filter((type) => type !== undefined);
  return types.includes('number') ? types.filter((type) => type !== 'integer') : types;
}

function typeOfValue(value: Json): JsonType | undefined {
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number';
  return typeof value === 'object' ? undefined : (typeof value as 'string' | 'boolean');
}

/** The canonical form of a value of `enum`, read as the schema reads what is sent; `undefined` where it does not fit. */
export function canonicalScalar(value: Json, rules: TypeRules): string | undefined {
  if (value === null) return rules.null === undefined ? undefined : 'null';
  if (typeof value === 'number') {
    const bound = exactBound(value);
    const isFitting = rules.number !== undefined && (rules.number.reading !== 'integer' || bound?.scale === 0);
    return isFitting && bound !== undefined ? canonicalValue(bound) : undefined;
  }
  if (typeof value === 'boolean') return rules.boolean === undefined ? undefined : canonicalValue(value);
  return typeof value === 'string' && rules.string !== undefined && value.isWellFormed() ? canonicalValue(value) : undefined;
}

/** What the author of a schema wrote, where a double tells: up to 15 digits, and whole numbers up to 2^53. */
export function exactBound(value: number): Decimal | undefined {
  const bound = Decimal.parse(String(value === 0 ? 0 : value));
  if (bound === undefined) return undefined;
  const digits = (bound.coefficient < 0n ? -bound.coefficient : bound.coefficient).toString().length;
  return Number.isSafeInteger(value) || digits <= BOUND_DIGITS_MAX ? bound : undefined;
}

export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
export const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !isList(value);

/** A value in a message. */
export function show(value: Json | undefined): string {
  const text = JSON.stringify(value) as string | undefined;
  return `\`${text === undefined ? 'nothing' : text.length > 80 ? `${text.slice(0, 80)}…` : text}\``;
}
