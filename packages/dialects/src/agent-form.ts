/**
 * Forms towards an agent, as chat platforms and older webhooks send them (WHATWG URL, section 5): handed on as they came, so
 * refused where two readers could find different things in them. docs/spec/inbound.md, section 4.
 */

import { type Denial, type Result, deny, fail, ok } from '@sallyport/model';
import { readQuery } from '@sallyport/strict';

export const FORM_TYPE = 'application/x-www-form-urlencoded';
const FIELDS_MAX = 1_000;

/** What a form must not be: `malformed_request` where it has more than one meaning, `undefined` where it has one. */
export function ambiguityOfForm(bytes: Uint8Array): Denial | undefined {
  const read = readForm(bytes);
  return read.ok ? undefined : read.error;
}

function readForm(bytes: Uint8Array): Result<undefined, Denial> {
  const text = textOf(bytes);
  // There are readers to which it separates fields as `&` does.
  if (text === undefined || text.includes(';')) return refuse('is not UTF-8, or has a bare `;`');
  // Or cuts the text where it stands.
  if (/%00/i.test(text) || text.includes('\0')) return refuse('holds a zero');
  const fields = readQuery(text);
  if (!fields.ok) return refuse('has a field without a name or `=`, or one that is not UTF-8');
  if (fields.value.length > FIELDS_MAX) return refuse(`has more than ${FIELDS_MAX} fields`);
  const names = fields.value.map(([name]) => name.toLowerCase());
  // One reader takes the first and another the last, and to some case makes no other name.
  return new Set(names).size === names.length ? ok(undefined) : refuse('has a field twice');
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

function refuse(what: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('malformed_request', `the form ${what}`));
}
