/** Arguments that fit a schema, where some can be made up: what is required, each the least there is. No pattern is guessed. */

import type { Json, JsonObject } from '@sallyport/model';

const DEPTH_MAX = 8;
const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-01-31',
  'date-time': '2026-01-31T12:00:00Z',
  email: 'somebody@example.com',
  hostname: 'example.com',
  url: 'https://example.com/',
  uri: 'https://example.com/',
  'sql-read': 'SELECT 1',
  'absolute-path': '/srv',
};

/** `undefined` where no such arguments could be made up; whether they fit is for the schema to say. */
export function sampleArguments(schema: JsonObject): JsonObject | undefined {
  const sample = sampleOf({ type: 'object', ...schema }, 0);
  return isObject(sample) ? sample : undefined;
}

function sampleOf(schema: Json | undefined, depth: number): Json | undefined {
  if (!isObject(schema) || depth > DEPTH_MAX) return undefined;
  const { type, enum: members, const: only, anyOf } = schema;
  if (only !== undefined) return only;
  if (isList(members)) return members[0];
  if (isList(anyOf)) return anyOf.map((one) => sampleOf(one, depth + 1)).find((one) => one !== undefined);
  const named = isList(type) ? type[0] : type;
  return typeof named === 'string' ? BY_TYPE[named]?.(schema, depth) : undefined;
}

const BY_TYPE: Readonly<Record<string, (schema: JsonObject, depth: number) => Json | undefined>> = {
  string: textOf,
  integer: numberOf,
  number: numberOf,
  boolean: () => false,
  null: () => null,
  array: listOf,
  object: membersOf,
};

function textOf({ pattern, format, minLength }: JsonObject): string | undefined {
  if (pattern !== undefined) return undefined;
  return (typeof format === 'string' ? FORMATS[format] : 'x')?.padEnd(Number(minLength ?? 0), 'x');
}

function numberOf({ minimum, maximum }: JsonObject): number {
  if (typeof minimum === 'number') return minimum;
  return typeof maximum === 'number' ? Math.min(1, maximum) : 1;
}

function listOf({ minItems, items }: JsonObject, depth: number): Json | undefined {
  const count = Number(minItems ?? 0);
  const item = count === 0 ? null : sampleOf(items, depth + 1);
  return item === undefined || count > 16 ? undefined : Array.from({ length: count }, () => item);
}

function membersOf({ properties, required }: JsonObject, depth: number): JsonObject | undefined {
  const known = isObject(properties) ? properties : {};
  const names = (isList(required) ? required : []).filter((name) => typeof name === 'string');
  const entries = names.map((name) => [name, sampleOf(known[name], depth + 1)] as const);
  return entries.some(([, value]) => value === undefined) ? undefined : (Object.fromEntries(entries) as JsonObject);
}

function isList(json: Json | undefined): json is readonly Json[] {
  return Array.isArray(json);
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
