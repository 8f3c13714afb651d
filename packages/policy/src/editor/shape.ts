/**
 * What authors may write, as data: every kind of document, every field with its type, bounds, default, meaning and code.
 * The schema for editors and the reference page are made from it. What reads documents is the readers alone; that both
 * say the same is held by agreement.test.ts, which asks the readers field by field. Spec: policy-v1 sections 2 to 5, 11.
 */

import type { DenialCode, Json } from '@sallyport/model';

export type Shape =
  | TextShape
  /** One of a closed set of words. */
  | { readonly is: 'word'; readonly of: readonly string[] }
  /** `true` or `false`, or `true` alone. */
  | { readonly is: 'flag'; readonly only?: true }
  | { readonly is: 'count'; readonly min: number; readonly max: number }
  /** A whole number and a unit; from one second. */
  | { readonly is: 'span'; readonly msMax: number }
  /** An exact number, as text or as a number. */
  | { readonly is: 'number'; readonly of: 'decimal' | 'integer'; readonly isNegative: boolean }
  | { readonly is: 'list'; readonly of: Shape; readonly min: number; readonly max: number; readonly isSet: boolean }
  | MapShape
  /** A map whose keys the author names. */
  | { readonly is: 'names'; readonly of: Shape; readonly key: TextShape; readonly min: number; readonly max: number }
  | { readonly is: 'either'; readonly of: readonly Shape[] }
  /** An argument schema of arguments-v1; `narrowing` is the part of it that rules may use. */
  | { readonly is: 'schema'; readonly of: 'whole' | 'narrowing' }
  /** A map of anything. */
  | { readonly is: 'json' };

export interface TextShape {
  readonly is: 'text';
  /** For people: `the name of a tool`. */
  readonly words: string;
  /** As in `new RegExp(pattern, 'u')`. */
  readonly pattern?: string;
  readonly charsMax: number;
  readonly isEmptyToo?: true;
  /** What a condition must yield; absent for what is no condition. */
  readonly yields?: 'true or false' | 'a value to count by' | 'a number' | 'text';
}

export interface MapShape {
  readonly is: 'map';
  /** Under which the schema defines it and the page describes it. */
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
  /** Of these fields exactly one stands there. */
  readonly exactlyOne?: readonly string[];
  /** Of these fields at least one stands there. */
  readonly atLeastOne?: readonly string[];
  /** Beside `field` none of `fields` stands there. */
  readonly excludes?: readonly { readonly field: string; readonly fields: readonly string[] }[];
}

export interface Field {
  /** What it means, in a sentence. */
  readonly says: string;
  readonly shape: Shape;
  readonly isRequired?: true;
  /** What holds where it is left out, as the author would write it. */
  readonly default?: Json;
  /** What holds where it is left out, in words. */
  readonly otherwise?: string;
  /** What a call that does not meet it is answered with. */
  readonly code?: DenialCode;
}

/** One kind of document. */
export interface Kind {
  readonly name: string;
  readonly says: string;
  /** Without `apiVersion` and `kind`. */
  readonly shape: MapShape;
}

export const list = (of: Shape, { min = 0, max, isSet = false }: { min?: number; max: number; isSet?: boolean }): Shape => ({
  is: 'list',
  of,
  min,
  max,
  isSet,
});

export const map = (
  name: string,
  fields: Readonly<Record<string, Field>>,
  more: Pick<MapShape, 'exactlyOne' | 'atLeastOne' | 'excludes'> = {},
): MapShape => ({ is: 'map', name, fields, ...more });
