/**
 * The fields of `principal` and `session`, each as conditions see it, and which of them some conditions may read. Spec:
 * policy-v1 section 7.1.
 */

import { Decimal } from '@sallyport/model';
import type { AttributeType, Principal } from '@sallyport/model';
import type { PolicyInput } from '../input.ts';
import { ORIGIN_FACTS, ORIGIN_FACT_NAMES } from '../session.ts';
import type { Noted } from './types.ts';

/** What fields are worked out from. */
export interface Given {
  readonly input: PolicyInput;
  readonly noted: Noted;
  readonly types: ReadonlyMap<string, AttributeType>;
}

/** Works out one field; `undefined` where it is not known. */
type FieldReader = (given: Given) => unknown;

/** The fields that some condition may read: every decision with a condition makes these, and most conditions read few. */
export interface Reads {
  readonly principal: readonly (readonly [name: string, read: FieldReader])[];
  readonly session: readonly (readonly [name: string, read: FieldReader])[];
}

const PRINCIPAL: Readonly<Record<string, FieldReader>> = {
  id: ({ input }) => input.principal.id,
  kind: ({ input }) => input.principal.kind,
  tenant: ({ input }) => input.principal.tenant,
  issuer: ({ input }) => input.principal.issuer,
  roles: ({ input }) => input.principal.roles,
  scopes: ({ input }) => input.principal.scopes,
  acr: ({ input }) => input.principal.acr,
  amr: ({ input }) => input.principal.amr ?? NONE,
  auth_age_s: ({ input }) => seconds(input.now - input.principal.authenticatedAt),
  attributes: ({ input, types }) => exactAttributes(input.principal.attributes, types),
};

const SESSION: Readonly<Record<string, FieldReader>> = {
  id: ({ input }) => input.session.id,
  case: ({ input }) => input.session.case,
  task: ({ input }) => input.session.task,
  step: ({ input }) => input.session.step,
  ...Object.fromEntries(
    ORIGIN_FACT_NAMES.map((name): [string, FieldReader] => [name, ({ input }) => input.session.origin?.[ORIGIN_FACTS[name]]]),
  ),
  root: ({ input }) => input.session.root,
  risk: ({ input }) => wholeOf(input.session.risk),
  age_s: ({ input: { session, now } }) => (session.startedAt === undefined ? undefined : seconds(now - session.startedAt)),
  attempted: ({ input }) => input.session.attempted,
  completed: ({ input }) => input.session.completed,
  failed: ({ input }) => input.session.failed,
  denied: ({ input }) => input.session.denied,
  classes: ({ input }) => input.session.classes,
  touched: ({ input, noted }) => notes(input.session, 'touched', noted.touched),
  remembered: ({ input, noted }) => notes(input.session, 'remembered', noted.remembered),
};

/**
 * What conditions of these texts may read: the fields whose names stand in one. A field cannot be reached otherwise but
 * by its name in quotes with escapes, so that a text with one may read all.
 */
export function readsOf(texts: readonly string[]): Reads {
  const words = new Set(texts.flatMap((text) => text.match(/[a-z_]+/g) ?? []));
  const isAny = texts.some((text) => text.includes('\\'));
  const read = (fields: Readonly<Record<string, FieldReader>>): Reads['session'] =>
    Object.entries(fields).filter(([name]) => isAny || words.has(name));
  return { principal: read(PRINCIPAL), session: read(SESSION) };
}

/** Of these names, those that a condition may read, by the rule of `readsOf`. */
export function namedIn(texts: readonly string[], names: readonly string[]): readonly string[] {
  if (names.length === 0) return NONE;
  if (texts.some((text) => text.includes('\\'))) return names;
  const words = new Set(texts.flatMap((text) => text.match(/[A-Za-z0-9_]+/g) ?? []));
  return names.filter((name) => words.has(name));
}

/** The fields that are known, by their names. */
export function valuesOf(fields: Reads['session'], given: Given): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [name, read] of fields) {
    const value = read(given);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

const NONE: readonly never[] = [];

/** Every declared name that is known: one under which nothing was noted is empty, one under which too much was is absent. */
function notes(
  session: PolicyInput['session'],
  kind: 'touched' | 'remembered',
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  const known: Record<string, readonly string[]> = {};
  for (const name of names) {
    const values = session.noted?.(kind, name);
    if (values !== undefined) known[name] = values;
  }
  return known;
}

/** A span in whole seconds; `undefined`, which no condition can compare, for one that is no number. */
function seconds(ms: number): bigint | undefined {
  return wholeOf(Math.floor(ms / 1_000));
}

/** A whole number as conditions have it; `undefined` for one that is none. */
function wholeOf(value: number | undefined): bigint | undefined {
  return Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
}

/**
 * A claim's number as its declared type, else as an int where it is whole and a decimal otherwise, so that it compares
 * exactly with amounts; others as they are.
 */
function exactAttributes(
  attributes: Principal['attributes'],
  types: ReadonlyMap<string, AttributeType>,
): Readonly<Record<string, unknown>> {
  let exact: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value !== 'number') continue;
    exact ??= { ...attributes };
    exact[name] = Number.isSafeInteger(value) && types.get(name) !== 'decimal' ? BigInt(value) : Decimal.parse(String(value));
  }
  return exact ?? attributes;
}
