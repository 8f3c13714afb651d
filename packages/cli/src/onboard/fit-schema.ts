/**
 * A server's JSON Schema as a schema of ours (arguments-v1, section 3). Nothing is lost silently: each keyword outside
 * the subset is rewritten, or dropped and told with what that means. Dropping one accepts more than the server does,
 * which is safe because the server judges the call too; what a policy must rely on belongs into the policy.
 */

import { compileSchema } from '@sallyport/strict';
import type { Judged } from '@sallyport/strict';
import type { Json, JsonObject } from '@sallyport/model';
import { mergeAllOf } from './fit-all-of.ts';
import { IDLE, NOTHING_ABOUT_VALUES } from './fit-keywords.ts';
import { fitCounts, fitNumbers, fitTexts, fitTypes, fitValues } from './fit-values.ts';
import { fitWords, tellForeign } from './fit-words.ts';
import type { Done } from './import-note.ts';
import { isList, isObject, listOf } from './json-shape.ts';
import { isPlainText, quotedText, shortText, visibleLine } from './visible-text.ts';

export interface FitNote {
  /** Steps from the schema's root, joined: `properties.url.format`. */
  readonly path: string;
  readonly done: Done;
  readonly says: string;
}

export interface Fitted {
  /** `undefined` where the tool has to be refused; the notes say why. */
  readonly schema: JsonObject | undefined;
  readonly notes: readonly FitNote[];
}

/** Fits the schema of a tool's arguments. */
export function fitSchema(judged: Judged): Fitted {
  const notes: FitNote[] = [];
  const fitter = new Fitter(judged, notes);
  const root = fitter.root();
  if (root === undefined || notes.some(({ done }) => done === 'refused')) return { schema: undefined, notes };
  const schema = withoutMisfits(root, notes);
  const compiled = compileSchema(schema, '');
  if (compiled.ok) return { schema, notes };
  const [first] = compiled.error;
  notes.push({ path: first?.path ?? '', done: 'refused', says: `the schema cannot be enforced: ${first?.message ?? 'unknown'}` });
  return { schema: undefined, notes };
}

/** The net below the rules: an argument whose schema our compiler refuses may be anything. */
function withoutMisfits(root: JsonObject, notes: FitNote[]): JsonObject {
  const { properties, required: _required, ...rest } = root;
  if (!isObject(properties) || compileSchema(root, '').ok) return root;
  const kept = Object.entries(properties).map(([name, schema]): readonly [string, Json] => {
    const alone = compileSchema({ ...rest, properties: { [name]: schema } }, '');
    if (alone.ok) return [name, schema];
    const [first] = alone.error;
    notes.push({
      path: `properties.${visibleLine(name)}`,
      done: 'loosened',
      says: `any value is accepted: ${first?.message ?? 'its schema cannot be enforced'}`,
    });
    return [name, isObject(schema) && typeof schema['description'] === 'string' ? { description: schema['description'] } : {}];
  });
  return { ...root, properties: Object.fromEntries(kept) };
}

/** One pass over one schema; what it finds goes to `notes`. */
class Fitter {
  readonly #judged: Judged;
  /** Only `note` adds to it. */
  readonly #notes: FitNote[];

  constructor(judged: Judged, notes: FitNote[]) {
    this.#judged = judged;
    this.#notes = notes;
  }

