/** Static types of a compiled schema, for compilers of expressions over arguments. */

import type { ObjectType, PropertyType, SchemaType } from './schema.ts';
import type { ObjectRules, SchemaCell, SchemaNode, TypeRules, ValueList } from './schema-node.ts';

/**
 * The type of what a schema accepts. Parts that are referred to more than once are one object, so the result is no larger
 * than the schema; where a schema holds itself, the inner occurrence is `any`.
 */
export function typeOfSchema(root: SchemaCell): SchemaType {
  const known = new Map<SchemaCell, SchemaType>();
  const typeOf = (cell: SchemaCell): SchemaType => {
    const done = known.get(cell);
    if (done !== undefined) return done;
    known.set(cell, ANY);
    const type = cell.node === undefined ? ANY : typeOfNode(cell.node, typeOf);
    known.set(cell, type);
    return type;
  };
  return typeOf(root);
}

const ANY: SchemaType = { kind: 'any' };

function typeOfNode(node: SchemaNode, typeOf: (cell: SchemaCell) => SchemaType): SchemaType {
  switch (node.kind) {
    case 'any':
      return ANY;
    case 'reference':
      return typeOf(node.target);
    case 'any_of':
      return unionOf(node.branches.map(typeOf));
    case 'typed':
      return unionOf(typesOfRules(node.rules, node.values, typeOf));
  }
}

function typesOfRules(rules: TypeRules, values: ValueList | undefined, typeOf: (cell: SchemaCell) => SchemaType): SchemaType[] {
  const types: SchemaType[] = [];
  if (rules.null) types.push({ kind: 'null' });
  if (rules.boolean) types.push({ kind: 'boolean' });
  if (rules.string) types.push(values?.strings === undefined ? { kind: 'string' } : { kind: 'string', values: values.strings });
  if (rules.number) types.push({ kind: rules.number.reading });
  if (rules.array) {
    const { items, countMax } = rules.array;
    types.push({ kind: 'list', element: typeOf(items), ...(Number.isFinite(countMax) ? { countMax } : {}) });
  }
  if (rules.object) types.push(typeOfObject(rules.object, typeOf));
  return types;
}

function typeOfObject(rules: ObjectRules, typeOf: (cell: SchemaCell) => SchemaType): ObjectType {
  const properties = new Map<string, PropertyType>();
  for (const [name, cell] of rules.properties) properties.set(name, { type: typeOf(cell), isRequired: rules.required.includes(name) });
  return { kind: 'object', properties, additional: rules.additional === undefined ? undefined : typeOf(rules.additional) };
}

function unionOf(members: readonly SchemaType[]): SchemaType {
  const [only] = members;
  if (only === undefined || members.some((member) => member.kind === 'any')) return ANY;
  return members.length === 1 ? only : { kind: 'union', members };
}
