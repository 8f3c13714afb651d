/**
 * The JSON Schema (2020-12) of policy documents, for editors: a judge of shape and an aid to write, never what a build
 * relies on. What it cannot know is listed in docs/reference/policy.md; what it says, the readers say too. Beside the
 * standard it uses the words of VS Code's language services (`markdownDescription`, `patternErrorMessage`,
 * `defaultSnippets`), which others ignore.
 */

import { Bug } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import { NARROWING } from '../check/narrow.ts';
import { formatSpan } from '../reader/read.ts';
import { examplesOf, flowOf, isList, isMap } from './examples.ts';
import type { Examples } from './examples.ts';
import { KIND_SHAPES, mapsOf } from './kinds.ts';
import type { Field, Kind, MapShape, Shape, TextShape } from './shape.ts';

const API_VERSION = 'sallyport.dev/v1';

/** The schema as JSON, made anew at each call. */
export function policySchema(): JsonObject {
  const examples = examplesOf();
  const definitions: Record<string, Json> = {};
  const named = new Map<string, MapShape>();
  for (const { shape } of KIND_SHAPES) {
    for (const one of mapsOf(shape)) {
      // One shape may stand in several kinds.
      if (named.get(one.name) === one) continue;
      if (named.has(one.name)) throw new Bug(`two shapes are called ${one.name}`);
      named.set(one.name, one);
      definitions[one.name] = mapSchema(one, examples);
    }
  }
  for (const kind of KIND_SHAPES) definitions[kind.name] = documentSchema(kind, definitions[kind.name]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Sallyport policy document',
    description: 'One document of a policy. Reference: docs/reference/policy.md',
    // A trailing `---` makes a document of nothing, which is none.
    type: ['object', 'null'],
    required: ['kind'],
    properties: { apiVersion: API_VERSION_SCHEMA, kind: kindSchema() },
    allOf: KIND_SHAPES.map(({ name }) => ({
      if: { type: 'object', required: ['kind'], properties: { kind: { const: name } } },
      // eslint-disable-next-line unicorn/no-thenable -- the keyword of JSON Schema
      then: { $ref: `#/$defs/${name}` },
    })),
    defaultSnippets: KIND_SHAPES.map((kind) => snippetOf(kind, examples)),
    $defs: { ...definitions, ...ARGUMENT_SCHEMAS },
  };
}

const API_VERSION_SCHEMA: JsonObject = {
  const: API_VERSION,
  description: 'Stands in the first document of a file, and in no other.',
};

function kindSchema(): JsonObject {
  return {
    description: 'What the document declares.',
    enum: KIND_SHAPES.map(({ name }) => name),
    markdownEnumDescriptions: KIND_SHAPES.map(({ says }) => says),
  };
}

function documentSchema({ name, says }: Kind, schema: Json | undefined): JsonObject {
  if (!isMap(schema)) throw new Bug(`no schema of ${name}`);
  const properties = schema['properties'] as JsonObject;
  return {
    ...schema,
    description: says,
    properties: { apiVersion: API_VERSION_SCHEMA, kind: { const: name, description: says }, ...properties },
  };
}

function mapSchema(shape: MapShape, examples: Examples): JsonObject {
  const names = Object.keys(shape.fields);
  const required = names.filter((name) => shape.fields[name]?.isRequired === true);
  const isOne = shape.exactlyOne !== undefined && shape.exactlyOne.length === names.length;
  return {
    type: 'object',
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    ...(isOne ? { minProperties: 1, maxProperties: 1 } : {}),
    ...(shape.exactlyOne === undefined || isOne ? {} : { oneOf: shape.exactlyOne.map((name) => ({ required: [name] })) }),
    ...(shape.atLeastOne === undefined ? {} : { anyOf: shape.atLeastOne.map((name) => ({ required: [name] })) }),
    ...(shape.excludes === undefined ? {} : { allOf: shape.excludes.map(exclusion) }),
    properties: Object.fromEntries(Object.entries(shape.fields).map(([name, field]) => [name, fieldSchema(field, examples)])),
    ...(shape.name === 'Rule' ? { defaultSnippets: RULE_SNIPPETS } : {}),
  };
}

function exclusion({ field, fields }: NonNullable<MapShape['excludes']>[number]): JsonObject {
  return {
    if: { required: [field] },
    // eslint-disable-next-line unicorn/no-thenable -- the keyword of JSON Schema
    then: { properties: Object.fromEntries(fields.map((name) => [name, false])) },
  };
}

function fieldSchema(field: Field, examples: Examples): JsonObject {
  const example = examples.values.get(field);
  const more = remarksOn(field);
  return {
    ...shapeSchema(field.shape),
    description: [field.says, ...more].join(' '),
    markdownDescription: [field.says, ...more].join('\n\n'),
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(example === undefined ? {} : { examples: [example] }),
  };
}

