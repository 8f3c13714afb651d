/**
 * Values that differ between environments, and their substitution into documents. Parts keep `${env.x}` as written, so
 * that every part but this one has the same digest in every environment. Spec: policy-v1 section 5.
 */

import { Decimal } from '@sallyport/model';
import type { Json } from '@sallyport/model';
import { WORD } from '../reader/forms.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import type { Node, Place, Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { bool, fields, list, record, text } from '../reader/read.ts';
import type { EnvironmentValue, EnvironmentValues } from '../rule.ts';

const TYPES = ['url', 'string', 'integer', 'decimal', 'boolean', 'strings'] as const;

/** `{ orders_url: { url: "https://…" }, limit: { decimal: "500" } }`: one member, whose name is the type. */
export const environmentValues: Reader<EnvironmentValues> = record('`values`', environmentValue, WORD, LIMITS.environmentValuesMax);

function environmentValue(node: Node, problems: Problems): EnvironmentValue | undefined {
  const declared = fields(node, problems, 'a value', TYPES);
  if (declared === undefined) return undefined;
  const types = TYPES.filter((type) => declared.has(type));
  const [type] = types;
  if (type === undefined || types.length > 1) {
    return problems.add(node.place, 'a value has exactly one type', { remedy: 'such as { decimal: "500" }' });
  }
  return declared.get(type, READERS[type]);
}

const READERS: Readonly<Record<(typeof TYPES)[number], Reader<EnvironmentValue>>> = {
  url: (node, problems) => {
    const value = text('a URL')(node, problems);
    return value === undefined || parseBaseUrl(value, node.place, problems) === undefined ? undefined : { type: 'url', value };
  },
  string: (node, problems) => {
    const value = text('a string')(node, problems);
    return value === undefined ? undefined : { type: 'string', value };
  },
  integer: (node, problems) => {
    const isWhole = node.kind === 'scalar' && /^-?(0|[1-9][0-9]{0,37})$/.test(node.text);
    return isWhole
      ? { type: 'integer', value: BigInt(node.text) }
      : problems.add(node.place, 'must be a whole number of at most 38 digits');
  },
  decimal: (node, problems) => {
    const value = node.kind === 'scalar' ? Decimal.parse(node.text) : undefined;
    if (value !== undefined) return { type: 'decimal', value };
    return problems.add(node.place, 'must be a decimal without exponent, of at most 38 digits', { remedy: 'such as "500.01"' });
  },
  boolean: (node, problems) => {
    const value = bool(node, problems);
    return value === undefined ? undefined : { type: 'boolean', value };
  },
  strings: (node, problems) => {
    const value = list('a list of strings', text('an entry'), { max: LIST_CAPS.environment, key: (entry) => entry })(node, problems);
    return value === undefined ? undefined : { type: 'strings', value };
  },
};

/** The value's form in a part: exact numbers as text, so that no reader makes a double of them. */
export function encodeEnvironmentValue(value: EnvironmentValue): Json {
  return { [value.type]: value.type === 'integer' || value.type === 'decimal' ? value.value.toString() : value.value };
}

const REFERENCE = /\$\{([^}]*)\}/g;

/** Replaces each `${env.x}`; a value that is missing, or that is not text, is a problem. */
export function substitute(template: string, place: Place, environment: EnvironmentValues, problems: Problems): string | undefined {
  let isWhole = true;
  // Up to the last brace every reference ends somewhere, so that looking for them takes time linear in the text.
  const end = template.lastIndexOf('}') + 1;
  if (template.includes('${', end)) {
    problems.add(place, `${quote(template.slice(template.indexOf('${', end)))} does not end`, { remedy: 'write ${env.name}' });
    isWhole = false;
  }
  const result = template.slice(0, end).replaceAll(REFERENCE, (whole, inside: string) => {
    const name = inside.startsWith('env.') ? inside.slice(4) : undefined;
    const value = name === undefined || !Object.hasOwn(environment, name) ? undefined : environment[name];
    if (value?.type === 'url' || value?.type === 'string') return value.value;
    isWhole = false;
    if (value !== undefined) problems.add(place, `${quote(whole)} is of type ${value.type}, not text`);
    else if (name === undefined) problems.add(place, `${quote(whole)} is not a reference`, { remedy: 'write ${env.name}' });
    else
      problems.add(place, `no environment value ${quote(name)}`, {
        remedy: () => didYouMean(name, Object.keys(environment)) ?? 'declare it in a document of kind Environment',
      });
    return '';
  });
  return isWhole ? result + template.slice(end) : undefined;
}

/** Where a base URL leads. */
export interface BaseUrl {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Begins with a slash. */
  readonly path: string;
}

const BASE_URL =
  /^(https?):\/\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?((?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*)$/;

/** An absolute `http` or `https` URL of lower-case host and plain path: no user, query, fragment, escape or dot segment. */
export function parseBaseUrl(url: string, place: Place, problems: Problems): BaseUrl | undefined {
  const match = BASE_URL.exec(url);
  const port = match?.[3] === undefined ? (match?.[1] === 'https' ? 443 : 80) : Number(match[3]);
  if (match === null || port > 65_535 || (match[4] ?? '').split('/').some((segment) => segment === '.' || segment === '..')) {
    return problems.add(place, `${quote(url)} is not a base URL`, {
      remedy: 'http:// or https://, a lower-case host, a port if need be and a plain path; no user, query or fragment',
    });
  }
  const host = match[2] ?? '';
  return { scheme: match[1] as 'http' | 'https', host, port, path: match[4] === '' ? '/' : (match[4] ?? '/') };
}
