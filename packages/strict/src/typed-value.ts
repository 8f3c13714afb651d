/** Values after validation: exact, and of one type each. Policy, digests, records and upstreams see these alone. */

import type { Branded, Decimal } from '@sallyport/model';

/** `integer` is a bigint, `number` with `format: decimal` a Decimal, plain `number` a double that is exact. */
export type TypedValue = null | boolean | string | bigint | number | Decimal | readonly TypedValue[] | TypedRecord;

/** Has a null prototype, so that no key can reach one. */
export interface TypedRecord {
  readonly [key: string]: TypedValue;
}

/** A call's arguments as a schema accepted them. Only `ArgumentSchema.validate` makes them: a raw tree does not fit the type. */
export type TypedArguments = Branded<TypedRecord, 'TypedArguments'>;
