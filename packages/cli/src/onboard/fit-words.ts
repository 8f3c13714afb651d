/** What a schema says that is not about values: shown to models and people, so that both have to read the same. */

import type { Json, JsonObject } from '@sallyport/model';
import type { Done } from './import-note.ts';
import { KNOWN, SERVER_ALONE } from './fit-keywords.ts';
import { isPlainText, shortText, visibleLine, visibleText } from './visible-text.ts';

type Note = (keyword: string, done: Done, says: string) => void;

/** Length of the words that a schema says of an argument. */
const WORDS_CHARS_MAX = 2_000;
const DEFAULT_CHARS_MAX = 200;
const KEYWORD_CHARS_MAX = 40;

/** Title, description and default, with every hidden character written out. */
export function fitWords(schema: JsonObject, note: Note): JsonObject {
  const words: Record<string, Json> = {};
  for (const key of ['title', 'description'] as const) {
    const value = schema[key];
    if (typeof value !== 'string') continue;
    const given = value.replaceAll('\r\n', '\n');
    words[key] = shortText(visibleText(value), WORDS_CHARS_MAX);
    if (!isPlainText(given)) note(key, 'revealed', 'holds hidden characters, now written out');
    else if (words[key] !== given) note(key, 'revealed', `cut to ${WORDS_CHARS_MAX} characters`);
  }
  const { default: otherwise, 'x-mcp-header': header } = schema;
  if (otherwise !== undefined && isShort(otherwise)) words['default'] = otherwise;
  if (typeof header === 'string' && isPlainText(header)) words['x-mcp-header'] = header;
  return words;
}

/** A default is never applied, so only one that can be read at a glance is kept. */
function isShort(value: Json): boolean {
  if (typeof value === 'string') return value.length <= DEFAULT_CHARS_MAX && isPlainText(value);
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isSafeInteger(value));
}

/** Tells of every keyword that we do not have. */
export function tellForeign(schema: JsonObject, note: Note): void {
  for (const key of Object.keys(schema)) {
    const shown = shortText(visibleLine(key), KEYWORD_CHARS_MAX);
    if (SERVER_ALONE.has(key)) note(shown, 'loosened', 'dropped: the server alone judges it');
    else if (key === 'patternProperties') note(key, 'tightened', 'dropped: members that it would accept are refused');
    else if (key === 'unevaluatedProperties' && schema[key] !== false)
      note(key, 'tightened', 'dropped: members that are not named are refused');
    else if (!KNOWN.has(key)) note(shown, 'unchanged', 'dropped: it says nothing about values');
  }
}
