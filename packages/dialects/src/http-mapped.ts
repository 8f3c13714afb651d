/**
 * Calls of an ordinary HTTP API, by method and path: which tool a request is, and its arguments from path, query and
 * body. Text has one spelling for each typed value, and each argument one place; what is told twice or elsewhere is
 * refused. docs/spec/http-tools.md section 2.
 */

import { Bug, fail, ok, type HttpRoute, type Json, type Result, type ServerName } from '@sallyport/model';
import { formatPlace, judge, textKindOf } from '@sallyport/strict';
import type { Judged, ObjectType, QueryPair, SchemaType, Violation } from '@sallyport/strict';
import { membersOf } from './ask.ts';
import { hasQueryAlone, pathArguments } from './http-tools.ts';

/** One call of one tool, as its path spelled it. */
export interface MappedAsk {
  readonly server: ServerName;
  /** The tool's own half of its name; `undefined` where no route fits. */
  readonly tool: string | undefined;
  /** What the path says of its arguments, decoded. */
  readonly texts: ReadonlyMap<string, string>;
  readonly query: readonly QueryPair[];
  /** `undefined` without a body. */
  readonly body: Judged | undefined;
}

/**
 * The raw arguments of a mapped call as one document, each from the one place that the route gives it: what a schema then
 * validates. Text becomes what the schema's type says it is. Every violation at once.
 */
export function mappedArguments(ask: MappedAsk, route: HttpRoute, schema: ObjectType): Result<Judged, readonly Violation[]> {
  const members = ask.body === undefined ? {} : membersOf(ask.body);
  if (members === undefined) return fail([{ code: 'schema_violation', path: '', message: 'the body is not an object' }]);
  const misplaced = misplacedNames(ask, Object.keys(members), route);
  if (misplaced.length > 0) return fail(misplaced);

  const texts = new Map<string, readonly string[]>([...ask.texts].map(([name, text]) => [name, [text]]));
  for (const [name, text] of ask.query) texts.set(name, [...(texts.get(name) ?? []), text]);
  const violations: Violation[] = [];
  const written: string[] = [];
  for (const [name, values] of texts) {
    const json = jsonOf(values, schema.properties.get(name)?.type ?? schema.additional ?? TEXT);
    if (json.ok) written.push(`${JSON.stringify(name)}:${json.value}`);
    else violations.push(violation(name, json.error));
  }
  if (violations.length > 0) return fail(violations);
  const judged = judge(new TextEncoder().encode(`{${written.join(',')}}`));
  if (!judged.ok) throw new Bug('what was written from texts is one object');
  return ok(ask.body === undefined ? judged.value : joined(ask.body, judged.value));
}

/** What is told where the route does not look for it: one reader would take it, and another one the value of the right place. */
function misplacedNames({ query }: MappedAsk, members: readonly string[], route: HttpRoute): readonly Violation[] {
  const inPath = new Set(pathArguments(route));
  const inQuery = new Set(route.query ?? []);
  const isQueried = (name: string): boolean => !inPath.has(name) && (hasQueryAlone(route) || inQuery.has(name));
  return [
    ...query.filter(([name]) => !isQueried(name)).map(([name]) => misplaced(name, 'the query')),
    ...members.filter((name) => inPath.has(name) || inQuery.has(name)).map((name) => misplaced(name, 'the body')),
  ];
}

/** What the schema does not know is text, so that the schema itself refuses it. */
const TEXT: SchemaType = { kind: 'string' };
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/;
const DECIMAL = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
const MINUS_ZERO = /^-0(?:\.0*)?$/;

/** JSON of the texts of one name, or why there is none. */
function jsonOf(texts: readonly string[], type: SchemaType): Result<string, string> {
  if (type.kind === 'list') {
    const items = texts.map((text) => scalarJson(text, type.element));
    const failed = items.find((item) => !item.ok);
    return failed ?? ok(`[${items.map((item) => (item.ok ? item.value : '')).join(',')}]`);
  }
  const [text = '', ...others] = texts;
  return others.length === 0 ? scalarJson(text, type) : fail('stands more than once');
}

/** One spelling for each value: what another reader of the same text could take for another value is refused. */
function scalarJson(text: string, type: SchemaType): Result<string, string> {
  switch (textKindOf(type)) {
    case 'string':
      return ok(JSON.stringify(text));
    case 'boolean':
      return text === 'true' || text === 'false' ? ok(text) : fail('is neither `true` nor `false`');
    case 'integer':
      return INTEGER.test(text) ? ok(text) : fail('is not a whole number in digits alone');
    case 'decimal':
    case 'double':
      return DECIMAL.test(text) && !MINUS_ZERO.test(text) ? ok(text) : fail('is not a number in digits and at most one point');
    case undefined:
      return fail('cannot be told by text');
  }
}

/** The members of both as one document; no name is in both. */
function joined(body: Judged, texts: Judged): Judged {
  const [members, told] = [body.tree as Readonly<Record<string, Json>>, texts.tree as Readonly<Record<string, Json>>];
  const tree = Object.fromEntries([...Object.entries(members), ...Object.entries(told)]);
  return {
    tree,
    numberText: (holder, key) => {
      if (holder !== tree) return body.numberText(holder, key) ?? texts.numberText(holder, key);
      return Object.hasOwn(told, key) ? texts.numberText(told, key) : body.numberText(members, key);
    },
    at: (...steps) => (steps.length === 0 ? joined(body, texts) : (texts.at(...steps) ?? body.at(...steps))),
  };
}

function violation(name: string, message: string): Violation {
  return { code: 'schema_violation', path: formatPlace([name]), message };
}

function misplaced(name: string, place: string): Violation {
  return { code: 'field_not_allowed', path: formatPlace([name]), message: `has no place in ${place}` };
}
