/**
 * YAML 1.2 files as located nodes, in a form that two readers cannot read differently: no anchors, aliases, tags, merge
 * keys or directives, no duplicate or non-text keys, and scalars that mean what JSON would mean. Work is bounded before
 * the parser sees anything it could recurse or loop on. Spec: policy-v1 section 2.
 */

import { Composer, Lexer, LineCounter, Parser, isMap, isScalar, isSeq } from 'yaml';
import type { CST, YAMLError } from 'yaml';
import { LIMITS } from './limits.ts';
import type { MapNode, Node, Place, Problems, Scalar } from './node.ts';
import { childPath, didYouMean, quote } from './node.ts';

/** One YAML document of a file; `index` counts from 0 those that hold anything, broken ones too. */
export interface YamlDocument {
  readonly index: number;
  readonly root: Node;
}

export interface YamlFile {
  /** Without the broken ones. */
  readonly documents: readonly YamlDocument[];
  /** Whether none is broken, so that what nobody declares is declared nowhere. */
  readonly isWhole: boolean;
}

interface File {
  readonly path: string;
  readonly text: string;
  readonly lines: LineCounter;
  readonly problems: Problems;
}

/** The documents of one file, without the broken ones; what is wrong goes to `problems`. */
export function readYaml(path: string, text: string, problems: Problems): readonly YamlDocument[] {
  return readYamlFile(path, text, problems).documents;
}

const NOTHING_READ: YamlFile = { documents: [], isWhole: false };

/** The same, with whether all of it could be read. */
export function readYamlFile(path: string, text: string, problems: Problems): YamlFile {
  const file: File = { path, text, lines: new LineCounter(), problems };
  if (text.length > LIMITS.fileCharsMax) {
    problems.add({ path: '', file: path }, `the file is longer than ${LIMITS.fileCharsMax} characters`, { remedy: 'split it' });
    return NOTHING_READ;
  }
  if (exceeds(new Lexer().lex(text), LIMITS.fileTokensMax)) {
    problems.add({ path: '', file: path }, `the file has more than ${LIMITS.fileTokensMax} tokens`, { remedy: 'split it' });
    return NOTHING_READ;
  }
  const tokens = [...new Parser(file.lines.addNewLine).parse(text)];
  // The composer recurses; the walk over its input does not.
  if (!isSafeSyntax(tokens, file)) return NOTHING_READ;
  return compose(tokens, file);
}

function exceeds(tokens: Iterable<string>, max: number): boolean {
  const iterator = tokens[Symbol.iterator]();
  for (let count = 0; iterator.next().done !== true; count++) if (count >= max) return true;
  return false;
}

const REFUSED: Readonly<Record<string, string>> = {
  anchor: 'anchors are not part of this language',
  alias: 'aliases are not part of this language',
  tag: 'tags are not part of this language',
  directive: 'directives are not part of this language',
};

/** Depth and forbidden syntax, on the concrete tokens, with an own stack. */
function isSafeSyntax(tokens: readonly CST.Token[], file: File): boolean {
  let isSafe = true;
  const stack: { token: unknown; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { token, depth } = next;
    if (Array.isArray(token)) {
      for (const item of token) stack.push({ token: item, depth });
      continue;
    }
    if (typeof token !== 'object' || token === null) continue;
    const { type, offset } = token as { type?: unknown; offset?: unknown };
    if (typeof type === 'string' && type in REFUSED) {
      file.problems.add(placeAt(file, typeof offset === 'number' ? offset : 0, ''), REFUSED[type] ?? '', { remedy: 'write it out' });
      isSafe = false;
    }
    const isCollection = type === 'block-map' || type === 'block-seq' || type === 'flow-collection';
    if (isCollection && depth >= LIMITS.nestingMax) {
      file.problems.add(
        placeAt(file, typeof offset === 'number' ? offset : 0, ''),
        `lists and maps are nested deeper than ${LIMITS.nestingMax}`,
      );
      return false;
    }
    for (const part of Object.values(token)) {
      if (typeof part === 'object') stack.push({ token: part, depth: isCollection ? depth + 1 : depth });
    }
  }
  return isSafe;
}

