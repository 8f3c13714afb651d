/**
 * What a rule demands of a call, judged one requirement after another in the order of the table in policy-v1 section 6.
 * An evaluation that fails is an unmet requirement, never a met one.
 */

import type { AttributeType, DenialCode, Principal, RuleId } from '@sallyport/model';
import { Decimal, hasAttributeType } from '@sallyport/model';
import { CelFailure, loadProgram } from './cel.ts';
import type { Facts } from './cel.ts';
import { attributeTypesOf, environmentOf, programsOf } from './compile.ts';
import type { CompiledPolicy, CompiledRule, Entry } from './compile.ts';
import type { PolicyInput } from './decide.ts';
import { argumentNamesOf } from './expression.ts';
import type { Expression } from './expression.ts';
import { judgedArguments } from './narrow.ts';
import type { Condition, Programs } from './programs.ts';

/** Rows of the requirement table, in its order. */
export type Requirement = 'for' | 'scopes' | 'bind' | 'arguments' | 'after' | 'when' | 'once';

/** The table: the order in which requirements answer, and with what. */
export const REQUIREMENTS: Readonly<Record<Requirement, { readonly row: number; readonly code: DenialCode }>> = {
  for: { row: 1, code: 'no_matching_policy' },
  scopes: { row: 2, code: 'insufficient_scope' },
  bind: { row: 3, code: 'resource_binding_mismatch' },
  arguments: { row: 4, code: 'parameter_not_allowed' },
  after: { row: 5, code: 'session_precondition_failed' },
  when: { row: 6, code: 'no_matching_policy' },
  once: { row: 7, code: 'call_limit_exceeded' },
};

/** One requirement that does not hold. */
export interface Unmet {
  readonly requirement: Requirement;
  readonly code: DenialCode;
  readonly ruleId: RuleId;
  /** The expression, scope, tool or argument at fault. */
  readonly subject: string;
  /** What was wanted and what was found; for the record and the log, never for the caller. */
  readonly detail: string;
  /** Arguments at fault, by path; public. */
  readonly fields?: readonly string[];
}

/** One call being judged: the input, and what conditions see of it, made when the first condition asks. */
export class Call {
  readonly input: PolicyInput;
  readonly entry: Entry;
  readonly #policy: CompiledPolicy;
  readonly #programs: Programs;
  /** Written by `facts` alone. */
  #facts: Facts | undefined;

  constructor(policy: CompiledPolicy, input: PolicyInput, entry: Entry) {
    this.input = input;
    this.entry = entry;
    this.#policy = policy;
    this.#programs = programsOf(policy);
  }

