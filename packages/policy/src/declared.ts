/** What documents or parts declare, each thing beside the node it was read from, so that later checks know its place. */

import type { Agent, Issuer, Tool } from '@sallyport/model';
import type { DeclaredServer } from './grammar-catalog.ts';
import type { Observe } from './grammar-observe.ts';
import type { Node, Place } from './node.ts';
import type { EnvironmentValues, Rule, TestSuite } from './rule.ts';

export interface Located<T> {
  readonly value: T;
  readonly node: Node;
  /** Of a rule in a document: the `agent` or `agents` of the document. */
  readonly whose?: Node;
}

export interface Declared {
  readonly agents: readonly Located<Agent>[];
  readonly servers: readonly Located<DeclaredServer>[];
  readonly tools: readonly Located<Tool>[];
  readonly issuers: readonly Located<Issuer>[];
  readonly environment: EnvironmentValues;
  readonly rules: readonly Located<Rule>[];
  readonly tests: readonly Located<TestSuite>[];
  readonly observes: readonly Located<Observe>[];
}

/** What is not known because something could not be read, so that what follows from it need not be said as well. */
export interface Doubts {
  /** Names that a declaration which could not be read gives. */
  readonly names: ReadonlySet<string>;
  /** Agents that use what nobody declares, or that have a rule which could not be read. */
  readonly agents: ReadonlySet<string>;
}

export const NO_DOUBTS: Doubts = { names: new Set(), agents: new Set() };

export type Step = string | number;

/** The node that the steps lead to, or the deepest on the way that there is. */
export function nodeAt(node: Node, ...steps: readonly Step[]): Node {
  let found = node;
  for (const step of steps) {
    const next: Node | undefined =
      found.kind === 'map' ? found.entries.get(String(step))?.value : found.kind === 'list' ? found.items[Number(step)] : undefined;
    if (next === undefined) return found;
    found = next;
  }
  return found;
}

export function placeAt(node: Node, ...steps: readonly Step[]): Place {
  return nodeAt(node, ...steps).place;
}

/** The place of what another parser calls by `path`: that of the node with this path, or of the nearest above it. */
export function placeOfPath(node: Node, path: string): Place {
  let best = node.place;
  const stack: Node[] = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (!path.startsWith(next.place.path)) continue;
    if (next.place.path.length > best.path.length) best = next.place;
    if (next.kind === 'list') stack.push(...next.items);
    if (next.kind === 'map') stack.push(...[...next.entries.values()].map(({ value }) => value));
  }
  return best;
}
