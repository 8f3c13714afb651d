/**
 * Recorded decisions against another policy. A record holds no arguments, roles or scopes, so that the answer is often
 * that it cannot be told, and what was missing; never a guess. Each call is judged by itself: that an earlier one would
 * have gone otherwise changes nothing here. Spec: policy-lab section 4.
 */

import type { Digest, Json, ToolName } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import { encodeEnvironmentValue } from '../check/environment.ts';
import { attributeTypesOf, entryOf, environmentOf, programsOf } from '../compile/compile.ts';
import type { CompiledPolicy, CompiledRule, Entry } from '../compile/compile.ts';
import type { Requirement } from '../decide/requirements.ts';
import { demandsOf } from '../demand/demands.ts';
import { CelFailure, loadProgram } from '../expression/cel.ts';
import type { Facts } from '../expression/cel.ts';
import { partsOf, pathOf, readsOf } from '../expression/expression.ts';
import type { Expression } from '../expression/expression.ts';
import { encodeTool } from '../grammar/catalog.ts';
import { LIMIT_ROWS, atomsOf } from './atoms.ts';
import type { Atom } from './atoms.ts';
import { NOTHING_KNOWN, knowledgeOf, refusalKey, unmetKey } from './knowledge.ts';
import type { Knowledge } from './knowledge.ts';
import type { RecordedCall } from './recorded.ts';
import { CLOSED, notesOfAll, routesBeside, ruleText, sliceOf } from './slice.ts';
import { all, any, not } from './tri.ts';
import type { Tri } from './tri.ts';

/** `elsewhere`: another gate than policy's answered, or no tool was called; a policy has no say in it. */
export type Verdict = 'same' | 'flipped' | 'undecidable' | 'elsewhere';

export interface Replayed {
  readonly verdict: Verdict;
  /** What the candidate answers; absent where it cannot be told. */
  readonly now?: 'allow' | 'deny';
  /** What would have to be known, by what conditions call it where they do; empty unless undecidable. */
  readonly missing: readonly string[];
}

/** A policy that records name, and what it was. */
export interface KnownPolicy {
  readonly digest: Digest;
  readonly policy: CompiledPolicy;
}

export interface ReplayOptions {
  readonly candidate: CompiledPolicy;
  /** Of a candidate that was built, so that its own records are known by their digest. */
  readonly digest?: Digest;
  /** The policies that made the records; what a decision tells follows only from the one that made it. */
  readonly known: readonly KnownPolicy[];
}

/** Gates whose answer follows from the policy. */
const GATES: ReadonlySet<string> = new Set(['tool', 'validation', 'authorization', 'reservation']);

export function replayer({ candidate, digest, known }: ReplayOptions): (call: RecordedCall) => Replayed {
  const policies = new Map<string, CompiledPolicy>(known.map((one) => [one.digest, one.policy]));
  if (digest !== undefined) policies.set(digest, candidate);
  /** Slices and contexts are the same for all calls of a tool; written by `cached` alone. */
  const texts = new Map<string, string>();
  const cached = (key: string, make: () => string): string => {
    const text = texts.get(key) ?? make();
    texts.set(key, text);
    return text;
  };
  return (call) => {
    const { agent, tool, policyDigest } = call;
    if (!GATES.has(call.gate) || tool === '-' || call.ruleId.startsWith('local:')) return { verdict: 'elsewhere', missing: [] };
    const name = tool as ToolName;
    const recorded = policyDigest === null ? undefined : policies.get(policyDigest);
    // Of an agent that neither policy has, this one says nothing.
    if (candidate.agent(agent) === undefined && recorded?.agent(agent) === undefined) return { verdict: 'elsewhere', missing: [] };
    // Names that callers made up are not remembered.
    if (candidate.tool(name) === undefined) return answer(call, false);
    const slice = cached(`slice ${agent} ${tool}`, () => sliceOf(candidate, agent, name));
    if (slice === CLOSED) return answer(call, false);
    if (recorded === undefined) return answer(call, new Replay(candidate, call, NOTHING_KNOWN).answer(undefined));
    if (cached(`slice ${policyDigest} ${agent} ${tool}`, () => sliceOf(recorded, agent, name)) === slice)
      return { verdict: 'same', now: call.decision, missing: [] };
    const context = cached(`context ${agent} ${tool}`, () => contextOf(candidate, call));
    const isAlike = cached(`context ${policyDigest} ${agent} ${tool}`, () => contextOf(recorded, call)) === context;
    const isSchemaSame = schemaOf(candidate, name) === schemaOf(recorded, name);
    const learned = knowledgeOf(call, recorded);
    const replay = new Replay(candidate, call, isAlike ? learned : ofCallerAlone(learned));
    return answer(call, replay.answer(isSchemaSame ? learned.isFit : undefined));
  };
}

