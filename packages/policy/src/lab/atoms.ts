/** A rule taken apart into the smallest demands that a record can tell about, each with a text that names it. */

import type { Json, JsonObject } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import { REQUIREMENTS } from '../decide/requirements.ts';
import type { Requirement } from '../decide/requirements.ts';
import { encodeRule } from '../grammar/rule.ts';
import type { Rule } from '../rule.ts';

export interface Atom {
  readonly requirement: Requirement;
  /** Of `for`, which list; of `arguments`, which argument; else empty. */
  readonly part: string;
  readonly value: Json;
  /** The same for the same demand, whichever rule it stands in. */
  readonly key: string;
}

export interface RuleAtoms {
  readonly rule: Rule;
  readonly atoms: readonly Atom[];
  /** Of the whole of a row, for what is known of it together alone. */
  readonly rows: ReadonlyMap<Requirement, string>;
}

export const LIMIT_ROWS: ReadonlySet<Requirement> = new Set(['once', 'max', 'sequence', 'budget']);

/** Rows whose list is so many demands. */
const LISTS: ReadonlySet<Requirement> = new Set(['scopes', 'bind', 'after']);
const MEMBERS: ReadonlySet<Requirement> = new Set(['for', 'arguments']);

export function atomsOf(rule: Rule): RuleAtoms {
  const written = encodeRule(rule) as JsonObject;
  const rows = (Object.keys(REQUIREMENTS) as Requirement[]).filter((row) => written[row] !== undefined);
  // A limit counts for its own rule and the tools that it is about: the same words elsewhere have another count.
  const counted = canonicalJson([rule.id, written[rule.verb] ?? null]);
  const owner = (row: Requirement): string => (LIMIT_ROWS.has(row) ? ` ${counted}` : '');
  return {
    rule,
    atoms: rows.flatMap((row) => partsOf(row, written[row] ?? null).map((atom) => ({ ...atom, key: `${atom.key}${owner(row)}` }))),
    rows: new Map(rows.map((row) => [row, `row ${row} ${canonicalJson(written[row] ?? null)}${owner(row)}`])),
  };
}

function partsOf(requirement: Requirement, value: Json): readonly Atom[] {
  const atom = (part: string, inner: Json): Atom => ({
    requirement,
    part,
    value: inner,
    key: `${requirement}.${part} ${canonicalJson(inner)}`,
  });
  if (LISTS.has(requirement)) return (value as readonly Json[]).map((one) => atom('', one));
  if (MEMBERS.has(requirement)) return Object.entries(value as JsonObject).map(([part, inner]) => atom(part, inner));
  return [atom('', value)];
}
