/** Typed values as the text of a path or query: one spelling each, or none. */

import { Decimal } from '@sallyport/model';
import type { RouteTemplate } from './route-table.ts';
import type { SchemaType } from './schema.ts';
import type { TypedRecord, TypedValue } from './typed-value.ts';

/** The text of a scalar; `undefined` for what has none outside of JSON: null, lists, records. */
export function scalarText(value: TypedValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return String(value);
  return value instanceof Decimal ? value.toString() : undefined;
}

/** A scalar that text can stand for. */
export type TextKind = 'string' | 'boolean' | 'integer' | 'decimal' | 'double';

/**
 * What a text means to a schema's type: one kind of scalar, where null may be among the alternatives; `undefined` where a
 * text does not tell, as `5` of text or a number.
 */
export function textKindOf(type: SchemaType): TextKind | undefined {
  switch (type.kind) {
    case 'string':
    case 'boolean':
    case 'integer':
    case 'decimal':
    case 'double':
      return type.kind;
    case 'union': {
      const [first, ...others] = type.members.filter(({ kind }) => kind !== 'null');
      return first !== undefined && others.every(({ kind }) => kind === first.kind) ? textKindOf(first) : undefined;
    }
    case 'null':
    case 'list':
    case 'object':
    case 'any':
      return undefined;
  }
}

/**
 * What would make two segments of one, or another one of it, for a server that decodes before it splits, decodes twice, or
 * cuts off parameters.
 */
const UNFIT = /[/\\;\p{Cc}]|%[0-9A-Fa-f]{2}/u;

export interface FilledTemplate {
  /** Not yet encoded; empty where an argument is unfit. */
  readonly segments: readonly string[];
  /** Arguments that are no segment: absent, no scalar, empty, `.`, `..`, or with a separator, an escape or a control character. */
  readonly unfit: readonly string[];
}

/** Puts arguments where a template names them. */
export function fillTemplate(template: RouteTemplate, args: TypedRecord): FilledTemplate {
  const unfit: string[] = [];
  const segments = template.map((segment) => {
    if ('literal' in segment) return segment.literal;
    const text = Object.hasOwn(args, segment.argument) ? scalarText(args[segment.argument]) : undefined;
    if (text !== undefined && text !== '' && text !== '.' && text !== '..' && !UNFIT.test(text)) return text;
    unfit.push(segment.argument);
    return '';
  });
  return { segments, unfit };
}
