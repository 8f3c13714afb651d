/** The types of what a condition can read: from a tool's argument schema, the issuers' attributes, the environment. */

import { ISOLATIONS, attributesOf } from '@sallyport/model';
import type { AttributeType, Issuer, Tool } from '@sallyport/model';
import type { ObjectType, SchemaType } from '@sallyport/strict';
import { LIST_CAPS } from '../reader/limits.ts';
import type { EnvironmentValues } from '../rule.ts';
import { ORIGIN_FACT_NAMES } from '../session.ts';

export type Type =
  | { readonly kind: 'bool' | 'int' | 'double' | 'decimal' | 'null' }
  /** Known only at run time; `cap` is how long it can be if it is a list. */
  | { readonly kind: 'dyn'; readonly cap: number }
  /** `values` where the schema lists them all. */
  | { readonly kind: 'string'; readonly values?: readonly string[] }
  | { readonly kind: 'list'; readonly element: Type; readonly cap: number }
  | RecordType;

export interface RecordType {
  readonly kind: 'record';
  readonly fields: ReadonlyMap<string, Field>;
  /** The type of members that are not named, where such may stand. */
  readonly additional?: Type;
  /** What the record is, for messages: `argument`, `attribute`. */
  readonly noun: string;
}

/** `missing`: another tool of the rule has it, this one never does. */
export interface Field {
  readonly type: Type;
  readonly presence: 'required' | 'optional' | 'missing';
}

const STRING: Type = { kind: 'string' };
const BOOL: Type = { kind: 'bool' };
export const DYN: Type = { kind: 'dyn', cap: LIST_CAPS.argument };
const ATTRIBUTE: Type = { kind: 'dyn', cap: LIST_CAPS.attribute };

const listOf = (element: Type, cap: number): Type => ({ kind: 'list', element, cap });
const required = (type: Type): Field => ({ type, presence: 'required' });
const optional = (type: Type): Field => ({ type, presence: 'optional' });
const recordOf = (noun: string, fields: Readonly<Record<string, Field>>): RecordType => ({
  kind: 'record',
  noun,
  fields: new Map(Object.entries(fields)),
});

/** Variables by name. */
export type Scope = ReadonlyMap<string, Type>;

const events = listOf(STRING, LIST_CAPS.sessionEvents);

/** What is noted under a name: texts, and whole numbers as text. */
const notes = listOf(STRING, LIST_CAPS.notes);

function sessionType(noted: Noted): Type {
  const recordOfNotes = (names: readonly string[]): Type =>
    recordOf('note', Object.fromEntries(names.map((name) => [name, required(notes)])));
  return recordOf('field', {
    id: required(STRING),
    case: optional(STRING),
    task: optional(STRING),
    step: optional(STRING),
    ...Object.fromEntries(ORIGIN_FACT_NAMES.map((name) => [name, optional(STRING)])),
    root: required({ kind: 'string', values: ['operator', 'schedule', 'event'] }),
    age_s: required({ kind: 'int' }),
    attempted: required(events),
    completed: required(events),
    failed: required(events),
    denied: required(events),
    classes: required(listOf(STRING, LIST_CAPS.classes)),
    touched: required(recordOfNotes(noted.touched)),
    remembered: required(recordOfNotes(noted.remembered)),
    risk: optional({ kind: 'int' }),
  });
}

const TOOL = recordOf('field', {
  name: required(STRING),
  server: required(STRING),
  effect: required({ kind: 'string', values: ['read', 'write', 'side_effect', 'destructive'] }),
  classes: required(listOf(STRING, LIST_CAPS.classes)),
  method: optional({ kind: 'string', values: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] }),
  path: optional(STRING),
});

const AGENT = recordOf('field', {
  name: required(STRING),
  owner: required(STRING),
  isolation: required({ kind: 'string', values: ISOLATIONS }),
});

const CHAIN = listOf(recordOf('field', { agent: required(STRING), first_party: required(BOOL) }), LIST_CAPS.chain);

/** The names under which sessions note what tools touch and return. */
export interface Noted {
  readonly touched: readonly string[];
  readonly remembered: readonly string[];
}

