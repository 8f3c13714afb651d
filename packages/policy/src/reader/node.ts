/**
 * A document as a tree whose every value knows where it stands. YAML files and JSON parts both become this, so that one
 * set of readers serves authors (file, line, column) and bundles (path).
 */

import type { Json, JsonObject, Problem } from '@sallyport/model';
import { nearest } from '@sallyport/model';
import { LIMITS } from './limits.ts';

export interface Place {
  readonly path: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export type Scalar = null | boolean | number | string;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: Scalar;
  /** The author's own characters: exact where `value` is a number that a double bends. */
  readonly text: string;
  /** Whether column arithmetic inside the text is sound: one line, no escapes. */
  readonly isVerbatim: boolean;
}

export interface ListNode {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly Node[];
}

export interface MapNode {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: ReadonlyMap<string, { readonly key: Place; readonly value: Node }>;
}

export type Node = ScalarNode | ListNode | MapNode;

type Remedy = string | undefined | (() => string | undefined);

/** Collects problems up to a bound; what comes after is counted, so that a hostile file cannot fill the memory. */
export class Problems {
  /** Written by `#keep` alone, as `#errors` is; the others by `#isKept`. */
  readonly #list: Problem[] = [];
  #errors = 0;
  #droppedErrors = 0;
  #droppedWarnings = 0;

  /** A remedy that has to be looked for among many names comes as a function, and is only looked for where it is kept. */
  add(place: Place, message: string, more: { remedy?: Remedy; severity?: 'warning' } = {}): undefined {
    const { path, file, line, column } = place;
    if (!this.#isKept(more.severity === 'warning')) return undefined;
    const remedy = typeof more.remedy === 'function' ? more.remedy() : more.remedy;
    this.#keep({
      path,
      message,
      ...(remedy === undefined ? {} : { remedy }),
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
      ...(more.severity === undefined ? {} : { severity: more.severity }),
    });
    return undefined;
  }

  /** Adds what another parser found, keeping its places. */
  addAll(problems: readonly Problem[]): void {
    for (const problem of problems) if (this.#isKept(problem.severity === 'warning')) this.#keep(problem);
  }

  /** Whether there is room for one more, which is counted where there is not. */
  #isKept(isWarning: boolean): boolean {
    // Each kind has the bound for itself: warnings never crowd out a problem, nor make one by being many.
    const held = isWarning ? this.#list.length - this.#errors : this.#errors;
    if (held < LIMITS.problemsMax) return true;
    if (isWarning) this.#droppedWarnings++;
    else this.#droppedErrors++;
    return false;
  }

  #keep(problem: Problem): void {
    this.#list.push(problem);
    if (problem.severity !== 'warning') this.#errors++;
  }

  /** Whether something is wrong at this very place already, so that its consequences need not be listed too. */
  hasAt({ path, file, line, column }: Place): boolean {
    return this.#list.some(
      (problem) =>
        problem.path === path &&
        problem.file === file &&
        problem.line === line &&
        problem.column === column &&
        problem.severity === undefined,
    );
  }

  /** Whether this very thing has been said of this very place. */
  has({ path, file, line, column }: Place, message: string): boolean {
    return this.#list.some(
      (problem) =>
        problem.message === message && problem.path === path && problem.file === file && problem.line === line && problem.column === column,
    );
  }

  /** How many were added so far. */
  get count(): number {
    return this.#list.length + this.#droppedErrors + this.#droppedWarnings;
  }

  get hasErrors(): boolean {
    return this.#errors > 0;
  }

  /** Errors and warnings, by file, line, column and path; the last one says how many more there were. */
  sorted(): readonly Problem[] {
    const byPlace = this.#list.toSorted(
      (a, b) =>
        compareText(a.file ?? '', b.file ?? '') ||
        (a.line ?? 0) - (b.line ?? 0) ||
        (a.column ?? 0) - (b.column ?? 0) ||
        compareText(a.path, b.path) ||
        compareText(a.message, b.message),
    );
    return [...byPlace, ...this.#uncounted()];
  }

  #uncounted(): readonly Problem[] {
    const [errors, warnings] = [this.#droppedErrors, this.#droppedWarnings];
    return [
      ...(warnings === 0 ? [] : [{ path: '', message: `and ${warnings} more warnings`, severity: 'warning' } as const]),
      ...(errors === 0 ? [] : [{ path: '', message: `and ${errors} more problems`, remedy: 'mend these first' }]),
    ];
  }

  warnings(): readonly Problem[] {
    return this.sorted().filter((problem) => problem.severity === 'warning');
  }
}

/** By UTF-16 code unit: the same on every machine, whatever its language. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `did you mean` as a remedy, where something known is near. */
export function didYouMean(text: string, known: Iterable<string>): string | undefined {
  const best = text.length > 200 ? undefined : nearest(text, known);
  return best === undefined ? undefined : `did you mean \`${best}\``;
}

/** More names than these are not read. */
const LISTED_MAX = 8;

/** What else there is, for a remedy: the near one, or all where they are few. */
export function orListed(text: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  return (
    didYouMean(text, names) ?? (names.length === 0 || names.length > LISTED_MAX ? undefined : `there are ${names.map(quote).join(', ')}`)
  );
}

/** The author's words in backticks, cut where they are too long to print. */
export function quote(text: string): string {
  // Control characters in a terminal can rewrite what stands above them.
  const visible = text.replaceAll(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return `\`${visible.length > 120 ? `${visible.slice(0, 117)}...` : visible}\``;
}

/** `rules[2]` and `id` make `rules[2].id`. */
export function childPath(parent: string, key: string): string {
  const shown = /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key : `"${key.slice(0, 64)}"`;
  return parent === '' ? shown : `${parent}.${shown}`;
}

/** A JSON tree as nodes without lines; `path` is where the whole stands. */
export function nodeOfJson(json: Json, path: string): Node {
  const place = { path };
  if (Array.isArray(json)) {
    return { kind: 'list', place, items: (json as readonly Json[]).map((item, index) => nodeOfJson(item, `${path}[${index}]`)) };
  }
  if (typeof json === 'object' && json !== null) {
    const entries = new Map<string, { key: Place; value: Node }>();
    for (const [key, value] of Object.entries(json as JsonObject)) {
      const at = childPath(path, key);
      entries.set(key, { key: { path: at }, value: nodeOfJson(value, at) });
    }
    return { kind: 'map', place, entries };
  }
  return { kind: 'scalar', place, value: json, text: String(json), isVerbatim: false };
}

/** The node as a raw JSON tree, for schemas. Objects have no prototype, so that no key can reach one. */
export function jsonOfNode(node: Node): Json {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(jsonOfNode);
  const object: Record<string, Json> = Object.create(null) as Record<string, Json>;
  for (const [key, { value }] of node.entries) object[key] = jsonOfNode(value);
  return object;
}

/** The node as JSON text with every number in the author's own digits. */
export function jsonTextOfNode(node: Node): string {
  if (node.kind === 'list') return `[${node.items.map(jsonTextOfNode).join(',')}]`;
  if (node.kind === 'map') {
    return `{${[...node.entries].map(([key, { value }]) => `${JSON.stringify(key)}:${jsonTextOfNode(value)}`).join(',')}}`;
  }
  return typeof node.value === 'number' ? node.text : JSON.stringify(node.value);
}
