/**
 * Reads one strict YAML document into plain values that remember where they stood. YAML 1.2 core only: no anchors and
 * aliases (a few lines could unfold into gigabytes), no tags, no directives, no merge keys, one document, text keys,
 * no key twice. It knows nothing of what the values mean.
 */

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';

/** Plain YAML values. */
export type Tree = null | boolean | number | string | Tree[] | TreeMap;
/** A mapping; made without a prototype, so that `__proto__` is a key like any other. */
export interface TreeMap {
  [key: string]: Tree;
}

/** Where a value stands, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface ReadYaml {
  readonly value: Tree;
  /** Places of keys (or of items), by `pathText`. The whole document is at ''. */
  readonly places: ReadonlyMap<string, Place>;
}

/** `limits.body_bytes_max`, `rules[0].allow[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text;
}

const PROBLEMS_MAX = 50;

/** Reads `text`; every problem at once, at most 50. An empty document is an empty mapping. */
export function readYaml(text: string): Result<ReadYaml, readonly Problem[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    stringKeys: true,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
    logLevel: 'error',
  });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems = [...syntaxProblems(document, place), ...forbiddenProblems(document, place)];
  if (problems.length > 0) return fail(problems.slice(0, PROBLEMS_MAX));
  const places = new Map<string, Place>();
  const value = document.contents === null ? {} : plain(document.contents, [], (path, offset) => places.set(pathText(path), place(offset)));
  return ok({ value, places });
}

function syntaxProblems(document: Document.Parsed, place: (offset: number) => Place): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const error of [...document.errors, ...document.warnings]) {
    // One slip can be reported once per level of nesting.
    const key = `${error.code}@${error.pos[0]}`;
    if (seen.has(key)) continue;
    seen.add(key);
    problems.push({ path: '', message: syntaxMessage(error.code, error.message), ...place(error.pos[0]) });
  }
  return problems;
}

function syntaxMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key stands here twice';
  if (code === 'NON_STRING_KEY') return 'a key is text, not a list or a mapping';
  if (code === 'MULTIPLE_DOCS') return 'one file holds one document; `---` begins a second';
  if (code === 'TAB_AS_INDENT') return 'tabs are not allowed as indentation';
  if (code === 'RESOURCE_EXHAUSTION') return 'the document is nested too deeply';
  return `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

function forbiddenProblems(document: Document.Parsed, place: (offset: number) => Place): Problem[] {
  const problems: Problem[] = [];
  const refuse = (offset: number | undefined, message: string, remedy: string): void => {
    problems.push({ path: '', message, remedy, ...place(offset ?? 0) });
  };
  if (document.directives.yaml.explicit === true || Object.keys(document.directives.tags).length > 1) {
    refuse(0, 'directives (`%YAML`, `%TAG`) are not allowed', 'remove the lines that begin with `%`');
  }
  visit(document, {
    Node: (_key, node) => {
      const offset = node.range?.[0];
      if (isAlias(node)) refuse(offset, 'aliases are not allowed', 'write the value out');
      else if (node.anchor !== undefined) refuse(offset, 'anchors are not allowed', 'write the value out where it is needed');
      if (node.tag !== undefined) refuse(offset, 'tags are not allowed', 'remove the word that begins with `!`');
    },
  });
  return problems;
}

function plain(node: unknown, path: readonly PropertyKey[], at: (path: readonly PropertyKey[], offset: number) => void): Tree {
  if (isMap(node)) {
    if (path.length === 0) at(path, node.range?.[0] ?? 0);
    const map = Object.create(null) as TreeMap;
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const here = [...path, key];
      at(here, (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? 0);
      map[key] = plain(pair.value, here, at);
    }
    return map;
  }
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      const here = [...path, index];
      at(here, (item as { range?: readonly number[] }).range?.[0] ?? 0);
      return plain(item, here, at);
    });
  }
  if (!isScalar(node)) return null;
  const { value } = node;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}
