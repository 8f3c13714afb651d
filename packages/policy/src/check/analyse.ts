/**
 * Judges rules against agents, tools and types: what each rule is about, whether it can ever match, and whether its
 * conditions fit every tool it is about. The same for documents (with lines) and for parts (with paths); what it finds
 * out is what `compile` builds the index from. Spec: policy-v1 sections 4 and 7.
 */

import { invariant } from '@sallyport/model';
import type { Agent, Issuer, JsonObject, Tool, ToolName } from '@sallyport/model';
import { compileSchema } from '@sallyport/strict';
import type { ArgumentSchema } from '@sallyport/strict';
import { demandsOf } from '../demand/demands.ts';
import { loadProgram, parseExpression } from '../expression/cel.ts';
import { checkExpression } from '../expression/check-expression.ts';
import type { Checked } from '../expression/check-expression.ts';
import { argumentNamesOf, nodeCountOf } from '../expression/expression.ts';
import type { Expression, ExpressionProblem } from '../expression/expression.ts';
import { argumentsType, notedBy, sharedScope } from '../expression/types.ts';
import type { Scope } from '../expression/types.ts';
import type { ToolIndex } from '../grammar/selectors.ts';
import { GUARDED_CLASSES } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Step } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';
import type { EnvironmentValues, Rule, Selector } from '../rule.ts';
import { canonicalJson } from './canonical.ts';
import { expressionsOf } from './conditions.ts';
import type { RuleExpression } from './conditions.ts';
import { contradictionOf } from './contradiction.ts';
import { checkFutile } from './futile.ts';
import { concernedAgents, isAtHome, layerOfRule, viewsOf } from './layering.ts';
import type { Layering } from './layering.ts';
import { narrowedSchema } from './narrow.ts';
import { unfitNotes } from './notes.ts';
import { checkReach } from './reach.ts';
import { unfitForPath } from './routes.ts';
import { unfitRanges } from './shape.ts';

export interface World {
  readonly agents: readonly Agent[];
  readonly tools: readonly Tool[];
  readonly index: ToolIndex;
  readonly issuers: readonly Issuer[];
  readonly environment: EnvironmentValues;
  readonly rules: readonly Rule[];
  /** Agents of which it is not known what they use or which rules they have: what seems to lead nowhere may not. */
  readonly doubted?: ReadonlySet<string>;
  /** Where several layers are joined. */
  readonly layering?: Layering;
}

/** Where things stand, in an author's file or in a part. */
export interface Places {
  rule(index: number, ...steps: readonly Step[]): Place;
  /** The place of a character of a condition. */
  expression(index: number, steps: readonly Step[], offset: number): Place;
  tool(index: number, path: string): Place;
}

/** An agent that a rule is about, and the tools of it. */
export interface Target {
  readonly agent: Agent;
  /** By name. */
  readonly tools: readonly Tool[];
}

/** A rule with what was found out about it. */
export interface RulePlan {
  readonly rule: Rule;
  /** One for a rule of one agent; across agents, one for each that uses a tool of the rule's. */
  readonly targets: readonly Target[];
  /** The narrower schemas, by tool, where the rule has any. */
  readonly narrow?: ReadonlyMap<ToolName, ArgumentSchema>;
}

export interface Plan {
  readonly schemas: ReadonlyMap<ToolName, ArgumentSchema>;
  readonly rules: readonly RulePlan[];
}

/** Everything that is wrong goes to `problems`; the plan is whole only if nothing was. */
export function analyse(world: World, places: Places, problems: Problems): Plan {
  const schemas = new Map<ToolName, ArgumentSchema>();
  for (const [index, tool] of world.tools.entries()) {
    const compiled = compileSchema(tool.arguments, 'arguments');
    if (compiled.ok) {
      schemas.set(tool.name, compiled.value);
      const { properties } = compiled.value.type;
      for (const name of tool.route === undefined ? [] : unfitForPath(tool.route, (known) => properties.get(known)?.type))
        problems.add(places.tool(index, 'route.path'), `${quote(name)} is never one segment of a path`, {
          remedy: 'let it be text, a number or a bool',
        });
      for (const problem of [...unfitRanges(tool), ...unfitNotes(tool, compiled.value)])
        problems.add(places.tool(index, problem.path), problem.message, { remedy: problem.remedy });
    } else
      for (const problem of compiled.error) problems.add(places.tool(index, problem.path), problem.message, { remedy: problem.remedy });
  }
  const analysis = new Analysis(world, places, problems, schemas);
  const rules = world.rules.flatMap((rule, index) => analysis.rule(rule, index) ?? []);
  // Each layer answers for itself: what a layer above denies is not the mistake of the one that allows it below.
  const atHome = rules.filter(
    ({ rule }) => isAtHome(world.layering, rule) && (rule.agent === undefined || world.doubted?.has(rule.agent) !== true),
  );
  const placeOf = ({ rule }: Pick<RulePlan, 'rule'>, ...steps: readonly Step[]): Place => places.rule(world.rules.indexOf(rule), ...steps);
  checkReach(atHome, placeOf, problems);
  checkFutile(atHome, placeOf, problems);
  return { schemas, rules };
}

