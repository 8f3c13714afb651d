/**
 * What a rule demands of a call, judged one requirement after another in the order of the table in policy-v1 section 6.
 * An evaluation that fails is an unmet requirement, never a met one.
 */

import { localNameOf } from '@sallyport/model';
import type { DenialCode, Principal, RuleId } from '@sallyport/model';
import { judgedArguments } from '../check/narrow.ts';
import { programsOf } from '../compile/compile.ts';
import type { CompiledDemand, CompiledPolicy, CompiledPrecondition, CompiledRule, Entry } from '../compile/compile.ts';
import type { Circumstances, DemandField } from '../demand/demand.ts';
import { LIMIT_CODES, comparedForm, isKey, unfitLimit } from '../demand/limit.ts';
import type { LimitName } from '../demand/limit.ts';
import { CelFailure, loadProgram } from '../expression/cel.ts';
import type { Facts } from '../expression/cel.ts';
import { argumentNamesOf } from '../expression/expression.ts';
import type { Expression } from '../expression/expression.ts';
import type { Condition, Programs } from '../expression/programs.ts';
import type { PolicyInput } from '../input.ts';
import { factsOf } from './facts.ts';

/** Rows of the requirement table, in its order. */
export type Requirement = 'for' | 'scopes' | 'step' | 'bind' | 'arguments' | 'after' | 'when' | LimitName | DemandField;

