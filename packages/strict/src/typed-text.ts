/** Typed values as the text of a path or query: one spelling each, or none. */

import { Decimal } from '@sallyport/model';
import type { RouteTemplate } from './route-table.ts';
import type { TypedRecord, TypedValue } from './typed-value.ts';

/** The text of a scalar; `undefined` for what has none outside of JSON: null, lists, records. */
export function scalarText(value: TypedValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return String(value);
  return value instanceof Decimal ? value.toString() : undefined;
}

/** What would make two segments of one, or another one of it, for a server that decodes before it splits or cuts off parameters. */
const UNFIT = /[/\\;\p{Cc}]/u;

export interface FilledTemplate {
  /** Not yet encoded; empty where an argument is unfit. */
  readonly segments: readonly string[];
  /** Arguments that are no segment: absent, no scalar, empty, `.`, `..`, or with a separator or control character. */
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
