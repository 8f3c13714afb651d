/** Every kind of document, in the order of policy-v1 section 3. */

import { CALLER_METHOD } from './kinds-callers.ts';
import { CATALOG_KINDS, VALUE_KINDS } from './kinds-catalog.ts';
import { POLICY_KINDS } from './kinds-policy.ts';
import type { Kind, MapShape, Shape } from './shape.ts';

export const KIND_SHAPES: readonly Kind[] = [...CATALOG_KINDS, CALLER_METHOD, ...VALUE_KINDS, ...POLICY_KINDS];

/** Every map of a shape by its name, itself first, each once. */
export function mapsOf(shape: Shape): readonly MapShape[] {
  const found = new Map<string, MapShape>();
  const visit = (one: Shape): void => {
    if (one.is === 'list' || one.is === 'names') visit(one.of);
    if (one.is === 'either') for (const branch of one.of) visit(branch);
    if (one.is !== 'map' || found.has(one.name)) return;
    found.set(one.name, one);
    for (const field of Object.values(one.fields)) visit(field.shape);
  };
  visit(shape);
  return [...found.values()];
}
