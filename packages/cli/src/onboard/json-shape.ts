/** What a piece of JSON is, with its type. */

import type { Json, JsonObject } from '@sallyport/model';

export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

export const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !isList(value);

/** A list of what may be one thing or several. */
export const listOf = (value: Json | undefined): readonly Json[] => (isList(value) ? value : value === undefined ? [] : [value]);
