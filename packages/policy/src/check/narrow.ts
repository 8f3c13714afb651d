/**
 * Narrower schemas of a rule over a tool's arguments. The tool's schema has already been met when a rule is judged, so
 * that the merged schema here can only take away. Spec: policy-v1 section 4.4.
 */

import type { Json, JsonObject, Tool } from '@sallyport/model';
import { Decimal } from '@sallyport/model';
import type { Judged, Step, TypedArguments, TypedRecord, TypedValue } from '@sallyport/strict';
import type { Problems, Place } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';

/** Keywords that take values away and never change a type. */
export const NARROWING: readonly string[] = [
  'enum',
  'const',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'pattern',
  'format',
  'hosts',
  'domains',
  'under',
  'items',
  'properties',
  'required',
];

/** One object schema over the narrowed arguments of one tool, each required; `undefined` after reporting what is wrong. */
export function narrowedSchema(
  tool: Tool,
  narrower: Readonly<Record<string, JsonObject>>,
  placeOf: (name: string) => Place,
  problems: Problems,
): JsonObject | undefined {
  const own = objectAt(tool.arguments, 'properties') ?? {};
  const properties: Record<string, Json> = Object.create(null) as Record<string, Json>;
  let isWhole = true;
  for (const [name, schema] of Object.entries(narrower)) {
    const base = objectAt(own, name);
    if (base === undefined) {
      problems.add(placeOf(name), `${quote(tool.name)} has no argument ${quote(name)}`, {
        remedy: () => didYouMean(name, Object.keys(own)) ?? 'divide the rule by tool',
      });
      isWhole = false;
      continue;
    }
    const why = unfit(base, schema);
    if (why !== undefined) {
      problems.add(placeOf(name), why.message, { remedy: why.remedy });
      isWhole = false;
    }
    properties[name] = merge(base, schema);
  }
  if (!isWhole) return undefined;
  const definitions = tool.arguments['$defs'];
  return { type: 'object', properties, required: Object.keys(properties), ...(definitions === undefined ? {} : { $defs: definitions }) };
}

function unfit(base: JsonObject, narrower: JsonObject): { message: string; remedy?: string } | undefined {
  for (const key of Object.keys(narrower)) {
    if (!NARROWING.includes(key))
      return { message: `${quote(key)} does not narrow`, remedy: didYouMean(key, NARROWING) ?? `use ${NARROWING.join(', ')}` };
  }
  if (narrower['format'] === 'decimal') return { message: '`decimal` changes how a number is read', remedy: 'write it in the tool' };
  const merged = merge(base, narrower);
  for (const kind of ['imum', 'Length', 'Items']) {
    const [min, max] = [merged[`min${kind}`], merged[`max${kind}`]];
    if (typeof min === 'number' && typeof max === 'number' && min > max) {
      return { message: `no value fits: at least ${min} and at most ${max}`, remedy: 'the bounds of tool and rule both hold' };
    }
  }
  const [allowed, wanted] = [enumOf(base), enumOf(narrower)];
  const known = new Set(allowed);
  const isDisjoint = allowed !== undefined && wanted !== undefined && !wanted.some((value) => known.has(value));
  return isDisjoint ? { message: `no value fits: the tool takes only ${allowed.join(', ')}` } : undefined;
}

function enumOf(schema: JsonObject): readonly string[] | undefined {
  const values = schema['enum'] ?? (Object.hasOwn(schema, 'const') ? [schema['const'] ?? null] : undefined);
  return Array.isArray(values) ? (values as readonly Json[]).map((value) => JSON.stringify(value)) : undefined;
}

function merge(base: JsonObject, narrower: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...base };
  // `enum` and `const` say the same thing and cannot stand together; the tool's own was checked before.
  if (enumOf(narrower) !== undefined) {
    delete merged['enum'];
    delete merged['const'];
  }
  for (const [key, value] of Object.entries(narrower)) {
    const [mine, theirs] = [asObject(base[key]), asObject(value)];
    merged[key] =
      (key === 'items' || key === 'properties') && mine !== undefined && theirs !== undefined ? mergeInner(key, mine, theirs) : value;
  }
  return merged;
}

function mergeInner(key: 'items' | 'properties', base: JsonObject, narrower: JsonObject): JsonObject {
  if (key === 'items') return merge(base, narrower);
  const merged: Record<string, Json> = { ...base };
  for (const [name, schema] of Object.entries(narrower)) {
    const [mine, theirs] = [asObject(base[name]), asObject(schema)];
    merged[name] = mine !== undefined && theirs !== undefined ? merge(mine, theirs) : schema;
  }
  return merged;
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function objectAt(schema: JsonObject, key: string): JsonObject | undefined {
  return Object.hasOwn(schema, key) ? asObject(schema[key]) : undefined;
}

/** The named arguments as a judged document again, exact numbers included, so that a schema can read them once more. */
export function judgedArguments(args: TypedArguments, names: readonly string[]): Judged {
  const texts = new Map<object, Map<Step, string>>();
  const root: Record<string, Json> = Object.create(null) as Record<string, Json>;
  for (const name of names) if (Object.hasOwn(args, name)) put(root, name, args[name] ?? null, texts);
  return judgedPart(root, texts);
}

type Texts = Map<object, Map<Step, string>>;

function put(holder: Record<string, Json> | Json[], key: Step, value: TypedValue, texts: Texts): void {
  const target = holder as Record<Step, Json>;
  if (typeof value === 'bigint' || value instanceof Decimal) {
    const text = value.toString();
    target[key] = Number(text);
    if (String(Number(text)) === text) return;
    const known = texts.get(holder);
    if (known === undefined) texts.set(holder, new Map([[key, text]]));
    else known.set(key, text);
  } else if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const [index, item] of (value as readonly TypedValue[]).entries()) put(items, index, item, texts);
    target[key] = items;
  } else if (typeof value === 'object' && value !== null) {
    const object: Record<string, Json> = Object.create(null) as Record<string, Json>;
    for (const [name, member] of Object.entries(value as TypedRecord)) put(object, name, member, texts);
    target[key] = object;
  } else {
    target[key] = value;
  }
}

function judgedPart(tree: Json, texts: Texts): Judged {
  return {
    tree,
    numberText: (holder, key) => (holder === undefined ? undefined : texts.get(holder)?.get(key)),
    at: (...steps) => {
      let part: Json | undefined = tree;
      for (const step of steps) {
        const holder: Record<Step, Json> | undefined =
          typeof part === 'object' && part !== null ? (part as unknown as Record<Step, Json>) : undefined;
        part = holder !== undefined && Object.hasOwn(holder, step) ? holder[step] : undefined;
      }
      return part === undefined ? undefined : judgedPart(part, texts);
    },
  };
}
