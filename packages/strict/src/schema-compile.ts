/**
 * From a JSON Schema of the subset to what the validator walks. Nothing is skipped: a keyword that is not known, or
 * that would not take part in validation where it stands, is a problem, because a schema that promises more than is
 * enforced is a hole. docs/spec/arguments-v1.md section 3.
 */

import { nearest } from '@sallyport/model';
import type { Decimal, Json, JsonObject, Problem } from '@sallyport/model';
import { STRING_FORMATS } from './formats.ts';
import type { StringFormat } from './formats.ts';
import { foldCase } from './json-walk.ts';
import { compilePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';
import { formatPlace } from './place.ts';
import type { Step } from './place.ts';
import { SCOPE_FORMATS, compileScope } from './string-scope.ts';
import type { ScopeKeyword, StringScope } from './string-scope.ts';
import type { ArrayRules, NumberRules, ObjectRules, SchemaCell, SchemaNode, StringRules, TypeRules, ValueList } from './schema-node.ts';
import { hasEndlessReference, resolveReference } from './schema-reference.ts';
import { BOUND_DIGITS_MAX, canonicalScalar, exactBound, isList, isObject, show, typesOfValues, valuesOf } from './schema-values.ts';
import type { JsonType } from './schema-values.ts';

export interface CompiledSchema {
  readonly root: SchemaCell;
  readonly problems: readonly Problem[];
}

/** Which JSON types a keyword speaks of; it stands only in a schema of such a type. */
const KEYWORD_TYPES: Readonly<Record<string, readonly JsonType[]>> = {
  properties: ['object'],
  required: ['object'],
  additionalProperties: ['object'],
  items: ['array'],
  minItems: ['array'],
  maxItems: ['array'],
  minLength: ['string'],
  maxLength: ['string'],
  pattern: ['string'],
  hosts: ['string'],
  domains: ['string'],
  under: ['string'],
  minimum: ['integer', 'number'],
  maximum: ['integer', 'number'],
};
/** Keywords that say something about a value, beside those. */
const OTHER_KEYWORDS: readonly string[] = ['type', 'enum', 'const', 'format', 'anyOf', '$ref'];
/** Keywords that say nothing about a value. `default` is among them: a value that nobody sent is never made up. */
const ANNOTATIONS: readonly string[] = ['title', 'description', '$schema', '$defs', 'default', 'x-mcp-header'];
const SPEAKING: readonly string[] = [...Object.keys(KEYWORD_TYPES), ...OTHER_KEYWORDS];
const KEYWORDS: readonly string[] = [...SPEAKING, ...ANNOTATIONS];
const TYPES: readonly JsonType[] = ['null', 'boolean', 'string', 'integer', 'number', 'array', 'object'];

const SCHEMAS_MAX = 5_000;
const DEPTH_MAX = 64;
const PROBLEMS_MAX = 100;
const VALUES_MAX = 1_000;

/** Compiles the schema of an object; `path` is where it stands, for problems. */
export function compileNodes(schema: JsonObject, path: string): CompiledSchema {
  const compiler = new Compiler(schema, path);
  const root = compiler.compileRoot();
  return { root, problems: compiler.problems };
}

class Compiler {
  /** Only this compiler adds to it. */
  readonly problems: Problem[] = [];
  readonly #root: JsonObject;
  readonly #path: string;
  /** One cell for each schema met, by identity, so that references and recursion share it. Only `#compile` adds to it. */
  readonly #cells = new Map<JsonObject, SchemaCell>();

  constructor(root: JsonObject, path: string) {
    this.#root = root;
    this.#path = path;
  }

  compileRoot(): SchemaCell {
    const isSilent = !Object.keys(this.#root).some((keyword) => SPEAKING.includes(keyword));
    const cell = this.#compile(isSilent ? { ...this.#root, type: 'object' } : this.#root, []);
    const definitions = this.#root['$defs'];
    if (definitions !== undefined) this.#compileMap(definitions, ['$defs']);
    if (cell.node?.kind !== 'typed' || Object.keys(cell.node.rules).join() !== 'object') {
      this.#report([], 'arguments are an object', 'say `type: object` and its `properties`');
    }
    if (hasEndlessReference(this.#cells.values())) this.#report([], 'a `$ref` leads back to itself');
    return cell;
  }

  #compile(schema: Json, steps: readonly Step[]): SchemaCell {
    if (!isObject(schema)) {
      this.#report(steps, 'expected a schema, that is an object');
      return ANYTHING;
    }
    const known = this.#cells.get(schema);
    if (known !== undefined) return known;
    const cell: SchemaCell = { node: undefined };
    this.#cells.set(schema, cell);
    if (steps.length > DEPTH_MAX || this.#cells.size > SCHEMAS_MAX) {
      this.#report(steps, `the schema is larger than ${SCHEMAS_MAX} parts or nested deeper than ${DEPTH_MAX}`);
      cell.node = { kind: 'any' };
    } else {
      this.#refuseUnknownKeywords(schema, steps);
      cell.node = this.#node(schema, steps);
    }
    return cell;
  }

  #node(schema: JsonObject, steps: readonly Step[]): SchemaNode {
    const speaking = Object.keys(schema).filter((keyword) => SPEAKING.includes(keyword));
    for (const alone of ['$ref', 'anyOf']) {
      if (!Object.hasOwn(schema, alone)) continue;
      if (speaking.length > 1) {
        const others = speaking.filter((keyword) => keyword !== alone);
        this.#report(steps, `\`${alone}\` stands alone, but beside it is ${quote(others)}`, 'move the rest into the schemas that it names');
      }
      return alone === '$ref' ? this.#reference(schema['$ref'], [...steps, '$ref']) : this.#anyOf(schema['anyOf'], [...steps, 'anyOf']);
    }
    if (speaking.length === 0) return { kind: 'any' };
    const types = this.#types(schema, speaking, steps);
    this.#refuseIdleKeywords(speaking, types, steps);
    const rules = this.#rules(schema, types, steps);
    return { kind: 'typed', rules, values: this.#values(schema, rules, steps) };
  }

  #reference(reference: Json | undefined, steps: readonly Step[]): SchemaNode {
    const target = typeof reference === 'string' ? resolveReference(this.#root, reference) : undefined;
    if (target === undefined) {
      this.#report(
        steps,
        `${show(reference)} leads nowhere in this schema`,
        'only local references such as `#/$defs/address` are followed',
      );
      return { kind: 'any' };
    }
    return { kind: 'reference', target: this.#compile(target.schema, target.steps) };
  }

  #anyOf(branches: Json | undefined, steps: readonly Step[]): SchemaNode {
    if (!isList(branches) || branches.length === 0) {
      this.#report(steps, 'expected a list of schemas');
      return { kind: 'any' };
    }
    return { kind: 'any_of', branches: branches.map((branch, i) => this.#compile(branch, [...steps, i])) };
  }

  /** The types of a schema: as written, else those of its values, else the one that its keywords speak of. */
  #types(schema: JsonObject, speaking: readonly string[], steps: readonly Step[]): readonly JsonType[] {
    const { type } = schema;
    if (type !== undefined) {
      const list = isList(type) ? type : [type];
      const unknown = list.filter((name) => !TYPES.includes(name as JsonType));
      if (unknown.length > 0 || list.length === 0 || new Set(list).size < list.length) {
        this.#report([...steps, 'type'], `expected types among ${quote(TYPES)}, each once, not ${show(type)}`);
      }
      if (list.includes('integer') && list.includes('number')) {
        this.#report([...steps, 'type'], '`integer` and `number` are read differently', 'say one of them');
      }
      return list.filter((name): name is JsonType => TYPES.includes(name as JsonType));
    }
    const values = valuesOf(schema);
    if (values !== undefined) return typesOfValues(values);
    const implied = new Set(speaking.flatMap((keyword) => impliedType(keyword, schema['format'])));
    if (implied.size !== 1) this.#report(steps, `cannot tell which type ${quote(speaking)} is meant for`, 'say `type`');
    return [...implied];
  }

  #rules(schema: JsonObject, types: readonly JsonType[], steps: readonly Step[]): TypeRules {
    const rules: { -readonly [T in keyof TypeRules]: TypeRules[T] } = {};
    const format = this.#format(schema['format'], types, [...steps, 'format']);
    for (const type of types) {
      if (type === 'null' || type === 'boolean') rules[type] = true;
      else if (type === 'string') rules.string = this.#stringRules(schema, format, steps);
      else if (type === 'array') rules.array = this.#arrayRules(schema, steps);
      else if (type === 'object') rules.object = this.#objectRules(schema, steps);
      else rules.number = this.#numberRules(schema, type === 'integer' ? 'integer' : format === 'decimal' ? 'decimal' : 'double', steps);
    }
    return rules;
  }

  #format(format: Json | undefined, types: readonly JsonType[], steps: readonly Step[]): StringFormat | 'decimal' | undefined {
    if (format === undefined) return undefined;
    if (format === 'decimal') {
      if (types.includes('number')) return 'decimal';
      this.#report(steps, '`decimal` is a format of `type: number`', 'exact numbers are sent as numbers, not as strings');
    } else if (!STRING_FORMATS.includes(format as StringFormat)) {
      this.#report(steps, `unknown format ${show(format)}`, `known are ${quote(['decimal', ...STRING_FORMATS])}`);
    } else if (types.includes('string')) {
      return format as StringFormat;
    } else {
      this.#report(steps, `${show(format)} is a format of \`type: string\``);
    }
    return undefined;
  }

  #stringRules(schema: JsonObject, format: StringFormat | 'decimal' | undefined, steps: readonly Step[]): StringRules {
    const [lengthMin, lengthMax] = this.#countBounds(schema, ['minLength', 'maxLength'], steps);
    const pattern = this.#pattern(schema['pattern'], [...steps, 'pattern']);
    const ofText = format === 'decimal' ? undefined : format;
    const scopes = SCOPE_KEYWORDS.flatMap((keyword) =>
      this.#scope(keyword, schema[keyword], { format: ofText, steps: [...steps, keyword] }),
    );
    return { lengthMin, lengthMax, pattern, format: ofText, scopes };
  }

  #scope(
    keyword: ScopeKeyword,
    entries: Json | undefined,
    { format, steps }: { format: StringFormat | undefined; steps: readonly Step[] },
  ): readonly StringScope[] {
    if (entries === undefined) return [];
    if (format === undefined || !SCOPE_FORMATS[keyword].includes(format)) {
      this.#report(steps, `\`${keyword}\` needs a \`format\` among ${quote(SCOPE_FORMATS[keyword])}`);
    } else if (
      !isList(entries) ||
      entries.length === 0 ||
      entries.length > VALUES_MAX ||
      !entries.every((entry) => typeof entry === 'string')
    ) {
      this.#report(steps, `expected 1 to ${VALUES_MAX} texts, not ${show(entries)}`);
    } else {
      const scope = compileScope(keyword, entries, format);
      if (!('badEntry' in scope)) return [scope];
      this.#report([...steps, scope.badEntry], `${show(entries[scope.badEntry])} is no entry of \`${keyword}\``, SCOPE_REMEDIES[keyword]);
    }
    return [];
  }

  #pattern(source: Json | undefined, steps: readonly Step[]): Pattern | undefined {
    if (source === undefined) return undefined;
    if (typeof source !== 'string') {
      this.#report(steps, `expected a regular expression, not ${show(source)}`);
      return undefined;
    }
    const compiled = compilePattern(source);
    if (compiled.ok) return compiled.value;
    this.#report(steps, `${compiled.error.message}, at character ${compiled.error.offset + 1} of ${show(source)}`, 'use what RE2 accepts');
    return undefined;
  }

  #numberRules(schema: JsonObject, reading: NumberRules['reading'], steps: readonly Step[]): NumberRules {
    const minimum = this.#bound(schema['minimum'], [...steps, 'minimum']);
    const maximum = this.#bound(schema['maximum'], [...steps, 'maximum']);
    if (minimum !== undefined && maximum !== undefined && minimum.compare(maximum) > 0) {
      this.#report(steps, '`minimum` is above `maximum`: nothing fits');
    }
    return { reading, minimum, maximum };
  }

  #bound(value: Json | undefined, steps: readonly Step[]): Decimal | undefined {
    if (value === undefined) return undefined;
    const bound = typeof value === 'number' ? exactBound(value) : undefined;
    if (bound === undefined) this.#report(steps, `expected a number of at most ${BOUND_DIGITS_MAX} digits, not ${show(value)}`);
    return bound;
  }

  #arrayRules(schema: JsonObject, steps: readonly Step[]): ArrayRules {
    const [countMin, countMax] = this.#countBounds(schema, ['minItems', 'maxItems'], steps);
    const { items } = schema;
    return { items: items === undefined ? ANYTHING : this.#compile(items, [...steps, 'items']), countMin, countMax };
  }

  #objectRules(schema: JsonObject, steps: readonly Step[]): ObjectRules {
    const properties =
      schema['properties'] === undefined ? new Map<string, SchemaCell>() : this.#compileMap(schema['properties'], [...steps, 'properties']);
    const additional = this.#additional(schema['additionalProperties'], [...steps, 'additionalProperties']);
    const required = this.#required(schema['required'], [...steps, 'required']);
    for (const name of required) {
      if (additional === undefined && !properties.has(name)) {
        const guess = nearest(name, properties.keys());
        const remedy = guess === undefined ? 'describe it in `properties`' : `did you mean \`${guess}\`?`;
        this.#report([...steps, 'required'], `\`${name}\` is not among \`properties\`: nothing fits`, remedy);
      }
    }
    const foldedNames = new Map([...properties.keys()].map((name) => [foldCase(name), name]));
    if (foldedNames.size < properties.size) this.#report([...steps, 'properties'], 'two names differ by case alone', 'rename one of them');
    return { properties, required, additional, foldedNames };
  }

  #additional(value: Json | undefined, steps: readonly Step[]): SchemaCell | undefined {
    if (value === undefined || value === false) return undefined;
    return value === true ? ANYTHING : this.#compile(value, steps);
  }

  #required(value: Json | undefined, steps: readonly Step[]): readonly string[] {
    if (value === undefined) return [];
    if (!isList(value) || !value.every((name) => typeof name === 'string')) {
      this.#report(steps, 'expected a list of names');
      return [];
    }
    return [...new Set(value)];
  }

  #compileMap(value: Json, steps: readonly Step[]): Map<string, SchemaCell> {
    if (isObject(value)) return new Map(Object.keys(value).map((name) => [name, this.#compile(value[name] as Json, [...steps, name])]));
    this.#report(steps, 'expected schemas by name');
    return new Map();
  }

  #countBounds(schema: JsonObject, [least, most]: readonly [string, string], steps: readonly Step[]): [number, number] {
    const read = (keyword: string, otherwise: number): number => {
      const value = schema[keyword];
      if (value === undefined) return otherwise;
      if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
      this.#report([...steps, keyword], `expected a count, not ${show(value)}`);
      return otherwise;
    };
    const [min, max] = [read(least, 0), read(most, Number.POSITIVE_INFINITY)];
    if (min > max) this.#report(steps, `\`${least}\` is above \`${most}\`: nothing fits`);
    return [min, max];
  }

  #values(schema: JsonObject, rules: TypeRules, steps: readonly Step[]): ValueList | undefined {
    const values = valuesOf(schema);
    if (values === undefined) return undefined;
    if (schema['enum'] !== undefined && schema['const'] !== undefined)
      this.#report(steps, '`enum` and `const` say the same thing', 'keep one');
    const place = [...steps, schema['const'] === undefined ? 'enum' : 'const'];
    if (values.length === 0 || values.length > VALUES_MAX) this.#report(place, `expected 1 to ${VALUES_MAX} values`);
    const canonical = new Set<string>();
    for (const value of values) {
      const text = canonicalScalar(value, rules);
      if (text === undefined) this.#report(place, `${show(value)} is not a scalar of the schema's type`);
      else canonical.add(text);
    }
    const strings = values.every((value) => typeof value === 'string') ? values : undefined;
    return { canonical, text: [...values].slice(0, 10).map(show).join(', ') + (values.length > 10 ? ', …' : ''), strings };
  }

  #refuseUnknownKeywords(schema: JsonObject, steps: readonly Step[]): void {
    for (const keyword of Object.keys(schema)) {
      if (keyword === '$defs' && steps.length > 0) this.#report([...steps, keyword], '`$defs` stands at the root alone');
      if (KEYWORDS.includes(keyword)) continue;
      const guess = nearest(keyword, KEYWORDS);
      const remedy = guess === undefined ? `known are ${quote(KEYWORDS)}` : `did you mean \`${guess}\`?`;
      this.#report([...steps, keyword], `unknown keyword \`${keyword}\`: nothing would enforce it`, remedy);
    }
  }

  /** A keyword for strings in a schema of numbers is silently ignored by JSON Schema; its author did not mean that. */
  #refuseIdleKeywords(speaking: readonly string[], types: readonly JsonType[], steps: readonly Step[]): void {
    for (const keyword of speaking) {
      const meant = KEYWORD_TYPES[keyword] ?? types;
      if (types.length > 0 && !meant.some((type) => types.includes(type))) {
        this.#report([...steps, keyword], `\`${keyword}\` says nothing about ${quote(types)}`, 'remove it, or change `type`');
      }
    }
  }

  #report(steps: readonly Step[], message: string, remedy?: string): void {
    if (this.problems.length >= PROBLEMS_MAX) return;
    this.problems.push({ path: formatPlace(steps, this.#path), message, ...(remedy === undefined ? {} : { remedy }) });
  }
}

const SCOPE_KEYWORDS: readonly ScopeKeyword[] = ['hosts', 'domains', 'under'];
const SCOPE_REMEDIES: Readonly<Record<ScopeKeyword, string>> = {
  hosts: 'a host in lower case, `*.example.com` for all below one, and with `format: uri` perhaps a port',
  domains: 'a domain in lower case, or `*.example.com` for all below one',
  under: 'a folder of the same form as the value, without a slash at its end',
};

const ANYTHING: SchemaCell = { node: { kind: 'any' } };

function impliedType(keyword: string, format: Json | undefined): readonly JsonType[] {
  if (keyword === 'format') return [format === 'decimal' ? 'number' : 'string'];
  const types = KEYWORD_TYPES[keyword] ?? [];
  return types.includes('number') ? ['number'] : types;
}

const quote = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