/** The table: the order in which requirements answer, and with what. */
export const REQUIREMENTS: Readonly<Record<Requirement, { readonly row: number; readonly code: DenialCode }>> = {
  for: { row: 1, code: 'no_matching_policy' },
  scopes: { row: 2, code: 'insufficient_scope' },
  step: { row: 3, code: 'tool_step_mismatch' },
  task: { row: 4, code: 'out_of_task' },
  require_purpose: { row: 4, code: 'out_of_task' },
  delegation: { row: 5, code: 'delegation_not_allowed' },
  bind: { row: 6, code: 'resource_binding_mismatch' },
  arguments: { row: 7, code: 'parameter_not_allowed' },
  after: { row: 8, code: 'session_precondition_failed' },
  session: { row: 9, code: 'session_precondition_failed' },
  valid: { row: 10, code: 'no_matching_policy' },
  hours: { row: 11, code: 'no_matching_policy' },
  when: { row: 12, code: 'no_matching_policy' },
  isolation: { row: 13, code: 'obligation_unsupported' },
  justification: { row: 14, code: 'schema_violation' },
  risk: { row: 15, code: 'risk_too_high' },
  step_up: { row: 16, code: 'step_up_required' },
  reviewed: { row: 17, code: 'session_precondition_failed' },
  approval: { row: 18, code: 'requires_approval' },
  once: { row: 19, code: LIMIT_CODES.once },
  max: { row: 20, code: LIMIT_CODES.max },
  sequence: { row: 21, code: LIMIT_CODES.sequence },
  budget: { row: 22, code: LIMIT_CODES.budget },
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

  /** The call as one of a rule's demands sees it. */
  circumstances(demand: CompiledDemand): Circumstances {
    return {
      input: this.input,
      value: (text) => {
        const condition = demand.conditions.get(text);
        return condition === undefined ? new CelFailure('no condition of this demand') : this.value(condition);
      },
    };
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

/** Whether the rule is about this principal. An allow rule is about `anonymous` only where it says so. */
export function isFor({ rule, roles, tenants, principals }: CompiledRule, principal: Principal): boolean {
  if (principal.kind === 'anonymous' && rule.verb === 'allow' && principals?.has('anonymous') !== true) return false;
  if (roles !== undefined && !hasOneOf(principal.roles, roles)) return false;
  if (tenants !== undefined && !tenants.has(principal.tenant)) return false;
  return principals === undefined || principals.has(principal.kind === 'anonymous' ? 'anonymous' : principal.id);
}

/** Every decision comes by here, once for each rule: no closure. */
function hasOneOf(values: readonly string[], wanted: ReadonlySet<string>): boolean {
  for (const value of values) if (wanted.has(value)) return true;
  return false;
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
  let list: Unmet[] | undefined;
  const add = (more: Unmet): void => void (list ??= []).push(more);
  addUnmetScopes(call, compiled, add);
  for (const condition of compiled.bind) {
    const why = unless(call, condition);
    if (why !== undefined) add(unmet('bind', compiled, { subject: condition.text, detail: why, fields: call.argumentNames(condition) }));
  }
  if (compiled.narrow !== undefined) for (const more of unmetArguments(call, compiled, compiled.narrow)) add(more);
  for (const precondition of compiled.after) {
    const why = unlessCompleted(call, precondition);
    if (why !== undefined) add(unmet('after', compiled, { subject: precondition.tool, detail: why }));
  }
  if (rule.verb === 'allow' && isOfAnotherStep(call))
    add(
      unmet('step', compiled, {
        subject: 'session.step',
        detail: `the credential was issued for the step ${call.input.session.step ?? '-'}`,
      }),
    );
  if (compiled.when !== undefined && rule.verb === 'allow') {
    const why = unless(call, compiled.when);
    if (why !== undefined) add(unmet('when', compiled, { subject: compiled.when.text, detail: why }));
  }
  for (const demand of compiled.demands) {
    const lack = demand.judge(demand.value, call.circumstances(demand));
    if (lack !== undefined) add(unmet(demand.field, compiled, lack));
  }
  for (const limit of compiled.limits) {
    const unfit = unfitLimit(limit, (condition) => call.value(condition));
    if (unfit !== undefined) {
      const { text } = unfit.condition;
      add(
        unmet(limit.name, compiled, {
          subject: text,
          detail: `\`${text}\` ${describeFailure(unfit.found)}`,
          fields: call.argumentNames(unfit.condition),
        }),
      );
    }
  }
  return list;
}

/** Scopes that the principal lacks; of a delegated call they are what was handed on, and so is whether it may be one. */
function addUnmetScopes({ input: { principal, chain = NONE } }: Call, compiled: CompiledRule, add: (more: Unmet) => void): void {
  const { rule } = compiled;
  for (const scope of rule.scopes ?? NONE) {
    if (principal.scopes.includes(scope)) continue;
    if (chain.length === 0) add(unmet('scopes', compiled, { subject: scope, detail: `lacks scope ${scope}` }));
    else add(unmet('delegation', compiled, { subject: scope, detail: `scope ${scope} was not handed on` }));
  }
  // What was written without a thought of other agents is not for them.
  if (chain.length > 0 && rule.verb === 'allow' && rule.delegation?.depth === undefined)
    add(unmet('delegation', compiled, { subject: 'depth', detail: 'takes no call that came through another agent' }));
}

/** Whether the credential was issued for another step: it is good for no other, whatever else it holds. */
export function isOfAnotherStep({ input: { session }, entry: { tool } }: Call): boolean {
  const { step } = session;
  return step !== undefined && step !== tool.name && step !== localNameOf(tool.name);
}

const NONE: readonly never[] = [];

/** The condition of a rule that an unmet requirement names as its subject. */
export function conditionNamed({ bind, when, limits }: CompiledRule, text: string): Condition | undefined {
  const ofLimits = limits.flatMap((limit) =>
    limit.name === 'sequence' ? [] : [limit.per, limit.name === 'budget' ? limit.sum : undefined],
  );
  return [...bind, when, ...ofLimits].find((known) => known?.text === text);
}

/** Why a precondition does not hold; a value that cannot be had equals nothing. */
function unlessCompleted(call: Call, { tool, with: values }: CompiledPrecondition): string | undefined {
  const { session } = call.input;
  if (values === undefined) return session.hasCompleted(tool) ? undefined : `${tool} has not completed in this session`;
  const wanted: Record<string, string> = {};
  for (const [name, condition] of values) {
    const value = call.value(condition);
    if (!isKey(value)) return `\`${condition.text}\` ${describeFailure(value)}`;
    wanted[name] = comparedForm(value);
  }
  const names = values.map(([name, { text }]) => `${name} = ${text}`).join(', ');
  return session.hasCompletedWith?.(tool, wanted) === true ? undefined : `${tool} has not completed in this session with ${names}`;
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