  root(): JsonObject | undefined {
    const { tree } = this.#judged;
    if (!isObject(tree)) return this.#refuse([], 'the schema is no object');
    const definitions = { ...objectIn(tree, 'definitions'), ...objectIn(tree, '$defs') };
    const { definitions: _old, $defs: _new, ...rest } = tree;
    const fitted = this.#fit(rest, []);
    if (fitted === undefined) return this.#refuse([], 'no arguments fit the schema');
    const type = fitted['type'] ?? 'object';
    if (type !== 'object') return this.#refuse(['type'], 'arguments are no object');
    if (fitted['$ref'] !== undefined || fitted['anyOf'] !== undefined) return this.#refuse([], 'the schema describes no members by itself');
    const names = Object.keys(definitions);
    if (!names.every(isPlainText)) return this.#refuse(['$defs'], 'a name holds characters that nobody sees');
    const defs = names.map((name) => [name, this.#fit(definitions[name], ['$defs', name]) ?? {}] as const);
    return { ...fitted, type, ...(defs.length === 0 ? {} : { $defs: Object.fromEntries(defs) }) };
  }

  #note(steps: readonly string[], done: Done, says: string): void {
    this.#notes.push({ path: steps.map((step) => (isPlainText(step) ? visibleLine(step) : quotedText(step))).join('.'), done, says });
  }

  #refuse(steps: readonly string[], says: string): undefined {
    this.#note(steps, 'refused', says);
    return undefined;
  }

  /** `undefined` for the schema that nothing fits. */
  #fit(given: Json | undefined, steps: readonly string[]): JsonObject | undefined {
    if (given === true) return {};
    if (given === false) return undefined;
    if (!isObject(given)) {
      this.#note(steps, 'loosened', 'is no schema: any value is accepted');
      return {};
    }
    const note = (keyword: string, done: Done, says: string): void => this.#note([...steps, keyword], done, says);
    const schema = this.#combined(given, steps);
    const words = fitWords(schema, note);
    const reference = schema['$ref'];
    if (typeof reference === 'string') return { ...words, ...this.#reference(reference, schema, steps) };
    const alternatives = schema['anyOf'];
    if (isList(alternatives) && this.#standsAlone(schema, steps)) {
      const branches = alternatives
        .map((branch, at) => this.#fit(branch, [...steps, 'anyOf', String(at)]))
        .filter((one) => one !== undefined);
      return branches.length === 0 ? undefined : { ...words, anyOf: branches };
    }
    tellForeign(schema, note);
    const types = fitTypes(schema, note);
    const isExact = (holder: object, key: string): boolean => this.#judged.numberText(holder, key) === undefined;
    const fitted: Record<string, Json> = {
      ...words,
      ...types,
      ...fitValues(schema, types, note),
      ...fitNumbers(schema, { isExact: (key) => isExact(given, key), note, isInteger: types['type'] === 'integer' }),
      ...fitCounts(schema, note),
      ...fitTexts(schema, note),
      ...this.#members(schema, types['type'], steps),
      ...this.#elements(schema, steps),
    };
    return withoutIdle(fitted, note);
  }

  /** `allOf` merged where it can be, `oneOf` as `anyOf`. */
  #combined(given: JsonObject, steps: readonly string[]): JsonObject {
    let schema = given;
    if (isList(schema['allOf'])) {
      const merged = mergeAllOf(schema);
      if (merged === undefined) this.#note([...steps, 'allOf'], 'loosened', 'dropped: its schemas cannot be written as one');
      const { allOf: _dropped, ...rest } = schema;
      schema = merged ?? rest;
    }
    if (isList(schema['oneOf']) && schema['anyOf'] === undefined) {
      const { oneOf, ...rest } = schema;
      this.#note([...steps, 'oneOf'], 'loosened', 'read as `anyOf`: a value may fit more than one');
      schema = oneOf === undefined ? rest : { ...rest, anyOf: oneOf };
    }
    return schema;
  }

