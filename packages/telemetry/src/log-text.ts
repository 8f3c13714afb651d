/** Texts on their way into the log: bounded, and without what looks like a credential. A last net, not the first. */

import { Bug } from '@sallyport/model';

const TEXT_CHARACTERS_MAX = 1_000;
const STACK_CHARACTERS_MAX = 4_000;
const CAUSES_MAX = 5;

/** A JWT; a bearer or basic credential; a private key; userinfo in a URL. */
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g, '[token removed]'],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, '$1 [credential removed]'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, '[private key removed]'],
  [/(:\/\/)[^/\s:@]{1,256}:[^/\s@]{1,256}@/g, '$1[credential removed]@'],
];

/** At most 1,000 characters, credentials removed. */
export function plainText(text: string, charactersMax: number = TEXT_CHARACTERS_MAX): string {
  // Cut first, so that no pattern meets a long text; twice the length, so that a cut cannot hide half a credential in the rest.
  let plain = text.length > charactersMax * 2 ? text.slice(0, charactersMax * 2) : text;
  for (const [pattern, replacement] of CREDENTIALS) plain = plain.replace(pattern, replacement);
  return plain.length > charactersMax ? `${plain.slice(0, charactersMax)}…` : plain;
}

/** Kind, code and message of an error and its causes in one line; the stack of a Bug. */
export function errorFields(error: unknown): { error?: string; stack?: string } {
  if (error === undefined) return {};
  const links: string[] = [];
  for (let link: unknown = error; link !== undefined && links.length < CAUSES_MAX; link = causeOf(link)) links.push(oneLine(link));
  const stack = error instanceof Bug && error.stack !== undefined ? { stack: plainText(error.stack, STACK_CHARACTERS_MAX) } : {};
  return { error: plainText(links.join(' <- ')), ...stack };
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : 'a value that is no error was thrown';
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  return `${error.name}${code}: ${error.message}`;
}
