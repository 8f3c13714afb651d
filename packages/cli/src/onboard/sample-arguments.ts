/** Arguments that fit a schema, for the first tests of a policy: the least that is required, with values that say what they are. */

import type { Json, JsonObject } from '@sallyport/model';
import { isList, isObject, listOf } from './json-shape.ts';

const DEPTH_MAX = 8;
/** A schema is a stranger's: what refers to itself in a hundred places must not be written out. */
const VALUES_MAX = 200;
const CHARS_MAX = 200;
const ITEMS_MAX = 16;
const EXAMPLES: Readonly<Record<string, string>> = {
  date: '2026-01-31',
  'date-time': '2026-01-31T12:00:00Z',
  email: 'somebody@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  path: 'example.txt',
};

/** `undefined` where no such value could be made up; what is made up is for the caller to try. */
export function sampleArguments(schema: JsonObject): JsonObject | undefined {
  const sample = sampleOf(schema, { root: schema, depth: 0, budget: { left: VALUES_MAX } });
  return isObject(sample) ? sample : undefined;
}

interface Inside {
  readonly root: JsonObject;
  readonly depth: number;
  /** Owner: `sampleOf`, which takes one for each value. */
  readonly budget: { left: number };
}

function sampleOf(schema: Json | undefined, { root, depth, budget }: Inside): Json | undefined {
  if (!isObject(schema) || depth > DEPTH_MAX || budget.left === 0) return undefined;
  budget.left -= 1;
  const inner = { root, depth: depth + 1, budget };
  if (typeof schema['$ref'] === 'string') return sampleOf(referenced(root, schema['$ref']), inner);
  if (isList(schema['anyOf'])) return first(schema['anyOf'].map((branch) => sampleOf(branch, inner)));
  if (schema['const'] !== undefined) return schema['const'];
  if (isList(schema['enum'])) return schema['enum'][0];
  const [type] = [...listOf(schema['type']), schema['properties'] === undefined ? 'string' : 'object'];
  return typeof type === 'string' ? BY_TYPE[type]?.(schema, inner) : undefined;
}

type Make = (schema: JsonObject, inside: Inside) => Json | undefined;

const BY_TYPE: Readonly<Record<string, Make>> = {
  string: textOf,
  integer: numberOf,
  number: numberOf,
  boolean: () => false,
  null: () => null,
  array: listOfSamples,
  object: membersOf,
};

function textOf({ format, pattern, minLength, maxLength }: JsonObject): string | undefined {
  // What a pattern wants is not guessed.
  if (pattern !== undefined || Number(minLength ?? 0) > CHARS_MAX) return undefined;
  const text = typeof format === 'string' ? EXAMPLES[format] : 'example';
  return text?.padEnd(Number(minLength ?? 0), 'x').slice(0, Number(maxLength ?? Number.POSITIVE_INFINITY));
}

function numberOf({ minimum, maximum }: JsonObject): number {
  const least = typeof minimum === 'number' ? minimum : Number.NEGATIVE_INFINITY;
  const most = typeof maximum === 'number' ? maximum : Number.POSITIVE_INFINITY;
  return Math.min(Math.max(1, least), most);
}

function listOfSamples({ items, minItems }: JsonObject, inside: Inside): Json | undefined {
  const count = Number(minItems ?? 0);
  if (count === 0) return [];
  if (count > ITEMS_MAX) return undefined;
  const made = Array.from({ length: count }, () => sampleOf(items ?? { type: 'string' }, inside));
  return made.every((item) => item !== undefined) ? made : undefined;
}

function membersOf({ properties, required }: JsonObject, inside: Inside): JsonObject | undefined {
  const known = isObject(properties) ? properties : {};
  const names = listOf(required).filter((name) => typeof name === 'string');
  const members = names.map((name): readonly [string, Json | undefined] => [name, sampleOf(known[name], inside)]);
  if (members.some(([, value]) => value === undefined)) return undefined;
  return Object.fromEntries(members.filter((entry): entry is readonly [string, Json] => entry[1] !== undefined));
}

function referenced(root: JsonObject, reference: string): Json | undefined {
  const steps = reference
    .replace(/^#\/?/, '')
    .split('/')
    .filter((step) => step !== '');
  return steps.reduce<Json | undefined>(
    (found, step) => (isObject(found) ? found[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined),
    root,
  );
}

function first(samples: readonly (Json | undefined)[]): Json | undefined {
  return samples.find((sample) => sample !== undefined && sample !== null);
}
