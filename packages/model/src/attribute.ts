/** Attributes of a principal: claims of a verified token that an issuer's mapping admits, and the types they can be declared to have. */

import { Decimal } from './decimal.ts';

/** A claim's value as it was read. */
export type AttributeValue = string | number | boolean | readonly string[];

/** The words of environment values, so that an attribute and a value of one type compare. */
export type AttributeType = 'string' | 'integer' | 'decimal' | 'boolean' | 'strings';

export const ATTRIBUTE_TYPES: readonly AttributeType[] = ['string', 'integer', 'decimal', 'boolean', 'strings'];

/** Which claim carries an attribute; without a type it is whatever the token says, and known only then. */
export interface AttributeClaim {
  readonly claim: string;
  readonly type?: AttributeType;
}

/**
 * An attribute that the directory says, and no token. `values` is the whole of what it may say: of a list, of each member.
 */
export interface DirectoryAttribute {
  readonly type: AttributeType;
  readonly values?: readonly string[];
  /** What was said longer ago is not known any more. */
  readonly ageMsMax: number;
}

/** What is declared of an attribute, whoever says it. */
export interface AttributeForm {
  readonly type?: AttributeType;
  readonly values?: readonly string[];
}

/** Whether a value is what was declared: of the type, and one of the values. */
export function isAttributeOf(value: unknown, { type, values }: AttributeForm): boolean {
  if (type !== undefined && !hasAttributeType(value, type)) return false;
  if (values === undefined) return true;
  return Array.isArray(value) ? value.every((item) => values.includes(item as string)) : values.includes(value as string);
}

/** Whether a value is of the type. Numbers are JSON's: an integer is one that a double counts by ones, a decimal one that is written without exponent. */
export function hasAttributeType(value: unknown, type: AttributeType): value is AttributeValue {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isSafeInteger(value);
    case 'decimal':
      return typeof value === 'number' && Decimal.parse(String(value)) !== undefined;
    case 'strings':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
  }
}