function answer({ decision }: RecordedCall, allows: Tri): Replayed {
  if (typeof allows !== 'boolean') return { verdict: 'undecidable', missing: allows };
  const now = allows ? 'allow' : 'deny';
  return { verdict: now === decision ? 'same' : 'flipped', now, missing: [] };
}

/** What the meaning of a condition depends on besides its text. */
function contextOf(policy: CompiledPolicy, { agent, tool }: RecordedCall): string {
  const entry = entryOf(policy, agent, tool as ToolName);
  const { environment } = policy.parts;
  const known = entry === undefined ? {} : (encodeTool(entry.tool) as Readonly<Record<string, Json>>);
  const { description: _description, deny_as: _denyAs, ...meaning } = known;
  return canonicalJson({
    tool: meaning,
    agent: (entry?.agentFacts.enforced ?? {}) as Json,
    environment: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, encodeEnvironmentValue(value)])),
    attributes: Object.fromEntries(attributeTypesOf(policy)),
    notes: notesOfAll(policy),
    countsSteps: entry?.countsSteps ?? false,
  });
}

/** Everything that the arguments are judged by before rules are asked. */
function schemaOf(policy: CompiledPolicy, name: ToolName): string {
  const tool = policy.tool(name);
  if (tool === undefined) return '';
  const known = Object.entries(encodeTool(tool) as Readonly<Record<string, Json>>).filter(([key]) => !BESIDE_ARGUMENTS.has(key));
  return canonicalJson([Object.fromEntries(known), routesBeside(policy, name)]);
}

/** Fields of a tool that no argument is judged by; a field that is to come counts until it is named here. */
const BESIDE_ARGUMENTS: ReadonlySet<string> = new Set(['description', 'deny_as', 'effect', 'classes', 'touches', 'remember']);

/** Of what was learned, what means the same whatever tools and values are: who called, and with which credential. */
function ofCallerAlone({ holds, isInStep }: Knowledge): Knowledge {
  const kept = [...holds].filter(([key]) => /^(?:unmet )?(?:for|scopes|task|isolation)\.|^row (?:for|scopes|task|isolation) /.test(key));
  return { ...NOTHING_KNOWN, holds: new Map(kept), isInStep };
}

const WITHOUT_LIMITS = (row: Requirement): boolean => !LIMIT_ROWS.has(row);

/** What a record calls the one who did not say who they are. */
const NOBODY = 'anonymous';

class Replay {
  readonly #policy: CompiledPolicy;
  readonly #call: RecordedCall;
  readonly #known: Knowledge;

  constructor(policy: CompiledPolicy, call: RecordedCall, known: Knowledge) {
    this.#policy = policy;
    this.#call = call;
    this.#known = known;
  }

