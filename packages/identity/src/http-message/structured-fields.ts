/**
 * The part of Structured Fields (RFC 9651) that signatures need: dictionaries of inner lists and byte sequences, with
 * parameters. Stricter than the RFC in one thing: a key that stands twice is refused, where the RFC lets the last one win.
 */

import { decodeBase64, encodeBase64 } from '@sallyport/crypto';

/** A byte sequence is the `Uint8Array`, a token is told from a string by its object. */
export type BareItem = number | string | boolean | Uint8Array | { readonly token: string };
export type Parameters = ReadonlyMap<string, BareItem>;
export interface Item {
  readonly value: BareItem;
  readonly parameters: Parameters;
}
export interface InnerList {
  readonly items: readonly Item[];
  readonly parameters: Parameters;
}
export type Member = Item | InnerList;

const MEMBERS_MAX = 32;
const KEY = /[a-z*][a-z0-9_.*-]{0,63}/y;
/** RFC 9651, section 3.3.1, without decimals: no signature parameter is one. */
const INTEGER = /-?(?:0|[1-9][0-9]{0,14})(?![0-9.])/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y;
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y;
const BOOLEAN = /\?([01])/y;
const SPACES = / */y;
const COMMA = /[ \t]*,[ \t]*/y;

/** A dictionary, or `undefined` for what is not exactly one, has a key twice, or is larger than any signature needs. */
export function parseDictionary(text: string): ReadonlyMap<string, Member> | undefined {
  const reader = new Reader(text);
  const members = new Map<string, Member>();
  if (text === '') return members;
  for (;;) {
    const key = reader.take(KEY);
    if (key === undefined || members.has(key) || members.size >= MEMBERS_MAX) return undefined;
    const member = reader.takes('=') ? readMember(reader) : readBareTrue(reader);
    if (member === undefined) return undefined;
    members.set(key, member);
    if (reader.isAtEnd) return members;
    if (reader.take(COMMA) === undefined) return undefined;
  }
}

/** The one spelling of an inner list with its parameters (RFC 9651, section 4.1.1.1). */
export function serializeInnerList({ items, parameters }: InnerList): string {
  const inside = items.map(({ value, parameters: own }) => serializeBare(value) + serializeParameters(own));
  return `(${inside.join(' ')})${serializeParameters(parameters)}`;
}

export function isInnerList(member: Member): member is InnerList {
  return 'items' in member;
}

/** Where a reader stands in its text. Owner: one call of `parseDictionary`. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** What the sticky pattern finds here: its first group, or else all of it. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[1] ?? match[0];
  }

  takes(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  get next(): string | undefined {
    return this.#text[this.#at];
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }
}

function readMember(reader: Reader): Member | undefined {
  return reader.next === '(' ? readInnerList(reader) : readItem(reader);
}

function readBareTrue(reader: Reader): Item | undefined {
  const parameters = readParameters(reader);
  return parameters === undefined ? undefined : { value: true, parameters };
}

function readInnerList(reader: Reader): InnerList | undefined {
  reader.takes('(');
  const items: Item[] = [];
  for (;;) {
    const spaces = reader.take(SPACES) ?? '';
    if (reader.takes(')')) break;
    // Items are parted by at least one space.
    if (items.length > 0 && spaces === '') return undefined;
    const item = items.length < MEMBERS_MAX ? readItem(reader) : undefined;
    if (item === undefined) return undefined;
    items.push(item);
  }
  const parameters = readParameters(reader);
  return parameters === undefined ? undefined : { items, parameters };
}

function readItem(reader: Reader): Item | undefined {
  const value = readBare(reader);
  const parameters = value === undefined ? undefined : readParameters(reader);
  return value === undefined || parameters === undefined ? undefined : { value, parameters };
}

function readParameters(reader: Reader): Parameters | undefined {
  const parameters = new Map<string, BareItem>();
  while (reader.takes(';')) {
    reader.take(SPACES);
    const key = reader.take(KEY);
    if (key === undefined || parameters.has(key) || parameters.size >= MEMBERS_MAX) return undefined;
    const value = reader.takes('=') ? readBare(reader) : true;
    if (value === undefined) return undefined;
    parameters.set(key, value);
  }
  return parameters;
}

function readBare(reader: Reader): BareItem | undefined {
  switch (reader.next) {
    case undefined:
      return undefined;
    case '"':
      return reader.take(STRING)?.replaceAll(/\\(.)/g, '$1');
    case ':':
      return decodeBase64(reader.take(BYTES) ?? '?');
    case '?': {
      const bit = reader.take(BOOLEAN);
      return bit === undefined ? undefined : bit === '1';
    }
    default:
      return readNumberOrToken(reader);
  }
}

function readNumberOrToken(reader: Reader): BareItem | undefined {
  const integer = reader.take(INTEGER);
  // `-0` is `0` once it is written again.
  if (integer !== undefined) return integer === '-0' ? undefined : Number(integer);
  const token = reader.take(TOKEN);
  return token === undefined ? undefined : { token };
}

function serializeParameters(parameters: Parameters): string {
  let text = '';
  for (const [key, value] of parameters) text += value === true ? `;${key}` : `;${key}=${serializeBare(value)}`;
  return text;
}

function serializeBare(value: BareItem): string {
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '?1' : '?0';
  return value instanceof Uint8Array ? `:${encodeBase64(value)}:` : value.token;
}