/** Every name that a tool declares, sorted. */
export function notedBy(tools: Iterable<Tool>): Noted {
  const [touched, remembered] = [new Set<string>(), new Set<string>()];
  for (const { touches = {}, remember = {} } of tools) {
    for (const name of Object.keys(touches)) touched.add(name);
    for (const name of Object.keys(remember)) remembered.add(name);
  }
  return { touched: [...touched].toSorted(), remembered: [...remembered].toSorted() };
}

/** Everything but `args`: the same for every tool of a bundle. */
export function sharedScope(issuers: readonly Issuer[], environment: EnvironmentValues, noted: Noted): Scope {
  const attributes = issuers.flatMap((issuer) => attributesOf(issuer));
  const principal = recordOf('field', {
    id: required(STRING),
    kind: required({ kind: 'string', values: ['person', 'service', 'anonymous'] }),
    tenant: required(STRING),
    issuer: required(STRING),
    roles: required(listOf(STRING, LIST_CAPS.roles)),
    scopes: required(listOf(STRING, LIST_CAPS.scopes)),
    auth_age_s: required({ kind: 'int' }),
    acr: optional(STRING),
    amr: required(listOf(STRING, LIST_CAPS.roles)),
    attributes: required(
      recordOf('attribute', Object.fromEntries(attributes.map(([name, { type }]) => [name, optional(attributeType(type))]))),
    ),
  });
  const values = Object.entries(environment).map(([name, value]) => [name, required(environmentType(value.type))] as const);
  return new Map<string, Type>([
    ['principal', principal],
    ['session', sessionType(noted)],
    ['tool', TOOL],
    ['agent', AGENT],
    ['chain', CHAIN],
    ['env', recordOf('environment value', Object.fromEntries(values))],
  ]);
}

/** Without a declared type, what a claim holds is known only when a token comes: text, a number, or a list of text. */
function attributeType(type: AttributeType | undefined): Type {
  if (type === undefined) return ATTRIBUTE;
  return type === 'strings' ? listOf(STRING, LIST_CAPS.attribute) : environmentType(type);
}

function environmentType(type: EnvironmentValues[string]['type']): Type {
  switch (type) {
    case 'url':
    case 'string':
      return STRING;
    case 'integer':
      return { kind: 'int' };
    case 'decimal':
      return { kind: 'decimal' };
    case 'boolean':
      return BOOL;
    case 'strings':
      return listOf(STRING, LIST_CAPS.environment);
  }
}

/** The record that a tool's schema makes of its arguments, and what else a rule's other tools would have. */
export function argumentsType(schema: ObjectType, elsewhere: Iterable<string>): RecordType {
  const type = recordType(schema);
  const fields = new Map(type.fields);
  for (const name of elsewhere) if (!fields.has(name)) fields.set(name, { type: DYN, presence: 'missing' });
  return { ...type, fields };
}

function recordType(schema: ObjectType): RecordType {
  const fields = new Map<string, Field>();
  for (const [name, { type, isRequired }] of schema.properties) {
    fields.set(name, { type: typeOf(type), presence: isRequired ? 'required' : 'optional' });
  }
  const additional = schema.additional === undefined ? {} : { additional: typeOf(schema.additional) };
  return { kind: 'record', noun: 'argument', fields, ...additional };
}

function typeOf(schema: SchemaType): Type {
  switch (schema.kind) {
    case 'null':
    case 'decimal':
    case 'double':
      return { kind: schema.kind };
    case 'boolean':
      return BOOL;
    case 'integer':
      return { kind: 'int' };
    case 'string':
      return schema.values === undefined ? STRING : { kind: 'string', values: schema.values };
    case 'list':
      return listOf(typeOf(schema.element), schema.countMax ?? LIST_CAPS.argument);
    case 'object':
      return recordType(schema);
    case 'union':
    case 'any':
      return DYN;
  }
}

/** A type in the words of the language, for messages. */
export function describeType(type: Type): string {
  if (type.kind === 'list') return `list of ${describeType(type.element)}`;
  return type.kind === 'dyn' ? 'a type known only at run time' : type.kind;
}
