/**
 * What conditions see of a call: `principal`, `session`, `args` and the rest, as plain values of the types that were
 * checked at build. What is not known is absent, so that reading it fails. Spec: policy-v1 section 7.1.
 */

import { Decimal, hasAttributeType } from '@sallyport/model';
import type { AttributeType, Principal } from '@sallyport/model';
import type { Facts } from './cel.ts';
import { attributeTypesOf, environmentOf } from './compile.ts';
import type { CompiledPolicy, Entry } from './compile.ts';
import type { PolicyInput } from './decide.ts';

export function factsOf(input: PolicyInput, entry: Entry, policy: CompiledPolicy): Facts {
  return {
    args: input.args,
    principal: principalFacts(input, attributeTypesOf(policy)),
    session: sessionFacts(input, entry),
    env: environmentOf(policy),
    tool: entry.toolFacts,
    agent: entry.agentFacts,
    chain: input.chain ?? [],
  };
}

function principalFacts({ principal, now }: PolicyInput, types: ReadonlyMap<string, AttributeType>): Facts['principal'] {
  const { id, kind, tenant, issuer, roles, scopes } = principal;
  // Ages and lists are worked out when a condition asks: few do, and every decision with a condition comes by here.
  const facts: Record<string, unknown> = {
    id,
    kind,
    tenant,
    issuer,
    roles,
    scopes,
    amr: principal.amr ?? NONE,
    attributes: exactAttributes(principal.attributes, types),
    get auth_age_s() {
      return seconds(now - principal.authenticatedAt);
    },
  };
  if (principal.acr !== undefined) facts['acr'] = principal.acr;
  return facts;
}

const NONE: readonly never[] = [];

function sessionFacts({ session, now }: PolicyInput, { noted }: Entry): Facts['session'] {
  const { startedAt } = session;
  const facts: Record<string, unknown> = {
    id: session.id,
    get attempted() {
      return session.attempted;
    },
    get completed() {
      return session.completed;
    },
    get failed() {
      return session.failed;
    },
    get denied() {
      return session.denied;
    },
    get classes() {
      return session.classes;
    },
    get age_s() {
      return startedAt === undefined ? undefined : seconds(now - startedAt);
    },
  };
  for (const name of ['case', 'task', 'step', 'root'] as const) if (session[name] !== undefined) facts[name] = session[name];
  if (session.risk !== undefined) facts['risk'] = BigInt(session.risk);
  for (const kind of ['touched', 'remembered'] as const) if (noted[kind].length > 0) facts[kind] = notes(session, kind, noted[kind]);
  return facts;
}

/** Every declared name that is known: one under which nothing was noted is empty, one under which too much was is absent. */
function notes(
  session: PolicyInput['session'],
  kind: 'touched' | 'remembered',
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const values = session.noted?.(kind, name);
      return values === undefined ? [] : [[name, values]];
    }),
  );
}

/** A span in whole seconds; `undefined`, which no condition can compare, for one that is no number. */
function seconds(ms: number): bigint | undefined {
  return Number.isFinite(ms) ? BigInt(Math.floor(ms / 1_000)) : undefined;
}

/** An attribute that is not of its declared type: its session is older than the declaration. `undefined` where all are. */
export function unfitAttribute(policy: CompiledPolicy, { attributes }: Principal): string | undefined {
  for (const [name, type] of attributeTypesOf(policy))
    if (Object.hasOwn(attributes, name) && !hasAttributeType(attributes[name], type)) return name;
  return undefined;
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