  /** Whether `anyOf` is the schema; else it is dropped, and what stands beside it holds. */
  #standsAlone(schema: JsonObject, steps: readonly string[]): boolean {
    const beside = Object.keys(schema).filter((key) => key !== 'anyOf' && !NOTHING_ABOUT_VALUES.has(key));
    const branches = listOf(schema['anyOf']);
    const isRepeated =
      beside.length === 1 && beside[0] === 'type' && branches.every((one) => isObject(one) && one['type'] === schema['type']);
    if (beside.length === 0 || isRepeated) return true;
    this.#note(
      [...steps, 'anyOf'],
      'loosened',
      `dropped: beside it stands ${beside.map((key) => `\`${shortText(visibleLine(key), 40)}\``).join(', ')}`,
    );
    return false;
  }

  #reference(reference: string, schema: JsonObject, steps: readonly string[]): JsonObject {
    const beside = Object.keys(schema).filter((key) => key !== '$ref' && !NOTHING_ABOUT_VALUES.has(key));
    if (beside.length > 0)
      this.#note([...steps, '$ref'], 'loosened', `what stands beside it is dropped: ${beside.map(quotedText).join(', ')}`);
    if (!isPlainText(reference)) this.#note([...steps, '$ref'], 'refused', 'holds characters that nobody sees');
    return { $ref: reference.replace(/^#\/definitions\//, '#/$defs/') };
  }

  #members(schema: JsonObject, type: Json | undefined, steps: readonly string[]): Record<string, Json> {
    const isMeant =
      listOf(type).includes('object') || ['properties', 'required', 'additionalProperties'].some((key) => schema[key] !== undefined);
    if (!isMeant) return {};
    const given = objectIn(schema, 'properties');
    const properties = new Map<string, Json>();
    const folded = new Set<string>();
    for (const [name, one] of Object.entries(given)) {
      const place = [...steps, 'properties', name];
      if (!isPlainText(name)) this.#note(place, 'refused', 'its name holds characters that nobody sees');
      else if (name === '' || name === '<<') this.#note(place, 'tightened', 'dropped: this is no name of an argument');
      else if (folded.has(name.toLowerCase())) this.#note(place, 'tightened', 'dropped: another name differs from it by case alone');
      else {
        folded.add(name.toLowerCase());
        const fitted = this.#fit(one, place);
        if (fitted === undefined) this.#note(place, 'unchanged', 'dropped: nothing fits it');
        else properties.set(name, fitted);
      }
    }
    const required = listOf(schema['required']).filter((name): name is string => typeof name === 'string' && isPlainText(name));
    for (const name of required)
      if (!properties.has(name) && !folded.has(name.toLowerCase()) && name !== '' && name !== '<<') properties.set(name, {});
    const open = this.#others(schema, steps);
    const isNested = steps.length > 0;
    // `type: object` and no more means any object, and would mean none of any use if it were closed.
    const additional = open ?? (isNested && properties.size === 0 ? true : undefined);
    return {
      type: type ?? 'object',
      ...(properties.size === 0 && additional !== undefined ? {} : { properties: Object.fromEntries(properties) }),
      ...(required.length === 0 ? {} : { required: [...new Set(required.filter((name) => properties.has(name)))] }),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    };
  }

  #others(schema: JsonObject, steps: readonly string[]): Json | undefined {
    const others = schema['additionalProperties'];
    if (others === undefined) return undefined;
    if (typeof others === 'boolean') return others;
    return this.#fit(others, [...steps, 'additionalProperties']) ?? false;
  }

  #elements(schema: JsonObject, steps: readonly string[]): Record<string, Json> {
    const { items } = schema;
    if (items === undefined) return {};
    if (isList(items) || items === false) {
      this.#note([...steps, 'items'], 'loosened', 'dropped: elements by their place are for the server to judge');
      return {};
    }
    return { items: this.#fit(items, [...steps, 'items']) ?? {} };
  }
}

/** A keyword for strings in a schema of numbers is ignored by JSON Schema, and refused by ours. */
function withoutIdle(schema: Record<string, Json>, note: (keyword: string, done: Done, says: string) => void): JsonObject {
  const types = listOf(schema['type']);
  if (types.length === 0) return schema;
  return Object.fromEntries(
    Object.entries(schema).filter(([key]) => {
      const meant = IDLE[key];
      if (meant === undefined || meant.some((type) => types.includes(type))) return true;
      note(key, 'unchanged', `dropped: it says nothing about ${types.map((one) => JSON.stringify(one)).join(', ')}`);
      return false;
    }),
  );
}

function objectIn(schema: JsonObject, key: string): JsonObject {
  const value = schema[key];
  return isObject(value) ? value : {};
}
