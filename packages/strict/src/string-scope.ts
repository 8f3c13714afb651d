/**
 * Where a text that names a place may point: `hosts` of a URI or host name, `domains` of an e-mail address, `under` of a
 * path. Allow-lists over texts whose format has been checked. What a name resolves to is for the dialler to judge.
 * docs/spec/arguments-v1.md section 4.6.
 */

import { hasFormat } from './formats.ts';
import type { StringFormat } from './formats.ts';

export type ScopeKeyword = 'hosts' | 'domains' | 'under';

/** Which formats each keyword stands with. */
export const SCOPE_FORMATS: Readonly<Record<ScopeKeyword, readonly StringFormat[]>> = {
  hosts: ['uri', 'hostname'],
  domains: ['email'],
  under: ['path', 'absolute-path'],
};

/** One keyword with its entries, ready to be asked. */
export interface StringScope {
  readonly keyword: ScopeKeyword;
  readonly entries: readonly string[];
  /** Whether the text, which has `format`, lies inside. */
  holds(text: string): boolean;
}

/** Compiles entries; the index of the first that is none, where one is not. */
export function compileScope(keyword: ScopeKeyword, entries: readonly string[], format: StringFormat): StringScope | { badEntry: number } {
  const badEntry = entries.findIndex((entry) => !ENTRY[keyword](entry, format));
  if (badEntry !== -1) return { badEntry };
  return { keyword, entries, holds: (text) => entries.some((entry) => HOLDS[keyword](entry, text, format)) };
}

const WILDCARD = /^\*\.(?=[^.]+\.)/;

/** A host in lower case or, for all that lies below one, `*.` and a name of at least two labels. */
function isHostEntry(entry: string): boolean {
  const host = entry.replace(WILDCARD, '');
  return hasFormat('hostname', host) && host === host.toLowerCase();
}

const ENTRY: Readonly<Record<ScopeKeyword, (entry: string, format: StringFormat) => boolean>> = {
  hosts: (entry, format) => isHostEntry(format === 'uri' ? entry.replace(/:[1-9][0-9]{0,4}$/, '') : entry),
  domains: isHostEntry,
  under: (entry, format) => entry === '/' || hasFormat(format, entry),
};

const HOLDS: Readonly<Record<ScopeKeyword, (entry: string, text: string, format: StringFormat) => boolean>> = {
  hosts: (entry, text, format) => (format === 'uri' ? isUriAt(entry, text) : isHostWithin(entry, text)),
  domains: (entry, text) => isHostWithin(entry, text.slice(text.lastIndexOf('@') + 1)),
  under: (entry, text) => text === entry || text.startsWith(entry === '/' ? entry : `${entry}/`),
};

function isHostWithin(entry: string, host: string): boolean {
  const name = host.toLowerCase();
  // A wildcard holds what lies below its name, and not the name itself.
  return entry.startsWith('*.') ? name.endsWith(entry.slice(1)) && name.length > entry.length - 1 : name === entry;
}

/**
 * Of an `http` or `https` URI without user (`listed@evil`), whose authority is a host and a port and nothing that one
 * reader would take apart differently. Without a port in the entry, only the scheme's own is meant.
 */
const HTTP_URI = /^(https?):\/\/([A-Za-z0-9.-]+)(?::([1-9][0-9]{0,4}))?(?:[/?#]|$)/i;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

function isUriAt(entry: string, uri: string): boolean {
  const [, scheme = '', host = '', port] = HTTP_URI.exec(uri) ?? [];
  const [name = '', wanted] = entry.split(':');
  const usual = DEFAULT_PORTS[scheme.toLowerCase()];
  return host !== '' && isHostWithin(name, host) && (port ?? usual) === (wanted ?? usual);
}
