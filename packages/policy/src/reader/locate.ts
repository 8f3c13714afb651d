/** Where in a document something is: by steps, or by a path that another parser wrote. */

import type { Node, Place } from './node.ts';

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
