/**
 * The validator: reads a judged tree by a compiled schema and makes typed arguments, or says everything that is wrong.
 * It never answers yes to what it has not read to the end. docs/spec/arguments-v1.md sections 2 and 3.
 */

import { Decimal, fail, invariant, ok } from '@sallyport/model';
import type { Json, Result } from '@sallyport/model';
import { canonicalValue } from './arguments.ts';
import { hasFormat } from './formats.ts';
import { foldCase } from './json-walk.ts';
import type { Judged } from './judged.ts';
import { hasExponent, isExactDouble, plainNumber } from './number-text.ts';
import type { Work } from './pattern.ts';
import { formatPlace } from './place.ts';
import type { Step } from './place.ts';
import type { Violation } from './schema.ts';
import type { ArrayRules, NumberRules, ObjectRules, SchemaCell, StringRules, TypeRules } from './schema-node.ts';
import type { TypedArguments, TypedRecord, TypedValue } from './typed-value.ts';

const VIOLATIONS_MAX = 32;
/** Of arguments and of what schemas say of them, together; `anyOf` reads a value once for each branch. */
const DEPTH_MAX = 1_024;
/** Values read, characters by sixteens, instructions of patterns visited: less than half a second. */
const WORK_MAX = 1_000_000;
/** A bigint is arbitrarily precise, but its arithmetic grows faster than its digits. */
const INTEGER_DIGITS_MAX = 4_096;
/** Beyond the sign, the point and 38 digits only superfluous zeros can follow. */
const DECIMAL_CHARACTERS_MAX = 1_024;

/** Typed arguments, or every violation found (at least one, at most 32). */
export function validateArguments(root: SchemaCell, judged: Judged): Result<TypedArguments, readonly Violation[]> {
  const reader = new Reader(judged);
  const value = reader.read(root, { value: judged.tree, holder: undefined, step: '' });
  const violations = reader.violations();
  if (violations.length > 0) return fail(violations);
  invariant(value !== REFUSED, 'what is refused has a violation');
  return ok(value as TypedRecord as TypedArguments);
}

/** Stands for a value that has a violation. */
const REFUSED = Symbol('refused');
type Read = TypedValue | typeof REFUSED;

/** A value of the tree and where it stands, since its exact number is asked for by place. */
interface Place {
  readonly value: Json;
  readonly holder: object | undefined;
  readonly step: Step;
}

/** A violation with how deep it stands, so that `anyOf` can tell a branch of another type from one that nearly fits. */
type Noted = Violation & { readonly depth: number; readonly isOtherType: boolean };

class Reader {
  readonly #judged: Judged;
  /** What is left to spend. Only this reader and the patterns it calls spend it. */
  readonly #work: Work = { left: WORK_MAX };
  /** From the root to the present value. Only `#within` changes it. */
  readonly #steps: Step[] = [];
  /** Of the branch being read. Only `#note` adds, only `#anyOf` puts aside and back. */
  #noted: Noted[] = [];
  /** How deep `read` has called itself. */
  #depth = 0;
  #isExhausted = false;

  constructor(judged: Judged) {
    this.#judged = judged;
  }

  violations(): readonly Violation[] {
    if (this.#isExhausted) {
      return [{ code: 'schema_violation', path: '', message: 'the arguments take too much work to validate' }];
    }
    return this.#noted.map(({ code, path, message }) => ({ code, path, message }));
  }

  read(cell: SchemaCell, place: Place): Read {
    this.#work.left -= 1;
    if (this.#work.left < 0 || this.#depth >= DEPTH_MAX) this.#isExhausted = true;
    if (this.#isExhausted) return REFUSED;
    this.#depth += 1;
    const value = this.#readNode(cell, place);
    this.#depth -= 1;
    return value;
  }

  #readNode({ node }: SchemaCell, place: Place): Read {
    invariant(node !== undefined, 'a compiled schema has no open cells');
    switch (node.kind) {
      case 'any':
        return this.#readAnything(place);
      case 'reference':
        return this.read(node.target, place);
      case 'any_of':
        return this.#readAnyOf(node.branches, place);
      case 'typed': {
        const value = this.#readTyped(node.rules, place);
        if (value === REFUSED || node.values === undefined) return value;
        const isListed = !isContainer(value) && node.values.canonical.has(canonicalValue(value));
        return isListed ? value : this.#violate(`must be one of ${node.values.text}`);
      }
    }
  }

  #readTyped(rules: TypeRules, place: Place): Read {
    const { value } = place;
    if (value === null) return rules.null === true ? null : this.#violateType(rules);
    if (typeof value === 'boolean') return rules.boolean === true ? value : this.#violateType(rules);
    if (typeof value === 'string') return rules.string === undefined ? this.#violateType(rules) : this.#readString(value, rules.string);
    if (typeof value === 'number') {
      return rules.number === undefined ? this.#violateType(rules) : this.#readNumber(value, place, rules.number);
    }
    if (isList(value)) return rules.array === undefined ? this.#violateType(rules) : this.#readArray(value, rules.array);
    return rules.object === undefined ? this.#violateType(rules) : this.#readObject(value, rules.object);
  }

