/** References inside a schema: where they lead, and whether they ever arrive. */

import type { Json, JsonObject } from '@sallyport/model';
import type { Step } from './place.ts';
import type { SchemaCell } from './schema-node.ts';

/** Follows a local reference, a JSON pointer (RFC 6901) after `#`; `undefined` where it leads nowhere. */
export function resolveReference(
  root: JsonObject,
  reference: string,
): { readonly schema: Json; readonly steps: readonly Step[] } | undefined {
  if (reference !== '#' && !reference.startsWith('#/')) return undefined;
  const steps = reference
    .slice(2)
    .split('/')
    .filter((_, i) => reference !== '#' || i > 0)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  let schema: Json = root;
  for (const step of steps) {
    if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, step)) return undefined;
    schema = (schema as JsonObject)[step] as Json;
  }
  return { schema, steps };
}

/** Whether some reference comes back to itself without going into a value: reading it would never end. */
export function hasEndlessReference(cells: Iterable<SchemaCell>): boolean {
  const finished = new Set<SchemaCell>();
  const open = new Set<SchemaCell>();
  const isEndless = (cell: SchemaCell): boolean => {
    if (open.has(cell)) return true;
    if (finished.has(cell)) return false;
    open.add(cell);
    const { node } = cell;
    const targets = node?.kind === 'reference' ? [node.target] : node?.kind === 'any_of' ? node.branches : [];
    const result = targets.some(isEndless);
    open.delete(cell);
    finished.add(cell);
    return result;
  };
  for (const cell of cells) if (isEndless(cell)) return true;
  return false;
}
