/**
 * What differs between two policies as they are written in their parts: rules, tools, agents and the rest, by name and by
 * field. Whether a difference could allow more is in `widening.ts`.
 */

import { fromUtf8 } from '@sallyport/crypto';
import type { Json, JsonObject, PartName } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import { compareText } from '../reader/node.ts';

export const ITEM_KINDS = [
  'rule',
  'observe',
  'tool',
  'server',
  'destination',
  'credential',
  'agent',
  'issuer',
  'trust_domain',
  'caller_method',
  'value',
  'detector',
] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];

export interface FieldChange {
  readonly field: string;
  /** Absent where the field was not there. */
  readonly before?: Json;
  readonly after?: Json;
}

export interface ItemChange {
  readonly kind: ItemKind;
  readonly name: string;
  /** Absent where the item was not there. */
  readonly before?: JsonObject;
  readonly after?: JsonObject;
  /** Of an item on both sides, what differs; empty for one that was added or removed. */
  readonly fields: readonly FieldChange[];
}

export type PartBytes = Readonly<Record<PartName, Uint8Array>>;

/** By kind and name. The bytes have been read as parts before: they are whole. */
export function changesBetween(before: PartBytes, after: PartBytes): readonly ItemChange[] {
  const [old, now] = [itemsOf(before), itemsOf(after)];
  return ITEM_KINDS.flatMap((kind) => {
    const [left, right] = [old[kind], now[kind]];
    const names = [...new Set([...left.keys(), ...right.keys()])].toSorted(compareText);
    return names.flatMap((name) => changeOf(kind, name, { before: left.get(name), after: right.get(name) }));
  });
}

interface Sides {
  readonly before: JsonObject | undefined;
  readonly after: JsonObject | undefined;
}

function changeOf(kind: ItemKind, name: string, { before, after }: Sides): readonly ItemChange[] {
  if (before === undefined || after === undefined) {
    const only = { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
    return [{ kind, name, ...only, fields: [] }];
  }
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted(compareText);
  const fields = keys.flatMap((field): readonly FieldChange[] => {
    const [left, right] = [before[field], after[field]];
    if (left !== undefined && right !== undefined && canonicalJson(left) === canonicalJson(right)) return [];
    return [{ field, ...(left === undefined ? {} : { before: left }), ...(right === undefined ? {} : { after: right }) }];
  });
  return fields.length === 0 ? [] : [{ kind, name, before, after, fields }];
}

type Items = Readonly<Record<ItemKind, ReadonlyMap<string, JsonObject>>>;

function itemsOf(parts: PartBytes): Items {
  const tree = (part: PartName): JsonObject => JSON.parse(fromUtf8(parts[part]) ?? '{}') as JsonObject;
  const [policy, catalog, identity] = [tree('policy'), tree('catalog'), tree('identity')];
  const values = tree('environment')['values'];
  return {
    rule: byName(policy['rules'], 'id'),
    observe: byName(policy['observe'], 'agents'),
    tool: byName(catalog['tools'], 'name'),
    server: byName(catalog['servers'], 'name'),
    destination: byName(tree('egress')['destinations'], 'server'),
    credential: byName(tree('egress')['credentials'], 'name'),
    agent: byName(identity['agents'], 'name'),
    issuer: byName(identity['issuers'], 'issuer'),
    trust_domain: byName(identity['trust_domains'], 'name'),
    caller_method: byName(identity['caller_methods'], 'name'),
    value: new Map(Object.entries((values ?? {}) as Readonly<Record<string, JsonObject>>)),
    detector: byName(tree('detectors')['detectors'], 'name'),
  };
}

function byName(list: Json | undefined, key: string): ReadonlyMap<string, JsonObject> {
  const items = (Array.isArray(list) ? list : []) as readonly JsonObject[];
  return new Map(items.map((item) => [nameOf(item[key]), item]));
}

function nameOf(name: Json | undefined): string {
  return Array.isArray(name) ? name.join(', ') : typeof name === 'string' ? name : '';
}