/** Bound, default and code, as sentences. */
export function remarksOn({ shape, default: value, otherwise, code }: Field): readonly string[] {
  const bound = boundOf(shape);
  return [
    ...(bound === undefined ? [] : [`${bound.charAt(0).toUpperCase()}${bound.slice(1)}.`]),
    ...(otherwise === undefined ? (value === undefined ? [] : [`Default: \`${flowOf(value)}\`.`]) : [`Default: ${otherwise}.`]),
    ...(code === undefined ? [] : [`Answers \`${code}\`.`]),
  ];
}

/** How much there may be, in words; `undefined` where its type says it. */
export function boundOf(shape: Shape): string | undefined {
  if (shape.is === 'count') return `${shape.min} to ${shape.max}`;
  if (shape.is === 'span') return `at most ${formatSpan(shape.msMax)}`;
  if (shape.is === 'list' || shape.is === 'names') {
    return shape.min === 0 ? `at most ${shape.max} entries` : `${shape.min} to ${shape.max} entries`;
  }
  return shape.is === 'text' ? `at most ${shape.charsMax} characters` : undefined;
}

function shapeSchema(shape: Shape): JsonObject {
  switch (shape.is) {
    case 'text':
      return textSchema(shape);
    case 'word':
      return { enum: shape.of };
    case 'flag':
      return shape.only === undefined ? { type: 'boolean' } : { const: true };
    case 'count':
      return { type: 'integer', minimum: shape.min, maximum: shape.max };
    case 'span':
      return {
        type: 'string',
        pattern: '^[1-9][0-9]{0,9}[smhd]$',
        patternErrorMessage: `must be a span of time such as 90s, 15m, 8h or 30d, at most ${formatSpan(shape.msMax)}`,
      };
    case 'number':
      return numberSchema(shape);
    case 'list':
      return {
        type: 'array',
        items: shapeSchema(shape.of),
        ...(shape.min === 0 ? {} : { minItems: shape.min }),
        maxItems: shape.max,
        ...(shape.isSet ? { uniqueItems: true } : {}),
      };
    case 'map':
      return { $ref: `#/$defs/${shape.name}` };
    case 'names':
      return {
        type: 'object',
        propertyNames: textSchema(shape.key),
        additionalProperties: shapeSchema(shape.of),
        ...(shape.min === 0 ? {} : { minProperties: shape.min }),
        maxProperties: shape.max,
      };
    case 'either':
      return { anyOf: shape.of.map(shapeSchema) };
    case 'schema':
      return { $ref: shape.of === 'whole' ? '#/$defs/ArgumentSchema' : '#/$defs/NarrowedSchema' };
    case 'json':
      return { type: 'object' };
  }
}

function textSchema({ words, pattern, charsMax, isEmptyToo }: TextShape): JsonObject {
  return {
    type: 'string',
    ...(isEmptyToo === true ? {} : { minLength: 1 }),
    maxLength: charsMax,
    ...(pattern === undefined ? {} : { pattern, patternErrorMessage: `must be ${words}` }),
  };
}

function numberSchema({ of, isNegative }: Extract<Shape, { is: 'number' }>): JsonObject {
  const sign = isNegative ? '-?' : '';
  const form = of === 'integer' ? `^${sign}(?:0|[1-9][0-9]{0,37})$` : `^${sign}(?:0|[1-9][0-9]{0,37})(?:\\.[0-9]+)?$`;
  return {
    anyOf: [
      { type: of === 'integer' ? 'integer' : 'number', ...(isNegative ? {} : { minimum: 0 }) },
      {
        type: 'string',
        pattern: form,
        patternErrorMessage: `must be ${of === 'integer' ? 'a whole number' : 'a decimal'} of at most 38 digits`,
      },
    ],
  };
}

/** The skeleton of a document: what is required, as the example has it, with a stop for each text. */
function snippetOf({ name, says, shape }: Kind, examples: Examples): JsonObject {
  const document = examples.documents.get(name);
  if (document === undefined) throw new Bug(`the example has no ${name}`);
  return { label: name, description: says, body: { kind: name, ...(skeletonOf(shape, document, { next: 1 }) as JsonObject) } };
}