  #readString(text: string, rules: StringRules): Read {
    const { lengthMin, lengthMax, pattern, format, scopes } = rules;
    this.#work.left -= text.length >> 4;
    if (lengthMin > 0 || lengthMax < text.length) {
      const length = countCodePoints(text);
      // Before pattern and format: what is too long is not worth a look.
      if (length > lengthMax) return this.#violate(`must have at most ${lengthMax} characters`);
      if (length < lengthMin) return this.#violate(`must have at least ${lengthMin} characters`);
    }
    if (format !== undefined && !hasFormat(format, text)) return this.#violate(`must have the format ${format}`);
    for (const { entries } of scopes) this.#work.left -= entries.length >> 2;
    const outside = scopes.find((scope) => !scope.holds(text));
    if (outside !== undefined) return this.#violate(`must lie inside of \`${outside.keyword}\``);
    if (pattern === undefined || pattern.test(text, this.#work)) return text;
    if (this.#work.left < 0) this.#isExhausted = true;
    return this.#violate(`must match the pattern \`${pattern.source}\``);
  }

  #readNumber(double: number, { holder, step }: Place, rules: NumberRules): Read {
    const text = this.#judged.numberText(holder, step);
    if (rules.reading === 'double') {
      if (text !== undefined && !isExactDouble(text)) return this.#violate('must be a number that a double holds exactly');
      // Zero has one sign here: nothing downstream is to tell -0 from 0.
      const value = double === 0 ? 0 : double;
      return this.#inRange(value, (bound) => Math.sign(value - Number(bound.toString())), rules);
    }
    if (text !== undefined && hasExponent(text)) return this.#violate(`must be ${nameOf(rules)} written without an exponent`);
    // A number without an exponent that the tree holds exactly is what its double is written as.
    const plain = text ?? plainNumber(String(double));
    if (plain === undefined) return this.#violate(`must be ${nameOf(rules)}`);
    if (rules.reading === 'integer') {
      const integer = integerOf(plain);
      if (integer === undefined) return this.#violate(`must be an integer of at most ${INTEGER_DIGITS_MAX} digits`);
      const exact = Decimal.fromBigInt(integer);
      return this.#inRange(integer, (bound) => exact.compare(bound), rules);
    }
    const decimal = plain.length > DECIMAL_CHARACTERS_MAX ? undefined : Decimal.parse(plain);
    if (decimal === undefined) return this.#violate('must be a decimal of at most 38 digits');
    return this.#inRange(decimal, (bound) => decimal.compare(bound), rules);
  }

  #inRange(value: TypedValue, compare: (bound: Decimal) => number, { minimum, maximum }: NumberRules): Read {
    if (minimum !== undefined && compare(minimum) < 0) return this.#violate(`must be at least ${minimum.toString()}`);
    if (maximum !== undefined && compare(maximum) > 0) return this.#violate(`must be at most ${maximum.toString()}`);
    return value;
  }

  #readArray(list: readonly Json[], { items, countMin, countMax }: ArrayRules): Read {
    if (list.length > countMax) return this.#violate(`must have at most ${countMax} items`);
    const before = this.#noted.length;
    if (list.length < countMin) this.#violate(`must have at least ${countMin} items`);
    const values = list.map((value, i) => this.#within(i, () => this.read(items, { value, holder: list, step: i })));
    return this.#noted.length > before || this.#isExhausted ? REFUSED : (values as readonly TypedValue[]);
  }