  /** Whether the candidate allows the call; `isFit` whether its arguments fit the candidate's schema, where that is known. */
  answer(isFit: boolean | undefined): Tri {
    const entry = entryOf(this.#policy, this.#call.agent, this.#call.tool as ToolName);
    if (entry === undefined) return false;
    const passes = [
      any(entry.allows.map((compiled, index) => this.#answers(compiled, entry, index))),
      ...entry.denies.map((compiled) => not(this.#denies(compiled))),
      ...entry.requires.map((compiled) => this.#content(compiled)),
      isFit ?? this.#fits(entry),
      this.#step(),
      this.#attributes(),
    ];
    return all(passes);
  }

  #fits({ tool }: Entry): Tri {
    const { properties } = tool.arguments;
    // A tool without arguments takes none; a call that was allowed may have had some, under another schema.
    const names = typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
    return names.length === 0 ? ['args'] : names.map((name) => `args.${name}`).toSorted();
  }

  /** A credential issued for one step: no rule says so, so that no policy changes it. */
  #step(): Tri {
    const { decision, code } = this.#call;
    if (decision === 'allow' || this.#known.isInStep) return true;
    return code === 'tool_step_mismatch' ? false : ['session.step'];
  }

  #attributes(): Tri {
    if (attributeTypesOf(this.#policy).size === 0 || this.#known.isTyped) return true;
    return ['principal.attributes'];
  }

  #denies(compiled: CompiledRule): Tri {
    const known = this.#known.holds.get(refusalKey(ruleText(compiled.rule)));
    if (known !== undefined) return known;
    return all([this.#isFor(compiled), this.#applies(compiled)]);
  }

  /** The first rule that is met answers: where its limit is used up, no later one is asked. */
  #answers(compiled: CompiledRule, entry: Entry, index: number): Tri {
    const before = compiled.limits.length === 0 ? [] : entry.allows.slice(0, index).filter(({ limits }) => limits.length > 0);
    return all([
      this.#grants(compiled, entry),
      ...before.map((one) => any([this.#grants(one, entry), not(all([this.#isFor(one), ...this.#demands(one, WITHOUT_LIMITS)]))])),
    ]);
  }

  #grants(compiled: CompiledRule, { requires, handingOn }: Entry): Tri {
    const { rule } = compiled;
    if (handingOn !== undefined && handingOn.relation === undefined) return false;
    // What does not say how deep is for no call that came through another agent.
    if (this.#call.isDelegated === true && rule.delegation?.depth === undefined) return false;
    const { withoutGrant, requires: were } = this.#known;
    const texts = new Set(requires.map((one) => ruleText(one.rule)));
    // What did not grant under these very require rules does not grant under more of them.
    if (withoutGrant.has(ruleText(rule)) && [...were].every((text) => texts.has(text))) return false;
    return all([this.#isFor(compiled), ...this.#demands(compiled)]);
  }

  /** Whether a require rule has nothing against the call. */
  #content(compiled: CompiledRule): Tri {
    const known = this.#known.holds.get(refusalKey(ruleText(compiled.rule)));
    if (known !== undefined) return !known;
    const applies = all([this.#isFor(compiled), this.#applies(compiled)]);
    return any([not(applies), all([this.#guard(compiled), ...this.#demands(compiled)])]);
  }

  /** Of a denial or a requirement: its condition is not false. */
  #applies({ rule }: CompiledRule): Tri {
    if (rule.when === undefined) return true;
    const value = this.#condition(rule.when, 'when');
    return value === 'fails' ? true : value;
  }

  /** Of a requirement: one whose condition fails applies, and is not met. */
  #guard({ rule }: CompiledRule): Tri {
    if (rule.when === undefined) return true;
    return this.#condition(rule.when, 'when') !== 'fails';
  }

  #isFor({ rule }: CompiledRule): Tri {
    const { rows, atoms } = atomsOf(rule);
    const { principal } = this.#call;
    const whole = this.#known.holds.get(rows.get('for') ?? '');
    if (whole !== undefined) return whole;
    const lists = atoms.filter(({ requirement }) => requirement === 'for');
    const isNamed = rule.for?.principals?.includes(NOBODY) === true;
    // Only a rule that names nobody is for nobody; somebody who is called so is for neither.
    const somebody: Tri = rule.verb !== 'allow' || isNamed || (principal !== undefined && principal !== NOBODY) ? true : ['principal.kind'];
    return all([somebody, ...lists.map((atom) => this.#atom(atom))]);
  }

  #demands({ rule }: CompiledRule, isAsked: (row: Requirement) => boolean = () => true): readonly Tri[] {
    const { atoms, rows } = atomsOf(rule);
    const asked = (row: Requirement): boolean => row !== 'for' && !(row === 'when' && rule.verb !== 'allow') && isAsked(row);
    if ([...rows].some(([row, key]) => asked(row) && this.#known.holds.get(key) === false)) return [false];
    return atoms
      .filter(({ requirement }) => asked(requirement))
      .map((atom) => (this.#known.holds.get(unmetKey(atom.key)) === true ? false : this.#atom(atom, rule)));
  }

  #atom(atom: Atom, rule?: CompiledRule['rule']): Tri {
    const { requirement, part, value } = atom;
    const known = this.#known.holds.get(atom.key);
    if (known !== undefined) return known;
    const { principal, tenant, session } = this.#call;
    const among = (one: string | undefined, name: string, wanted = value as readonly string[]): Tri =>
      one === undefined ? [name] : wanted.includes(one);
    if (requirement === 'for') {
      if (part === 'principals') return among(principal, 'principal.id');
      return part === 'tenants' ? among(tenant, 'principal.tenant') : ['principal.roles'];
    }
    if (requirement === 'isolation') return value === 'advisory' ? true : among(this.#call.isolation, 'agent.isolation', ['enforced']);
    if (requirement === 'bind' || requirement === 'when') {
      const met = this.#condition(value as string, requirement);
      return met === 'fails' ? false : met;
    }
    if (requirement === 'arguments') return [`args.${part}`];
    if (requirement === 'after') {
      if (typeof value !== 'string') return ['arguments of earlier calls'];
      return session.completed.has(value) ? true : session.isWhole ? false : ['session.completed'];
    }
    return requirement === 'valid' || requirement === 'hours' ? this.#moment(requirement, rule) : [INPUTS[requirement] ?? requirement];
  }

  /** By the moment of the record alone. */
  #moment(field: 'valid' | 'hours', rule: CompiledRule['rule'] | undefined): Tri {
    const demand = rule === undefined ? undefined : demandsOf(rule).find((one) => one.field === field);
    if (demand === undefined) return ['now'];
    const input = { now: this.#call.at } as Parameters<typeof demand.judge>[1]['input'];
    return demand.judge(demand.value, { input, value: () => new CelFailure('no condition') }) === undefined;
  }

  /** Only what reads nothing but what is recorded is evaluated; of a conjunction or a choice, as much as is needed. */
  #condition(text: string, requirement: 'bind' | 'when'): Tri | 'fails' {
    const known = this.#known.holds.get(`${requirement}. ${JSON.stringify(text)}`);
    if (known !== undefined) return known;
    const loaded = loadProgram(text);
    return loaded.ok ? this.#expression(loaded.value.expression, text) : 'fails';
  }

  #expression(expression: Expression, text: string): Tri | 'fails' {
    const missing = readIn(expression).filter((path) => !isRecorded(path, this.#call));
    if (missing.length === 0) {
      const programs = programsOf(this.#policy);
      const value = programs.run(programs.condition(text.slice(expression.start, expression.end)), this.#facts());
      return typeof value === 'boolean' ? value : 'fails';
    }
    if (expression.kind === 'and' || expression.kind === 'or') {
      const decided = expression.kind === 'or';
      if ([expression.left, expression.right].some((part) => this.#expression(part, text) === decided)) return decided;
    }
    return [...new Set(missing)].toSorted();
  }

  #facts(): Facts {
    const { agent, tool, principal, tenant } = this.#call;
    const entry = entryOf(this.#policy, agent, tool as ToolName);
    return {
      args: {},
      principal: { id: principal, tenant },
      session: this.#call.case === undefined ? {} : { case: this.#call.case },
      env: environmentOf(this.#policy),
      tool: entry?.toolFacts ?? {},
      agent: entry?.agentFacts[this.#call.isolation ?? 'advisory'] ?? {},
      chain: [],
    };
  }
}

/** Everything that an expression reads, what it only asks for being there included. */
function readIn(expression: Expression): readonly string[] {
  const own = expression.kind === 'has' ? [pathOf(expression.of) ?? ['has']] : [];
  const inner = expression.kind === 'has' ? [] : partsOf(expression).flatMap((part) => hasIn(part));
  return [...readsOf(expression).map((read) => pathOf(read) ?? []), ...own, ...inner].map((path) => path.join('.'));
}

function hasIn(expression: Expression): readonly (readonly string[])[] {
  if (expression.kind === 'has') return [pathOf(expression.of) ?? ['has']];
  return partsOf(expression).flatMap(hasIn);
}

/** Whether the record says what a condition reads. */
function isRecorded(path: string, { principal, tenant, isolation }: RecordedCall): boolean {
  if (path === 'agent' || path === 'agent.isolation') return isolation !== undefined;
  if (path === 'principal.id') return principal !== undefined;
  if (path === 'principal.tenant') return tenant !== undefined;
  // A case that was not recorded is one that the session does not have: reading it fails, as it did.
  return path === 'session.case' || /^(?:env|tool|agent)(?:\.|$)/.test(path);
}

/** What a demand is judged by, by the name that people know it by. */
const INPUTS: Readonly<Record<string, string>> = {
  scopes: 'principal.scopes',
  task: 'session.task',
  require_purpose: 'session.purpose',
  delegation: 'chain',
  session: 'session.age_s',
  justification: 'justification',
  risk: 'session.risk',
  step_up: 'principal.auth_age_s',
  reviewed: 'reviews',
  approval: 'approvals',
  once: 'reservations',
  max: 'reservations',
  sequence: 'reservations',
  budget: 'reservations',
};
