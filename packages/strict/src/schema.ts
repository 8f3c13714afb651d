/** Argument schemas: a named subset of JSON Schema, interpreted. docs/spec/arguments-v1.md section 3. */

import { fail, invariant, ok } from '@sallyport/model';
import type { FieldLimit, JsonObject, Problem, Result } from '@sallyport/model';
import type { Judged } from './judged.ts';
import { compileNodes } from './schema-compile.ts';
import { typeOfSchema } from './schema-type.ts';
import { validateArguments } from './schema-validate.ts';
import type { TypedArguments } from './typed-value.ts';

/** What a schema makes of a value, for compilers that derive static types from it. */
export type SchemaType =
  | { readonly kind: 'null' | 'boolean' | 'integer' | 'decimal' | 'double' }
  /** `values` where an enum or const lists them all. */
  | { readonly kind: 'string'; readonly values?: readonly string[] }
  /** `countMax` where the schema sets `maxItems`: compilers bound their loops with it. */
  | { readonly kind: 'list'; readonly element: SchemaType; readonly countMax?: number }
  | ObjectType
  /** Alternatives of `anyOf`, of a list of types or of an enum over several; at least two. */
  | { readonly kind: 'union'; readonly members: readonly SchemaType[] }
  /** The schema says nothing about the value, or repeats itself by reference. */
  | { readonly kind: 'any' };

export interface ObjectType {
  readonly kind: 'object';
  readonly properties: ReadonlyMap<string, PropertyType>;
  /** The type of members not named in `properties`; `undefined` where none may stand. */
  readonly additional: SchemaType | undefined;
}

export interface PropertyType {
  readonly type: SchemaType;
  readonly isRequired: boolean;
}

/** A way in which arguments do not fit. Safe to show to the caller: it names schema and own input only. */
export interface Violation {
  readonly code: 'schema_violation' | 'field_not_allowed';
  /** `items[0].amount`; empty for the arguments as a whole. Names of the caller's making are cut at 64 characters. */
  readonly path: string;
  readonly message: string;
  /** How far it may go, where that is what was wrong. */
  readonly limit?: FieldLimit;
}

export interface ArgumentSchema {
  readonly type: ObjectType;
  /** Typed arguments, or every violation found (at least one, at most 32). Its work is bounded whatever the input. */
  validate(judged: Judged): Result<TypedArguments, readonly Violation[]>;
}

/**
 * Compiles a schema of the subset; `path` prefixes the places in problems. Every keyword outside the subset, every
 * pattern that needs backtracking, every reference that leads nowhere is a problem, and all are returned.
 */
export function compileSchema(schema: JsonObject, path: string): Result<ArgumentSchema, readonly Problem[]> {
  const { root, problems } = compileNodes(schema, path);
  if (problems.length > 0) return fail(problems);
  const type = typeOfSchema(root);
  invariant(type.kind === 'object', 'the compiler has refused every other root');
  return ok({ type, validate: (judged) => validateArguments(root, judged) });
}
