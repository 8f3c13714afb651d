/** The digest of arguments as a tool received them, without their schema: arguments-v1, section 5, writes equal numbers alike whatever their type. */

import { utf8 } from '@sallyport/crypto';
import { Decimal, type Json } from '@sallyport/model';
import { argumentDigest, judge, type Judged, type TypedArguments, type TypedValue } from '@sallyport/strict';

/** `sha256:…` of a JSON text, or of a value that JSON can hold; `undefined` for what is no object in one reading. */
export function digestOfJsonArguments(source: string | Uint8Array | object): string | undefined {
  const judged = judge(bytesOf(source));
  if (!judged.ok || typeof judged.value.tree !== 'object' || judged.value.tree === null || Array.isArray(judged.value.tree))
    return undefined;
  const typed = typedOf(judged.value.tree, undefined, judged.value);
  // Only a schema types arguments for policy; for their digest the numbers' own texts are enough.
  return typed === undefined ? undefined : argumentDigest(typed as TypedArguments);
}

function bytesOf(source: string | Uint8Array | object): Uint8Array {
  if (source instanceof Uint8Array) return source;
  return utf8(typeof source === 'string' ? source : JSON.stringify(source));
}

type Place = { readonly holder: object; readonly key: string | number };

function typedOf(value: Json, place: Place | undefined, judged: Judged): TypedValue | undefined {
  if (typeof value === 'number') return numberOf(value, place === undefined ? undefined : judged.numberText(place.holder, place.key));
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: Json, key: number) => typedOf(item, { holder: value, key }, judged));
    return items.every((item) => item !== undefined) ? items : undefined;
  }
  const record = Object.create(null) as Record<string, TypedValue>;
  for (const [key, member] of Object.entries(value)) {
    const typed = typedOf(member, { holder: value, key }, judged);
    if (typed === undefined) return undefined;
    record[key] = typed;
  }
  return record;
}

/** Exactly what was written: `text` is there where a double would bend it, or where it has an exponent. */
function numberOf(value: number, text: string | undefined): TypedValue | undefined {
  if (text === undefined) return value;
  if (/^-?[0-9]{1,4096}$/.test(text)) return BigInt(text);
  const exact = Decimal.parse(text);
  if (exact !== undefined) return exact;
  // With an exponent: a double, as the sidecar reads one where it takes it at all.
  return Number.isFinite(value) ? value : undefined;
}