  #readObject(object: Readonly<Record<string, Json>>, rules: ObjectRules): Read {
    const record = emptyRecord();
    const before = this.#noted.length;
    for (const name of Object.keys(object)) {
      const cell = rules.properties.get(name) ?? rules.additional;
      const twin = rules.properties.has(name) ? undefined : rules.foldedNames.get(foldCase(name));
      this.#within(name, () => {
        if (cell === undefined) return this.#violate('is not known here', 'field_not_allowed');
        // A reader that folds case would take it for the argument that was judged under the other spelling.
        if (twin !== undefined) return this.#violate(`differs from \`${twin}\` by case alone`, 'field_not_allowed');
        const value = this.read(cell, { value: object[name] as Json, holder: object, step: name });
        if (value !== REFUSED) record[name] = value;
        return value;
      });
    }
    for (const name of rules.required) {
      if (!Object.hasOwn(object, name)) this.#within(name, () => this.#violate('is required'));
    }
    return this.#noted.length > before || this.#isExhausted ? REFUSED : record;
  }

  /** The first branch that fits gives the value. What is said otherwise is said of the one branch of the value's type, if it is one. */
  #readAnyOf(branches: readonly SchemaCell[], place: Place): Read {
    const outside = this.#noted;
    const near: Noted[][] = [];
    for (const branch of branches) {
      this.#noted = [];
      const value = this.read(branch, place);
      if (this.#isExhausted) break;
      if (this.#noted.length === 0) {
        this.#noted = outside;
        return value;
      }
      const isOtherType = this.#noted.some((noted) => noted.isOtherType && noted.depth === this.#steps.length);
      if (!isOtherType) near.push(this.#noted);
    }
    this.#noted = outside;
    const [only, ...more] = near;
    if (only === undefined || more.length > 0) return this.#violate(`fits none of the ${branches.length} alternatives`);
    this.#noted.push(...only.slice(0, VIOLATIONS_MAX - this.#noted.length));
    return REFUSED;
  }

  #readAnything(place: Place): Read {
    return this.#readTyped(ANY_RULES, place);
  }

  #within<T>(step: Step, run: () => T): T {
    this.#steps.push(step);
    const result = run();
    this.#steps.pop();
    return result;
  }

  #violateType(rules: TypeRules): typeof REFUSED {
    const names = Object.keys(rules).map((type) =>
      type === 'number' && rules.number !== undefined ? nameOf(rules.number) : TYPE_NAMES[type as keyof TypeRules],
    );
    return this.#violate(`must be ${names.join(' or ')}`, 'schema_violation', true);
  }

  #violate(message: string, code: Violation['code'] = 'schema_violation', isOtherType = false): typeof REFUSED {
    if (this.#noted.length < VIOLATIONS_MAX) {
      this.#noted.push({ code, path: formatPlace(this.#steps), message, depth: this.#steps.length, isOtherType });
    }
    return REFUSED;
  }
}

const TYPE_NAMES: Readonly<Record<keyof TypeRules, string>> = {
  null: 'null',
  boolean: 'a boolean',
  string: 'a string',
  number: 'a number',
  array: 'an array',
  object: 'an object',
};

const ANY_CELL: SchemaCell = { node: { kind: 'any' } };
/** For what a schema says nothing about: every type, every name, numbers as doubles. */
const ANY_RULES: TypeRules = {
  null: true,
  boolean: true,
  string: { lengthMin: 0, lengthMax: Number.POSITIVE_INFINITY, pattern: undefined, format: undefined, scopes: [] },
  number: { reading: 'double', minimum: undefined, maximum: undefined },
  array: { items: ANY_CELL, countMin: 0, countMax: Number.POSITIVE_INFINITY },
  object: { properties: new Map(), required: [], additional: ANY_CELL, foldedNames: new Map() },
};

function nameOf({ reading }: NumberRules): string {
  return reading === 'integer' ? 'an integer' : reading === 'decimal' ? 'a decimal number' : 'a number';
}

/** The integer of plain notation; its fraction may be zeros. */
function integerOf(plain: string): bigint | undefined {
  const [whole = '', fraction = ''] = plain.split('.');
  const digits = plain.startsWith('-') ? whole.length - 1 : whole.length;
  if (digits > INTEGER_DIGITS_MAX) return undefined;
  for (const digit of fraction) if (digit !== '0') return undefined;
  return BigInt(whole);
}

function countCodePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    count += 1;
    if ((text.codePointAt(i) as number) > 0xffff) i += 1;
  }
  return count;
}

/** Without a prototype, a key named `__proto__` is a key. */
function emptyRecord(): Record<string, TypedValue> {
  return Object.create(null) as Record<string, TypedValue>;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
const isContainer = (value: TypedValue): boolean => typeof value === 'object' && value !== null && !(value instanceof Decimal);