function compose(tokens: readonly CST.Token[], file: File): YamlFile {
  const documents: YamlDocument[] = [];
  // `failsafe` leaves every scalar a string; what a plain one means is decided here, once.
  const composer = new Composer({ version: '1.2', schema: 'failsafe', uniqueKeys: false, strict: true, prettyErrors: false });
  let index = 0;
  let count = 0;
  let isWhole = true;
  for (const document of composer.compose(tokens)) {
    const [first] = document.errors.toSorted((a, b) => a.pos[0] - b.pos[0]);
    const root = first !== undefined || document.contents === null ? undefined : toNode(document.contents, '', file);
    if (root !== undefined && !isEmpty(root)) documents.push({ index: index++, root });
    if (first !== undefined) {
      reportSyntax(first, file);
      index++;
      isWhole = false;
    }
    if (++count > LIMITS.documentsMax) {
      file.problems.add({ path: '', file: file.path }, `the file has more than ${LIMITS.documentsMax} documents`);
      return { documents, isWhole: false };
    }
  }
  return { documents, isWhole };
}

/** What to do about some of the library's errors. */
const SYNTAX_REMEDIES: Readonly<Record<string, string>> = {
  BAD_SCALAR_START: 'quote it',
  BLOCK_IN_FLOW: 'quote a text that holds `: `',
  BLOCK_AS_IMPLICIT_KEY: 'mend the indentation, or quote a text that holds `: `',
  TAB_AS_INDENT: 'indent with spaces',
};

/** The first error of a document alone: what comes after it was read in the wrong light. */
function reportSyntax(error: YAMLError, file: File): void {
  const { text } = file;
  const [offset] = error.pos;
  const plain = bracketedText(text, offset);
  const place = placeAt(file, offset, '');
  if (plain === undefined) {
    file.problems.add(place, `not YAML: ${lowerFirst(error.message.split('\n')[0] ?? '')}`, { remedy: SYNTAX_REMEDIES[error.code] });
    return;
  }
  const quoted = plain.includes('"') ? (plain.includes("'") ? undefined : `'${plain}'`) : `"${plain}"`;
  file.problems.add(place, `not YAML: ${quote(text.charAt(offset))} stands in a text that is not quoted`, {
    remedy: quoted === undefined || quoted.length > SHOWN_CHARS_MAX ? 'quote the text' : `quote it: ${quoted}`,
  });
}

const SHOWN_CHARS_MAX = 80;
/** Of one line, looked at around an error. */
const LOOKED_AT_CHARS_MAX = 1_000;

