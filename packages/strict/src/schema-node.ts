/** A compiled schema: what the validator walks. Built once, by the compiler; read-only after. */

import type { Decimal } from '@sallyport/model';
import type { StringFormat } from './formats.ts';
import type { Pattern } from './pattern.ts';
import type { StringScope } from './string-scope.ts';

export type SchemaNode =
  /** The schema says nothing: any JSON, its numbers as doubles. */
  | { readonly kind: 'any' }
  | { readonly kind: 'typed'; readonly rules: TypeRules; readonly values: ValueList | undefined }
  /** The first that fits. */
  | { readonly kind: 'any_of'; readonly branches: readonly SchemaCell[] }
  | { readonly kind: 'reference'; readonly target: SchemaCell };

/** Holds a node's place while it is compiled, so that a schema can refer to itself. */
export interface SchemaCell {
  /** Set once, by the compiler, before anyone reads it. */
  node: SchemaNode | undefined;
}

/** One entry for each JSON type that is accepted. */
export interface TypeRules {
  readonly null?: true;
  readonly boolean?: true;
  readonly string?: StringRules;
  readonly number?: NumberRules;
  readonly array?: ArrayRules;
  readonly object?: ObjectRules;
}

export interface StringRules {
  /** In code points. */
  readonly lengthMin: number;
  readonly lengthMax: number;
  readonly pattern: Pattern | undefined;
  readonly format: StringFormat | undefined;
  /** Every one must hold the text. */
  readonly scopes: readonly StringScope[];
}

export interface NumberRules {
  readonly reading: 'integer' | 'decimal' | 'double';
  readonly minimum: Decimal | undefined;
  readonly maximum: Decimal | undefined;
}

export interface ArrayRules {
  readonly items: SchemaCell;
  readonly countMin: number;
  readonly countMax: number;
}

export interface ObjectRules {
  readonly properties: ReadonlyMap<string, SchemaCell>;
  readonly required: readonly string[];
  /** What members without a name in `properties` must be; `undefined` where there may be none. */
  readonly additional: SchemaCell | undefined;
  /** The names of `properties` with their case folded. */
  readonly foldedNames: ReadonlyMap<string, string>;
}

/** The values of `enum` or `const`. */
export interface ValueList {
  /** By canonical form. */
  readonly canonical: ReadonlySet<string>;
  /** For messages: the values as JSON, cut short. */
  readonly text: string;
  /** Where all of them are strings. */
  readonly strings: readonly string[] | undefined;
}
