/**
 * The formats that argument schemas may name, each a predicate on strings (`decimal`, on numbers, is the schema's own).
 * docs/spec/arguments-v1.md section 4.4. Each is at most as wide as its RFC: what is odd but legal may be refused.
 */

import { isReadOnlySql } from './sql-read.ts';

export type StringFormat =
  | 'date'
  | 'date-time'
  | 'email'
  | 'uri'
  | 'uuid'
  | 'hostname'
  | 'ipv4'
  | 'ipv6'
  | 'path'
  | 'absolute-path'
  | 'sql-read';

/** Long enough for anything these describe, short enough that no check needs a bound of its own. */
const CHARACTERS_MAX = 4_096;

/** Whether a string has the format. Linear in its length; longer than 4096 UTF-16 units has none. */
export function hasFormat(format: StringFormat, text: string): boolean {
  return text.length <= CHARACTERS_MAX && FORMATS[format](text);
}

const FORMATS: Readonly<Record<StringFormat, (text: string) => boolean>> = {
  date: isDate,
  'date-time': isDateTime,
  email: isEmail,
  uri: isUri,
  uuid: (text) => /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$/.test(text),
  hostname: isHostname,
  ipv4: isIpv4,
  ipv6: isIpv6,
  path: isRelativePath,
  'absolute-path': (text) => text.startsWith('/') && isRelativePath(text.slice(1)),
  'sql-read': isReadOnlySql,
};

export const STRING_FORMATS: readonly StringFormat[] = Object.keys(FORMATS) as StringFormat[];

/** RFC 3339 `full-date`, a day that exists. */
function isDate(text: string): boolean {
  const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text);
  if (match === null) return false;
  const [year = 0, month = 0, day = 0] = match.slice(1).map(Number);
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return days !== undefined && day >= 1 && day <= days;
}

/** RFC 3339 `date-time` with `T`, and `Z` or an offset; no leap second, which most readers cannot hold. */
function isDateTime(text: string): boolean {
  const form = /^([0-9-]{10})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$/;
  const match = form.exec(text);
  return match?.[1] !== undefined && isDate(match[1]);
}

/** An addr-spec of ASCII atoms at a host name; no quoted local part, no comment, no address literal. */
function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@');
  const [local, host] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  const isLocal = local.length <= 64 && local.split('.').every((atom) => /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+$/.test(atom));
  return at > 0 && isLocal && isHostname(host);
}

/** RFC 3986 absolute URI with a scheme, ASCII only, every percent sign an escape. What it may point at is policy. */
function isUri(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]*$/.test(text)) return false;
  return !/%(?![0-9A-Fa-f]{2})/.test(text) && text.split('#').length <= 2;
}

/** RFC 1123 host name: labels of letters, digits and inner hyphens, 253 characters, no trailing dot. */
function isHostname(text: string): boolean {
  if (text.length > 253) return false;
  return text.split('.').every((label) => label.length <= 63 && /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(label));
}

/** Four decimal numbers without leading zeros, which some readers take for octal. */
function isIpv4(text: string): boolean {
  const numbers = text.split('.');
  return numbers.length === 4 && numbers.every((number) => /^(?:0|[1-9][0-9]{0,2})$/.test(number) && Number(number) <= 255);
}

/** RFC 4291 section 2.2, without a zone; the last 32 bits may be written as IPv4. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1)?.at(-1);
  const isMixed = last?.includes('.') === true && isIpv4(last);
  if (isMixed) groups.at(-1)?.splice(-1, 1, '0', '0');
  const count = groups.flat().length;
  const isComplete = halves.length === 2 ? count <= 7 : count === 8;
  return isComplete && groups.flat().every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group));
}

/**
 * A relative path with `/`, that stays where it is whoever reads it: no empty, `.` or `..` segment, no backslash, no
 * drive letter, no control character.
 */
function isRelativePath(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- a control character in a path is the attack that this refuses
  if (/[\u0000-\u001f\u007f-\u009f\\]/.test(text) || /^[A-Za-z]:/.test(text)) return false;
  return text.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