/** Fields whose conditions must all be true for a rule to match. */
const HOLD_TOGETHER: ReadonlySet<Step | undefined> = new Set(['bind', 'when']);

class Analysis {
  readonly #world: World;
  readonly #places: Places;
  readonly #problems: Problems;
  readonly #schemas: ReadonlyMap<ToolName, ArgumentSchema>;
  /** What conditions may read, by the layer of their rule. */
  readonly #shared: readonly Scope[];
  readonly #agents: ReadonlyMap<string, Agent>;
  /** These three are written by their own method alone, and only save work: equal texts are judged once. */
  readonly #expressions = new Map<string, ReturnType<typeof parseExpression>>();
  readonly #checked = new Map<string, Checked>();
  readonly #narrowed = new Map<string, ArgumentSchema>();
  /** Written by `rule` alone. */
  #pairs = 0;
  /** Written by `#spend` alone. */
  #steps = 0;

  constructor(world: World, places: Places, problems: Problems, schemas: ReadonlyMap<ToolName, ArgumentSchema>) {
    this.#world = world;
    this.#places = places;
    this.#problems = problems;
    this.#schemas = schemas;
    const { issuers, environment, tools } = world;
    this.#shared = viewsOf(world.layering, { issuers, environment, tools }).map((view) =>
      sharedScope(view.issuers, view.environment, notedBy(view.tools)),
    );
    this.#agents = new Map(world.agents.map((agent) => [agent.name, agent]));
  }

  /** Whether there is work left; the rule that goes over is reported, those after it are not looked at. */
  #spend(steps: number, index: number): boolean {
    const isOver = this.#steps > LIMITS.compileStepsMax;
    this.#steps += steps;
    if (this.#steps <= LIMITS.compileStepsMax) return true;
    if (!isOver) {
      this.#problems.add(this.#places.rule(index), 'the conditions up to this rule take too long to check', {
        remedy: 'name tools instead of classes, shorten conditions, or divide the bundle',
      });
    }
    return false;
  }

  rule(rule: Rule, index: number): RulePlan | undefined {
    const own = rule.agent === undefined ? undefined : this.#agents.get(rule.agent);
    if (rule.agent !== undefined && own === undefined) return undefined;
    const targets = this.#targets(rule, own);
    const tools = own === undefined ? allTools(targets) : (targets[0]?.tools ?? []);
    // Across agents a rule may be about what no agent has yet: that is what it is there for.
    if (own !== undefined && this.#world.doubted?.has(own.name) !== true) this.#emptySelectors(rule, index, own);
    const pairs = targets.reduce((sum, target) => sum + target.tools.length, 0);
    this.#pairs += pairs;
    if (this.#pairs > LIMITS.rulePairsMax) {
      if (this.#pairs - pairs <= LIMITS.rulePairsMax) {
        this.#problems.add(this.#places.rule(index), `rules and their tools make more than ${LIMITS.rulePairsMax} pairs`, {
          remedy: 'name tools instead of classes, or divide the bundle',
        });
      }
      return undefined;
    }
    this.#require(rule, index);
    this.#anonymous(rule, index, tools);
    this.#conditions(rule, index, tools);
    const narrow = rule.arguments === undefined ? undefined : this.#narrow(rule, index, tools);
    return { rule, targets, ...(narrow === undefined ? {} : { narrow }) };
  }

  #targets(rule: Rule, own: Agent | undefined): readonly Target[] {
    const about = (agent: Agent): Target => ({ agent, tools: this.#world.index.selectAll(agent, rule.tools) });
    if (own !== undefined) return [about(own)];
    const { agents, layering } = this.#world;
    return concernedAgents(rule.agents ?? [], { agents, layering, layer: layerOfRule(layering, rule) })
      .map(about)
      .filter(({ tools }) => tools.length > 0);
  }

  /** A selector that is about nothing is a mistake now and a surprise later. */
  #emptySelectors(rule: Rule, index: number, agent: Agent): void {
    for (const [at, selector] of rule.tools.entries()) {
      const place = this.#places.rule(index, rule.verb, at);
      if (this.#world.index.select(agent, selector).length > 0 || this.#problems.hasAt(place)) continue;
      this.#problems.add(
        place,
        `${quote(showSelector(selector))} selects no tool that agent ${quote(agent.name)} uses, so it can never match`,
        {
          remedy: () => this.#classNear(selector) ?? 'mend the selector, or add the server to the agent’s `uses`',
        },
      );
    }
  }

  #classNear(selector: Selector): string | undefined {
    if ('tool' in selector || selector.class === undefined) return undefined;
    const known = new Set(this.#world.tools.flatMap((tool) => tool.classes));
    return known.has(selector.class) ? undefined : didYouMean(selector.class, known);
  }

  #require(rule: Rule, index: number): void {
    if (rule.verb !== 'require') return;
    const { scopes, bind, arguments: narrowed, after, once, max, sequence, budget } = rule;
    const adds =
      [scopes, bind, narrowed, after, once, max, sequence, budget].some((part) => part !== undefined) || demandsOf(rule).length > 0;
    if (!adds)
      this.#problems.add(this.#places.rule(index), 'the rule requires nothing', {
        remedy: '`when` says for which calls; add what it requires: `scopes`, `bind`, `step_up`, `max`, …',
      });
  }

  /** What anyone may do without proving who they are must do no harm. */
  #anonymous(rule: Rule, index: number, tools: readonly Tool[]): void {
    if (rule.verb !== 'allow' || rule.for?.principals?.includes('anonymous') !== true) return;
    const harmful = tools.find((tool) => tool.effect !== 'read' || tool.classes.some((name) => GUARDED_CLASSES.includes(name)));
    if (harmful === undefined) return;
    this.#problems.add(this.#places.rule(index, 'for', 'principals'), `${quote(harmful.name)} cannot be allowed to \`anonymous\``, {
      remedy: 'only tools of effect read, free of money, pii and export',
    });
  }

  #conditions(rule: Rule, index: number, tools: readonly Tool[]): void {
    const conditions = expressionsOf(rule);
    const together: Expression[] = [];
    const guards: { readonly condition: RuleExpression; readonly parsed: Expression }[] = [];
    let last: RuleExpression | undefined;
    for (const condition of conditions) {
      const parsed = this.#judge(condition, index, tools);
      if (condition.steps[1] === 'when' && parsed !== undefined) guards.push({ condition, parsed });
      if (!HOLD_TOGETHER.has(condition.steps[0])) continue;
      last = condition;
      if (parsed !== undefined) together.push(parsed);
    }
    // What could not be parsed may be what makes the difference.
    if (last === undefined || together.length !== conditions.filter(({ steps }) => HOLD_TOGETHER.has(steps[0])).length) return;
    const why = contradictionOf(together);
    if (why !== undefined) {
      this.#problems.add(this.#places.expression(index, last.steps, 0), `${why}, so the rule can never match`, {
        remedy: 'mend one of the conditions',
      });
      return;
    }
    // A demand that is never asked looks like protection and is none.
    for (const { condition, parsed } of guards) {
      const never = contradictionOf([...together, parsed]);
      if (never === undefined) continue;
      this.#problems.add(
        this.#places.expression(index, condition.steps, 0),
        `${never}, so \`${condition.steps[0] ?? ''}\` is never asked`,
        {
          remedy: 'mend one of the conditions',
        },
      );
    }
  }

  #judge(condition: RuleExpression, index: number, tools: readonly Tool[]): Expression | undefined {
    const parsed = this.#parse(condition.text);
    if (!parsed.ok) {
      for (const problem of parsed.error) this.#report(condition, index, problem);
      return undefined;
    }
    const reported = new Set<string>();
    const elsewhere = this.#sharedNames(parsed.value, tools);
    const rule = this.#world.rules[index];
    const layer = rule === undefined ? 0 : layerOfRule(this.#world.layering, rule);
    let constants: readonly ExpressionProblem[] | undefined;
    const size = nodeCountOf(parsed.value);
    for (const tool of tools) {
      if (!this.#spend(size, index)) return undefined;
      const checked = this.#check(parsed.value, condition, { tool, layer, elsewhere });
      if (checked === undefined) continue;
      for (const problem of checked.problems) {
        if (reported.has(keyOf(problem))) continue;
        reported.add(keyOf(problem));
        this.#report(
          condition,
          index,
          tools.length === 1 ? problem : { ...problem, message: `for ${quote(tool.name)}: ${problem.message}` },
        );
      }
      constants = constants?.filter((known) => checked.constants.some((other) => keyOf(other) === keyOf(known))) ?? checked.constants;
    }
    for (const problem of constants ?? []) this.#report(condition, index, problem);
    // The library has the last word on what it will run; asked only where ours had nothing to say.
    const loaded = reported.size > 0 ? undefined : loadProgram(condition.text);
    if (loaded?.ok === false) for (const problem of loaded.error) this.#report(condition, index, problem);
    return parsed.value;
  }

  #parse(text: string): ReturnType<typeof parseExpression> {
    const known = this.#expressions.get(text) ?? parseExpression(text);
    this.#expressions.set(text, known);
    return known;
  }

  /** Of the arguments that a condition names, those that some tool of the rule has. */
  #sharedNames(expression: Expression, tools: readonly Tool[]): readonly string[] {
    if (tools.length === 1) return [];
    return argumentNamesOf(expression).filter((name) => tools.some((tool) => this.#schemas.get(tool.name)?.type.properties.has(name)));
  }

  #check(
    expression: Expression,
    condition: RuleExpression,
    { tool, layer, elsewhere }: { readonly tool: Tool; readonly layer: number; readonly elsewhere: readonly string[] },
  ): Checked | undefined {
    const schema = this.#schemas.get(tool.name);
    if (schema === undefined) return undefined;
    const { wants, guardsAbsence } = condition.options;
    const shared = this.#shared[layer];
    invariant(shared !== undefined, 'every layer has its view');
    const key = JSON.stringify([layer, tool.name, condition.text, wants, guardsAbsence, elsewhere]);
    const known =
      this.#checked.get(key) ??
      checkExpression(expression, new Map([...shared, ['args', argumentsType(schema.type, elsewhere)]]), condition.options);
    this.#checked.set(key, known);
    return known;
  }

  #report(condition: RuleExpression, index: number, { message, remedy, start }: ExpressionProblem): void {
    const place = this.#places.expression(index, condition.steps, start);
    const where = place.column === undefined && start > 0 ? `at character ${start + 1}: ` : '';
    this.#problems.add(place, `${where}${message}`, { remedy });
  }

  #narrow(rule: Rule, index: number, tools: readonly Tool[]): ReadonlyMap<ToolName, ArgumentSchema> {
    const schemas = new Map<ToolName, ArgumentSchema>();
    for (const tool of tools) {
      if (!this.#spend(NARROWING_STEPS, index)) break;
      const merged = narrowedSchema(tool, rule.arguments ?? {}, (name) => this.#places.rule(index, 'arguments', name), this.#problems);
      const compiled = merged === undefined ? undefined : this.#compileNarrow(merged, index);
      if (compiled !== undefined) schemas.set(tool.name, compiled);
    }
    return schemas;
  }

  #compileNarrow(schema: JsonObject, index: number): ArgumentSchema | undefined {
    const key = canonicalJson(schema);
    // A large schema costs what it is long, also where it is known already; what is too much stops the next one.
    this.#spend(Math.floor(key.length / NARROWED_CHARS_A_STEP), index);
    const known = this.#narrowed.get(key);
    if (known !== undefined) return known;
    const compiled = compileSchema(schema, 'arguments');
    if (!compiled.ok) {
      for (const problem of compiled.error)
        this.#problems.add(this.#places.rule(index, 'arguments'), `${problem.path}: ${problem.message}`, { remedy: problem.remedy });
      return undefined;
    }
    this.#narrowed.set(key, compiled.value);
    return compiled.value;
  }
}

function allTools(targets: readonly Target[]): readonly Tool[] {
  const byName = new Map(targets.flatMap(({ tools }) => tools.map((tool) => [tool.name, tool] as const)));
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What merging and compiling one narrower schema is counted as, besides its length. */
const NARROWING_STEPS = 200;
const NARROWED_CHARS_A_STEP = 16;

function keyOf({ start, message }: ExpressionProblem): string {
  return `${start} ${message}`;
}

function showSelector(selector: Selector): string {
  if ('tool' in selector) return selector.tool;
  const members = Object.entries(selector).map(([key, value]) => `${key}: ${String(value)}`);
  return members.join(', ');
}