function skeletonOf(shape: Shape, value: Json, stop: { next: number }): Json {
  if (shape.is === 'map' && isMap(value)) {
    const chosen = [shape.exactlyOne, shape.atLeastOne].flatMap((names) => names?.find((name) => Object.hasOwn(value, name)) ?? []);
    const fields = Object.entries(shape.fields).filter(([name, field]) => field.isRequired === true || chosen.includes(name));
    return Object.fromEntries(
      fields.flatMap(([name, field]) => {
        const member = value[name];
        return member === undefined ? [] : [[name, skeletonOf(field.shape, member, stop)]];
      }),
    );
  }
  if (shape.is === 'list' && isList(value)) return value.slice(0, 1).map((item) => skeletonOf(shape.of, item, stop));
  if (shape.is === 'names' && isMap(value)) {
    return Object.fromEntries(
      Object.entries(value)
        .slice(0, 1)
        .map(([name, member]) => [name, skeletonOf(shape.of, member, stop)]),
    );
  }
  // A snippet's own signs are escaped: the example holds references to the environment.
  return typeof value === 'string' ? `\${${stop.next++}:${value.replaceAll(/[$}\\]/g, String.raw`\$&`)}}` : value;
}

const RULE_SNIPPETS: readonly Json[] = [
  {
    label: 'allow',
    description: 'grants tools to whom it is for, if everything that it demands is met',
    body: { id: '${1:id}', allow: ['${2:server/tool}'], for: { roles: ['${3:role}'] } },
  },
  {
    label: 'require',
    description: 'adds demands to whatever allows these tools',
    body: { id: '${1:id}', require: [{ class: '${2:money}' }], step_up: { max_age: '${3:10m}' } },
  },
  {
    label: 'deny',
    description: 'refuses these tools, whatever allows them',
    body: { id: '${1:id}', deny: [{ effect: '${2:destructive}' }] },
  },
];

const SCHEMA_REF: JsonObject = { $ref: '#/$defs/ArgumentSchema' };
const COUNT: JsonObject = { type: 'integer', minimum: 0 };
const PLACES: JsonObject = { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 1_000 };
const TYPES: readonly string[] = ['null', 'boolean', 'string', 'integer', 'number', 'array', 'object'];

/** The keywords of arguments-v1 section 3. Which of them may stand together is for the build to say. */
const KEYWORDS: JsonObject = {
  type: { anyOf: [{ enum: TYPES }, { type: 'array', items: { enum: TYPES }, minItems: 1, uniqueItems: true }] },
  enum: { type: 'array', minItems: 1, maxItems: 1_000, description: 'One of these scalars.' },
  const: { type: ['string', 'number', 'boolean', 'null'], description: 'This scalar.' },
  properties: { type: 'object', additionalProperties: SCHEMA_REF, description: 'The members, by name; others are refused.' },
  required: { type: 'array', items: { type: 'string' }, description: 'Members that must be there.' },
  additionalProperties: { anyOf: [{ type: 'boolean' }, SCHEMA_REF], description: 'What other members may be.' },
  items: { ...SCHEMA_REF, description: 'What every element is.' },
  minItems: COUNT,
  maxItems: COUNT,
  minimum: { type: 'number', description: 'Inclusive.' },
  maximum: { type: 'number', description: 'Inclusive.' },
  minLength: COUNT,
  maxLength: COUNT,
  pattern: {
    type: 'string',
    maxLength: 1_024,
    description: 'Matches anywhere unless anchored; linear time, no look-around, no back-references.',
  },
  format: {
    enum: ['date', 'date-time', 'email', 'uri', 'uuid', 'hostname', 'ipv4', 'ipv6', 'path', 'absolute-path', 'sql-read', 'decimal'],
  },
  hosts: { ...PLACES, description: 'The hosts that a `uri` or `hostname` may name: exact, or `*.suffix`.' },
  domains: { ...PLACES, description: 'The domains that an `email` may be of.' },
  under: { ...PLACES, description: 'The folders that a path lies below.' },
  anyOf: { type: 'array', items: SCHEMA_REF, minItems: 1, description: 'The first that fits.' },
  $ref: { type: 'string', pattern: '^#(?:/|$)' },
  $defs: { type: 'object', additionalProperties: SCHEMA_REF },
  title: { type: 'string' },
  description: { type: 'string' },
  $schema: { type: 'string' },
  default: { description: 'Says nothing: a value that nobody sent is never made up.' },
  'x-mcp-header': {},
};

const ARGUMENT_SCHEMAS: JsonObject = {
  ArgumentSchema: {
    type: 'object',
    additionalProperties: false,
    description: 'A schema of arguments: a subset of JSON Schema (arguments-v1, section 3).',
    properties: KEYWORDS,
  },
  NarrowedSchema: {
    type: 'object',
    additionalProperties: false,
    description: 'What an argument must be besides what the tool’s schema says.',
    properties: Object.fromEntries(NARROWING.map((name) => [name, KEYWORDS[name] ?? {}])),
  },
};
