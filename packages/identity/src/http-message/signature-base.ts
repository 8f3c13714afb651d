/**
 * The bytes under an HTTP message signature (RFC 9421, section 2.5), for requests. Components with parameters are refused:
 * each is another reading of a field, and none of them is needed to sign a whole request.
 */

import { utf8 } from '@sallyport/crypto';
import { type Result, fail, ok } from '@sallyport/model';
import { type InnerList, serializeInnerList } from './structured-fields.ts';

/** What a signature base is made of. */
export interface SignedRequest {
  readonly method: string;
  /** Origin form, as on the wire. */
  readonly target: string;
  /** `https` unless told. */
  readonly scheme?: 'http' | 'https';
  /** Lower case. */
  readonly authority: string;
  readonly rawHeaders: readonly string[];
}

/** A line feed in a value would begin a component that nobody sent. */
const VALUE = /^[\x20-\x7e\t]*$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
/** Signed by name, these would sign themselves. */
const OWN_FIELDS: readonly string[] = ['signature', 'signature-input'];

/** The names that a signature covers, in its order; fails for one with parameters, one that is no text, or one twice. */
export function coveredNames(input: InnerList): Result<readonly string[], string> {
  const names: string[] = [];
  for (const { value, parameters } of input.items) {
    if (typeof value !== 'string' || parameters.size > 0) return fail('a component is not a plain name');
    if (names.includes(value)) return fail('a component stands twice');
    names.push(value);
  }
  return ok(names);
}

/** The signature base of a request; fails for a component that the request lacks or that is not known here. */
export function signatureBase(request: SignedRequest, names: readonly string[], input: InnerList): Result<Uint8Array, string> {
  let base = '';
  for (const name of names) {
    const value = name.startsWith('@') ? derivedValue(request, name) : fieldValue(request.rawHeaders, name);
    if (value === undefined) return fail('a component is unknown, or the request does not have it');
    base += `"${name}": ${value}\n`;
  }
  return ok(utf8(`${base}"@signature-params": ${serializeInnerList(input)}`));
}

/** RFC 9421, section 2.2, the components that all signers know. */
function derivedValue({ method, target, authority, scheme = 'https' }: SignedRequest, name: string): string | undefined {
  if (!target.startsWith('/')) return undefined;
  const mark = target.indexOf('?');
  switch (name) {
    case '@method':
      return method;
    case '@authority':
      return withoutDefaultPort(authority, scheme);
    case '@path':
      return mark === -1 ? target : target.slice(0, mark);
    case '@query':
      return mark === -1 ? '?' : target.slice(mark);
    default:
      return undefined;
  }
}

/** RFC 9421, section 2.2.3. */
function withoutDefaultPort(authority: string, scheme: 'http' | 'https'): string {
  const port = scheme === 'https' ? ':443' : ':80';
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority;
}

/** All values of a field, trimmed and joined (section 2.1). */
function fieldValue(rawHeaders: readonly string[], name: string): string | undefined {
  if (!FIELD_NAME.test(name) || OWN_FIELDS.includes(name)) return undefined;
  let joined: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if ((rawHeaders[i] as string).toLowerCase() !== name) continue;
    const value = (rawHeaders[i + 1] as string).trim();
    if (!VALUE.test(value)) return undefined;
    joined = joined === undefined ? value : `${joined}, ${value}`;
  }
  return joined;
}
