/** The keys of a configuration schema, flat: what the environment, the flags and the reference page are derived from. */

import * as z from 'zod/mini';
import { invariant } from '@sallyport/model';
import { type Field, type FieldNotes, fieldNotes } from './config-fields.ts';

/** The JSON Schema of one key or section, as far as this package reads it. */
export interface SchemaNode extends Partial<FieldNotes> {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly default?: unknown;
  readonly items?: SchemaNode;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
}

/** One key that holds a value (not a section). */
export interface ConfigKey {
  /** `limits.body_bytes_max`; `servers[].url` inside a list. */
  readonly path: string;
  /** `undefined` inside a list: a list is set whole. */
  readonly environment: string | undefined;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

/** The JSON Schema (2020-12) of what the file may hold. */
export function schemaTree(schema: Field<unknown>): SchemaNode {
  return z.toJSONSchema(schema, { io: 'input', metadata: fieldNotes, unrepresentable: 'any' }) as SchemaNode;
}

/** `limits.body_bytes_max` -> `SALLYPORT_LIMITS_BODY_BYTES_MAX`. */
export function environmentName(path: string): string {
  return `SALLYPORT_${path.toUpperCase().replaceAll('.', '_')}`;
}

/** Every key in the order of the schema. Two whose environment names would be the same are a Bug of the schema. */
export function configKeys(tree: SchemaNode): readonly ConfigKey[] {
  const keys = [...walk(tree, '', false)];
  const names = keys.flatMap((key) => key.environment ?? []);
  invariant(new Set(names).size === names.length, 'two keys of a configuration share an environment name');
  return keys;
}

function* walk(node: SchemaNode, path: string, isInList: boolean): Generator<ConfigKey> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`;
    if (child.properties !== undefined) {
      yield* walk(child, here, isInList);
      continue;
    }
    const isRequired = node.required?.includes(name) === true;
    yield { path: here, environment: isInList ? undefined : environmentName(here), node: child, isRequired };
    if (child.items?.properties !== undefined) yield* walk(child.items, `${here}[]`, true);
  }
}

/** The node at a path of the value, or `undefined` where the schema has none. */
export function nodeAt(tree: SchemaNode, path: readonly PropertyKey[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = tree;
  for (const step of path) node = typeof step === 'number' ? node?.items : node?.properties?.[String(step)];
  return node;
}