  get facts(): Facts {
    return (this.#facts ??= factsOf(this.input, this.entry, this.#policy));
  }

  value(condition: Condition): unknown {
    return this.#programs.run(condition, this.facts);
  }

  argumentNames(condition: Condition): readonly string[] {
    return argumentNamesOf(this.expression(condition));
  }

  /** The condition as a tree; for explanations. */
  expression(condition: Condition): Expression {
    return this.#programs.program(condition).expression;
  }

  /** The value of any expression over the same facts; for explanations. */
  look(text: string): unknown {
    const loaded = loadProgram(text);
    return loaded.ok ? loaded.value.run(this.facts) : new CelFailure('not an expression by itself');
  }
}

function factsOf({ principal, args, session }: PolicyInput, entry: Entry, policy: CompiledPolicy): Facts {
  // Read when a condition asks: few do, and a long session's lists are long.
  const seen: { id: string; attempted: unknown; completed: unknown; failed: unknown; denied: unknown; case?: string } = {
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
  };
  if (session.case !== undefined) seen.case = session.case;
  return {
    args,
    principal: {
      id: principal.id,
      kind: principal.kind,
      tenant: principal.tenant,
      issuer: principal.issuer,
      roles: principal.roles,
      scopes: principal.scopes,
      attributes: exactAttributes(principal.attributes, attributeTypesOf(policy)),
    },
    session: seen,
    env: environmentOf(policy),
    tool: entry.toolFacts,
    agent: entry.agentFacts,
    chain: [],
  };
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

/** Whether the rule is about this principal. An allow rule is about `anonymous` only where it says so. */
export function isFor({ rule, roles, tenants, principals }: CompiledRule, principal: Principal): boolean {
  if (principal.kind === 'anonymous' && rule.verb === 'allow' && principals?.has('anonymous') !== true) return false;
  if (roles !== undefined && !principal.roles.some((role) => roles.has(role))) return false;
  if (tenants !== undefined && !tenants.has(principal.tenant)) return false;
  return principals === undefined || principals.has(principal.kind === 'anonymous' ? 'anonymous' : principal.id);
}

/** Why the rule is not about this principal; `undefined` where it is. */
export function unmetFor(compiled: CompiledRule, principal: Principal): Unmet | undefined {
  if (isFor(compiled, principal)) return undefined;
  const wanted = Object.entries(compiled.rule.for ?? {}).map(([key, names]: [string, readonly string[]]) => `${key} ${names.join(' or ')}`);
  const found = `principal ${principal.id} (${principal.kind}), tenant ${principal.tenant}, roles ${principal.roles.join(', ') || 'none'}`;
  return unmet('for', compiled, { subject: 'for', detail: `wants ${wanted.join(', ') || 'a signed-in principal'}; found ${found}` });
}

/** Every requirement of an allow or require rule that the call does not meet, in table order; `when` of an allow rule is one. */
export function unmetOf(call: Call, compiled: CompiledRule): readonly Unmet[] | undefined {
  const { rule } = compiled;
  const { principal, session } = call.input;
  let list: Unmet[] | undefined;
  const add = (more: Unmet): void => void (list ??= []).push(more);
  for (const scope of rule.scopes ?? NONE) {
    if (!principal.scopes.includes(scope)) add(unmet('scopes', compiled, { subject: scope, detail: `lacks scope ${scope}` }));
  }
  for (const condition of compiled.bind) {
    const why = unless(call, condition);
    if (why !== undefined) add(unmet('bind', compiled, { subject: condition.text, detail: why, fields: call.argumentNames(condition) }));
  }
  if (compiled.narrow !== undefined) for (const more of unmetArguments(call, compiled, compiled.narrow)) add(more);
  for (const tool of rule.after ?? NONE) {
    if (!session.hasCompleted(tool)) add(unmet('after', compiled, { subject: tool, detail: `${tool} has not completed in this session` }));
  }
  if (compiled.when !== undefined && rule.verb === 'allow') {
    const why = unless(call, compiled.when);
    if (why !== undefined) add(unmet('when', compiled, { subject: compiled.when.text, detail: why }));
  }
  if (compiled.per !== undefined) {
    const value = call.value(compiled.per);
    if (!isKey(value))
      add(unmet('once', compiled, { subject: compiled.per.text, detail: `\`${compiled.per.text}\` ${describeFailure(value)}` }));
  }
  return list;
}

const NONE: readonly never[] = [];

/** Whether a value can be counted by. */
export function isKey(value: unknown): value is string | boolean | bigint | Decimal {
  return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint' || value instanceof Decimal;
}

/** Why a condition is not true; `undefined` where it is exactly `true`. */
export function unless(call: Call, condition: Condition): string | undefined {
  const value = call.value(condition);
  return value === true ? undefined : `\`${condition.text}\` ${value === false ? 'is false' : describeFailure(value)}`;
}

function describeFailure(value: unknown): string {
  return value instanceof CelFailure ? `could not be evaluated: ${value.reason}` : `yielded ${typeof value}`;
}

function unmetArguments(call: Call, compiled: CompiledRule, narrow: NonNullable<CompiledRule['narrow']>): readonly Unmet[] {
  const schema = narrow.schemas.get(call.entry.tool.name);
  const result = schema?.validate(judgedArguments(call.input.args, narrow.names));
  if (result?.ok === true) return NONE;
  if (result === undefined) return [unmet('arguments', compiled, { subject: 'arguments', detail: 'no schema for this tool' })];
  return result.error.map(({ path, message }) =>
    unmet('arguments', compiled, { subject: path, detail: `${path}: ${message}`, fields: [path] }),
  );
}

export function unmet(requirement: Requirement, { rule }: CompiledRule, more: Pick<Unmet, 'subject' | 'detail' | 'fields'>): Unmet {
  return { requirement, code: REQUIREMENTS[requirement].code, ruleId: rule.id, ...more };
}
