/** What differs between two lock files, for a person who has to say yes to it. */

import { isDeepStrictEqual } from 'node:util';
import type { Json } from '@sallyport/model';
import { isObject } from './json-shape.ts';
import type { LockedTool } from './lock-file.ts';
import { shortText, visibleLine } from './visible-text.ts';

export interface ToolChange {
  /** The whole name, `server/tool`. */
  readonly tool: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** `description`, `effect`, and places in the arguments; empty unless changed. */
  readonly fields: readonly FieldChange[];
}

export interface FieldChange {
  readonly field: string;
  /** As JSON text, cut short; `undefined` where it was not there. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

const SHOWN_CHARS_MAX = 160;
const FIELDS_MAX = 50;

/** By name; tools that are alike are not among them. */
export function diffTools(before: readonly LockedTool[], after: readonly LockedTool[]): readonly ToolChange[] {
  const [old, now] = [byName(before), byName(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names.flatMap((tool): readonly ToolChange[] => {
    const [was, is] = [old.get(tool), now.get(tool)];
    if (was === undefined) return [{ tool, kind: 'added', fields: [] }];
    if (is === undefined) return [{ tool, kind: 'removed', fields: [] }];
    const fields = [
      ...changed('description', was.description, is.description),
      ...changed('effect', was.effect ?? 'destructive', is.effect ?? 'destructive'),
      ...changed('arguments', was.arguments, is.arguments),
    ].slice(0, FIELDS_MAX);
    return fields.length === 0 ? [] : [{ tool, kind: 'changed', fields }];
  });
}

/** `+ files/read`, `- files/old`, `~ files/write` with what changed below it. */
export function diffText(changes: readonly ToolChange[]): readonly string[] {
  return changes.flatMap(({ tool, kind, fields }) => [
    `${SIGNS[kind]} ${tool}`,
    ...fields.flatMap(({ field, before, after }) => [
      `    ${field}`,
      ...(before === undefined ? [] : [`      - ${before}`]),
      ...(after === undefined ? [] : [`      + ${after}`]),
    ]),
  ]);
}

const SIGNS: Readonly<Record<ToolChange['kind'], string>> = { added: '+', removed: '-', changed: '~' };

function byName(tools: readonly LockedTool[]): ReadonlyMap<string, LockedTool> {
  return new Map(tools.map((tool) => [tool.name, tool]));
}

function changed(field: string, before: Json | undefined, after: Json | undefined): readonly FieldChange[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
    return keys.flatMap((key) => changed(`${field}.${visibleLine(key)}`, before[key], after[key]));
  }
  return [{ field, before: shown(before), after: shown(after) }];
}

function shown(value: Json | undefined): string | undefined {
  return value === undefined ? undefined : shortText(JSON.stringify(value), SHOWN_CHARS_MAX);
}
