/** One entry of `tools/list` as a tool of ours, or why there is none. */

import { EFFECTS, toolName } from '@sallyport/model';
import type { Effect, Json, JsonObject, ServerName, ToolName } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';
import { fitSchema } from './fit-schema.ts';
import type { ImportNote } from './import-note.ts';
import { isPlainText, quotedText, shortText, visibleLine, visibleText } from './visible-text.ts';

/** A tool as the server says it is, in our words. */
export interface ListedTool {
  readonly name: ToolName;
  readonly description: string;
  /** What the annotations come to; `undefined` where they say nothing, which counts as destructive. */
  readonly proposed: Effect | undefined;
  readonly arguments: JsonObject;
}

export interface Listed {
  readonly tools: readonly ListedTool[];
  /** Sorted by tool, in the order of finding. */
  readonly notes: readonly ImportNote[];
}

/** The bound of policy documents is 4,096. */
const DESCRIPTION_CHARS_MAX = 4_000;

/** Reads every entry. A name that is listed twice names neither: nobody could say which one is called. */
export function readListed(server: ServerName, entries: readonly Judged[]): Listed {
  const notes: ImportNote[] = [];
  const tools = new Map<string, ListedTool>();
  const seen = new Set<string>();
  for (const entry of entries) {
    const given = entry.at('name')?.tree;
    const shown = typeof given === 'string' ? shortText(visibleLine(given), 128) : '-';
    const name = typeof given === 'string' ? toolName(server, given) : undefined;
    if (name === undefined) {
      const says = typeof given === 'string' ? `${quotedText(given)} is no name: 1 to 128 of A-Z a-z 0-9 _ . -` : 'the entry has no name';
      notes.push({ tool: shown, path: 'name', done: 'refused', says });
    } else if (seen.has(name)) {
      tools.delete(name);
      notes.push({ tool: shown, path: 'name', done: 'refused', says: 'the server lists this name more than once' });
    } else {
      seen.add(name);
      const read = readOne(name, entry, (note) => notes.push({ tool: shown, ...note }));
      if (read !== undefined) tools.set(name, read);
    }
  }
  const sorted = [...tools.values()].toSorted((a, b) => compare(a.name, b.name));
  return { tools: sorted, notes: notes.toSorted((a, b) => compare(a.tool, b.tool)) };
}

function readOne(name: ToolName, entry: Judged, note: (note: Omit<ImportNote, 'tool'>) => unknown): ListedTool | undefined {
  const members = entry.tree as JsonObject;
  const schema = entry.at('inputSchema');
  if (schema === undefined)
    return { name, description: described(members, note), proposed: proposedEffect(members['annotations']), arguments: NO_ARGUMENTS };
  const fitted = fitSchema(schema);
  for (const { path, done, says } of fitted.notes) note({ path: path === '' ? 'inputSchema' : `inputSchema.${path}`, done, says });
  if (fitted.schema === undefined) return undefined;
  return { name, description: described(members, note), proposed: proposedEffect(members['annotations']), arguments: fitted.schema };
}

const NO_ARGUMENTS: JsonObject = { type: 'object', properties: {} };

/** What a model will read, pinned: so it has to be what a person can read too. */
function described(members: JsonObject, note: (note: Omit<ImportNote, 'tool'>) => unknown): string {
  const given = members['description'];
  if (typeof given !== 'string') return '';
  const whole = visibleText(given).trim();
  if (!isPlainText(given.replaceAll('\r\n', '\n')))
    note({ path: 'description', done: 'revealed', says: 'holds hidden characters, now written out' });
  if (whole.length <= DESCRIPTION_CHARS_MAX) return whole;
  note({ path: 'description', done: 'revealed', says: `${whole.length} characters long, cut to ${DESCRIPTION_CHARS_MAX}` });
  return shortText(whole, DESCRIPTION_CHARS_MAX);
}

/**
 * An effect out of `ToolAnnotations`, whose defaults are pessimistic (MCP 2025-11-25): not read-only, destructive, open to
 * the world. Two hints that contradict each other propose the worse.
 */
export function proposedEffect(annotations: Json | undefined): Effect | undefined {
  if (typeof annotations !== 'object' || annotations === null || Array.isArray(annotations)) return undefined;
  const { readOnlyHint, destructiveHint, openWorldHint } = annotations as JsonObject;
  if (destructiveHint === true) return 'destructive';
  if (readOnlyHint === true) return 'read';
  if (destructiveHint !== false) return undefined;
  return openWorldHint === false ? 'write' : 'side_effect';
}

/** Whether one effect allows less harm than another. */
export function isLess(effect: Effect, than: Effect): boolean {
  return EFFECTS.indexOf(effect) < EFFECTS.indexOf(than);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
