/** What the example policy writes for each field, found by walking documents and shapes together. */

import { Bug } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import { Problems, jsonOfNode } from '../reader/node.ts';
import { readYaml } from '../reader/yaml.ts';
import { EXAMPLE } from './example.ts';
import { KIND_SHAPES } from './kinds.ts';
import type { Field, Shape } from './shape.ts';

export interface Examples {
  /** The first value of a field; by the field itself. */
  readonly values: ReadonlyMap<Field, Json>;
  /** The first document of a kind. */
  readonly documents: ReadonlyMap<string, JsonObject>;
}

export function examplesOf(text: string = EXAMPLE): Examples {
  const problems = new Problems();
  const values = new Map<Field, Json>();
  const documents = new Map<string, JsonObject>();
  for (const { root } of readYaml('example.yaml', text, problems)) {
    const document = jsonOfNode(root) as JsonObject;
    const kind = KIND_SHAPES.find(({ name }) => name === document['kind']);
    if (kind === undefined) throw new Bug('the example holds a document of no kind');
    if (!documents.has(kind.name)) documents.set(kind.name, document);
    collect(kind.shape, document, values);
  }
  if (problems.count > 0) throw new Bug(`the example is not YAML: ${problems.sorted()[0]?.message ?? ''}`);
  return { values, documents };
}

function collect(shape: Shape, value: Json, values: Map<Field, Json>): void {
  if (shape.is === 'list' && isList(value)) for (const item of value) collect(shape.of, item, values);
  if (shape.is === 'names' && isMap(value)) for (const item of Object.values(value)) collect(shape.of, item, values);
  if (shape.is === 'either') for (const branch of shape.of) collect(branch, value, values);
  if (shape.is !== 'map' || !isMap(value)) return;
  for (const [name, field] of Object.entries(shape.fields)) {
    const found = Object.hasOwn(value, name) ? value[name] : undefined;
    if (found === undefined) continue;
    if (!values.has(field)) values.set(field, found);
    collect(field.shape, found, values);
  }
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function isMap(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as one line of YAML, read back as the same value. */
export function flowOf(value: Json): string {
  if (typeof value === 'string') return isPlain(value) ? value : JSON.stringify(value);
  if (isList(value)) return `[${value.map(flowOf).join(', ')}]`;
  if (!isMap(value)) return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, member]) => `${flowOf(name)}: ${flowOf(member)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

/** Text that no reader of YAML takes for anything else. */
function isPlain(text: string): boolean {
  if (/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text)) return false;
  return /^(?:[A-Za-z/][A-Za-z0-9_./*()&|=<>+ -]*[A-Za-z0-9_*).]|[A-Za-z]|[0-9]+[smhd])$/.test(text);
}