/** The unquoted text inside a flow map or list that the bracket at `offset` ends too early, whole: `/x/{id}`, `result.items[].id`. */
function bracketedText(text: string, offset: number): string | undefined {
  if (!/[[{]/.test(text.charAt(offset))) return undefined;
  const before = /(?:^|[,[\]{}]|: )[ \t]*([^\s,[\]{}"'][^,[\]{}]*)$/.exec(
    text.slice(Math.max(text.lastIndexOf('\n', offset) + 1, offset - LOOKED_AT_CHARS_MAX), offset),
  );
  const start = before?.[1]?.split(': ').at(-1)?.trimStart();
  if (start === undefined || /^(?:["']|$)/.test(start)) return undefined;
  let depth = 0;
  for (let end = offset; end < text.length && end < offset + LOOKED_AT_CHARS_MAX; end++) {
    const character = text.charAt(end);
    if (character === '\n' || (depth === 0 && /[,\]}]/.test(character)))
      return depth === 0 ? start + text.slice(offset, end).trimEnd() : undefined;
    if (/[[{]/.test(character)) depth++;
    if (/[\]}]/.test(character)) depth--;
  }
  return undefined;
}

/** A document of nothing but white space, as a trailing `---` makes. */
function isEmpty(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null && node.text === '';
}

function toNode(value: unknown, path: string, file: File): Node | undefined {
  if (isMap(value)) return toMap(value.items, placeAt(file, value.range?.[0] ?? 0, path), file);
  if (isSeq(value)) {
    const place = placeAt(file, value.range?.[0] ?? 0, path);
    const items = value.items.map((item, index) => toNode(item, `${path}[${index}]`, file));
    return { kind: 'list', place, items: items.filter((item) => item !== undefined) };
  }
  if (!isScalar(value)) return undefined;
  const place = placeAt(file, value.range?.[0] ?? 0, path);
  const text = typeof value.value === 'string' ? value.value : '';
  if (value.type === 'PLAIN' || value.type === undefined) {
    const scalar = plainScalar(text, place, file.problems);
    return { kind: 'scalar', place, value: scalar, text, isVerbatim: value.source === undefined || value.source === text };
  }
  const isQuotedVerbatim = value.range !== null && value.range !== undefined && value.range[1] - value.range[0] === text.length + 2;
  const inner = isQuotedVerbatim && place.column !== undefined ? { ...place, column: place.column + 1 } : place;
  return { kind: 'scalar', place: inner, value: text, text, isVerbatim: isQuotedVerbatim };
}

function toMap(pairs: readonly { key: unknown; value: unknown }[], place: Place, file: File): MapNode {
  const entries = new Map<string, { key: Place; value: Node }>();
  for (const pair of pairs) {
    if (!isScalar(pair.key) || typeof pair.key.value !== 'string' || pair.key.value === '') {
      file.problems.add(place, 'keys must be text that is not empty');
      continue;
    }
    const name = pair.key.value;
    const path = childPath(place.path, name);
    const key = placeAt(file, pair.key.range?.[0] ?? 0, path);
    if (name === '<<') {
      file.problems.add(key, 'merge keys are not part of this language', { remedy: 'write the entries out' });
      continue;
    }
    if (entries.has(name)) {
      file.problems.add(key, `${quote(name)} stands here twice`, { remedy: 'two readers could take either' });
      continue;
    }
    const value = pair.value === null ? emptyAt(key) : toNode(pair.value, path, file);
    if (value !== undefined) entries.set(name, { key, value });
  }
  return { kind: 'map', place, entries };
}

function emptyAt(place: Place): Node {
  return { kind: 'scalar', place, value: null, text: '', isVerbatim: false };
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
/** Spellings that YAML 1.1, YAML 1.2 and JSON read differently; quoting or respelling settles each. */
const AMBIGUOUS =
  /^(?:[+-]?(?:0[0-9_]+|0[oxb][0-9a-fA-F_]+|[0-9]+_[0-9_]+|\.[0-9]+|[0-9]+\.|\.inf|\.nan)|\+[0-9].*|true|false|null|yes|no|on|off|\.inf|\.nan)$/i;

function plainScalar(text: string, place: Place, problems: Problems): Scalar {
  if (text === '' || text === 'null' || text === '~') return null;
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (NUMBER.test(text)) {
    const value = Number(text);
    if (!Number.isFinite(value)) problems.add(place, `${quote(text)} is too large for a number`, { remedy: 'quote it' });
    return value;
  }
  if (AMBIGUOUS.test(text)) {
    const plain = didYouMean(text.toLowerCase(), ['true', 'false', 'null']);
    problems.add(place, `${quote(text)} means different things to different readers`, {
      remedy: plain === undefined ? 'quote it, or write it as JSON would' : `quote it, or ${plain}`,
    });
  }
  return text;
}

function placeAt(file: File, offset: number, path: string): Place {
  const { line, col } = file.lines.linePos(offset);
  return line === 0 ? { path, file: file.path, line: 1, column: offset + 1 } : { path, file: file.path, line, column: col };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
