/** Parts to a policy that can decide: types checked, costs bounded, rules indexed by agent and tool. Spec: policy-v1 section 6. */

import { attributesOf, fail, invariant, ok, serverOf } from '@sallyport/model';
import type {
  Agent,
  AgentName,
  AttributeForm,
  AttributeType,
  CalledAgent,
  DelegatesTo,
  Isolation,
  Issuer,
  Problem,
  Result,
  ServerName,
  Tool,
  ToolName,
} from '@sallyport/model';
import type { ArgumentSchema, Judged, RouteMatch, TypedArguments, Violation } from '@sallyport/strict';
import { analyse } from '../check/analyse.ts';
import type { Places, Plan, RulePlan } from '../check/analyse.ts';
import { expressionsOf } from '../check/conditions.ts';
import { credentialsByTool } from '../check/credentials.ts';
import type { CarriedCredential } from '../check/credentials.ts';
import type { LayerPlace } from '../check/layering.ts';
import { misspelledArguments, routesOf } from '../check/route-index.ts';
import type { Routes } from '../check/route-index.ts';
import { shapeArguments } from '../check/shape.ts';
import type { ShapedArguments } from '../check/shape.ts';
import { handingOn } from './handing-on.ts';
import type { HandingOn } from './handing-on.ts';
import { demandsOf } from '../demand/demands.ts';
import type { HeldDemand } from '../demand/demands.ts';
import { limitsOf } from '../demand/limit.ts';
import type { CompiledLimit } from '../demand/limit.ts';
import { namedIn, readsOf } from '../expression/fact-fields.ts';
import type { Reads } from '../expression/fact-fields.ts';
import { Programs } from '../expression/programs.ts';
import type { Condition } from '../expression/programs.ts';
import { notedBy } from '../expression/types.ts';
import type { Noted } from '../expression/types.ts';
import type { Observe } from '../grammar/observe.ts';
import { ToolIndex } from '../grammar/selectors.ts';
import { isGuarded } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Step } from '../reader/locate.ts';
import { Problems, childPath, compareText } from '../reader/node.ts';
import type { EnvironmentValues, Rule, Source } from '../rule.ts';
import { featuresOf } from './features.ts';
import type { Parts } from './parts.ts';

/** A rule ready to be judged. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly source?: Source;
  readonly roles?: ReadonlySet<string>;
  readonly tenants?: ReadonlySet<string>;
  readonly principals?: ReadonlySet<string>;
  readonly bind: readonly Condition[];
  readonly when?: Condition;
  readonly after: readonly CompiledPrecondition[];
  readonly demands: readonly CompiledDemand[];
  readonly limits: readonly CompiledLimit[];
  readonly narrow?: { readonly names: readonly string[]; readonly schemas: ReadonlyMap<ToolName, ArgumentSchema> };
}

/** A demand with its conditions, by their text. */
export interface CompiledDemand extends HeldDemand {
  readonly conditions: ReadonlyMap<string, Condition>;
}

export interface CompiledPrecondition {
  readonly tool: ToolName;
  /** By the name of its argument, what the argument must have been. */
  readonly with?: readonly (readonly [name: string, condition: Condition])[];
}

/** Everything about one tool in the hands of one agent. Rules are sorted by id; allows that reserve nothing come first. */
export interface Entry {
  readonly tool: Tool;
  readonly denies: readonly CompiledRule[];
  readonly requires: readonly CompiledRule[];
  readonly allows: readonly CompiledRule[];
  /** Rules of any verb that are evaluated and not effective; in none of the lists above. */
  readonly shadows: readonly CompiledRule[];
  /** What conditions see as `tool` and `agent`. */
  readonly toolFacts: Readonly<Record<string, unknown>>;
  /** Where the tool is another agent's. */
  readonly handingOn?: HandingOn;
  /** By its isolation. */
  readonly agentFacts: Readonly<Record<Isolation, Readonly<Record<string, unknown>>>>;
  /** What conditions of these rules may read of the principal and the session. */
  readonly reads: Reads;
  /** Attributes of the directory that conditions of effective rules may read. */
  readonly readsOfDirectory: readonly string[];
  /** The names of notes that conditions may read. */
  readonly noted: Noted;
  /** Arguments of this tool that some rule's precondition compares, sorted: what a session has to note of a completed call. */
  readonly comparedArguments: readonly string[];
  /** Whether some rule of the agent counts calls in a row, so that every call is a step. */
  readonly countsSteps: boolean;
  /** Of a guarded tool: how many sessions the agent may be serving when it is called. */
  readonly sessionsConcurrentMax?: number;
}

/** An attribute whose type is declared. */
export type TypedForm = AttributeForm & { readonly type: AttributeType };

/** Which attributes the directory says. */
export interface DirectoryUse {
  readonly byIssuer: ReadonlyMap<string, NonNullable<Issuer['directory']>>;
  /** Of any issuer's principals, sorted. */
  readonly names: readonly string[];
}

interface Inside {
  readonly entries: ReadonlyMap<AgentName, ReadonlyMap<ToolName, Entry>>;
  readonly schemas: ReadonlyMap<ToolName, ArgumentSchema>;
  readonly environment: Readonly<Record<string, unknown>>;
  /** Of the attributes that have a declared type. */
  readonly attributeForms: ReadonlyMap<string, TypedForm>;
  readonly attributeTypes: ReadonlyMap<string, AttributeType>;
  readonly directory: DirectoryUse | undefined;
  readonly programs: Programs;
  readonly routes: Routes;
  readonly observes: ReadonlyMap<AgentName, Observe>;
  readonly credentials: ReadonlyMap<AgentName, ReadonlyMap<ToolName, readonly CarriedCredential[]>>;
}

let make: (parts: Parts, inside: Inside) => CompiledPolicy;
let reveal: (policy: CompiledPolicy) => Inside;

/** Only `compile` makes one. Immutable, but for a bounded cache of compiled conditions that no caller can see. */
export class CompiledPolicy {
  readonly parts: Parts;
  /** What the rules use of the language, sorted. */
  readonly features: readonly string[];
  readonly ruleCount: number;
  readonly #inside: Inside;
  readonly #agents: ReadonlyMap<AgentName, Agent>;
  readonly #tools: ReadonlyMap<ToolName, Tool>;

  private constructor(parts: Parts, inside: Inside) {
    this.parts = parts;
    this.features = featuresOf(parts);
    this.ruleCount = parts.rules.length;
    this.#inside = inside;
    this.#agents = new Map(parts.agents.map((agent) => [agent.name, agent]));
    this.#tools = new Map(parts.tools.map((tool) => [tool.name, tool]));
  }

  static {
    make = (parts, inside) => new CompiledPolicy(parts, inside);
    reveal = (policy) => policy.#inside;
  }

  agent(name: AgentName): Agent | undefined {
    return this.#agents.get(name);
  }

  tool(name: ToolName): Tool | undefined {
    return this.#tools.get(name);
  }

  /** The compiled schema that the validation gate reads a call's arguments with. */
  argumentSchema(name: ToolName): ArgumentSchema | undefined {
    return this.#inside.schemas.get(name);
  }

  /** The tool of an HTTP server that a request is, by method and canonical path; `undefined` where no route fits. */
  toolAt(server: ServerName, method: string, segments: readonly string[]): RouteMatch<ToolName> | undefined {
    return this.#inside.routes.get(server)?.match(method, segments);
  }

  /** Raw arguments as the tool takes them; `undefined` for a tool that is not in the catalog. */
  shape(name: ToolName, judged: Judged): Result<ShapedArguments, readonly Violation[]> | undefined {
    const [tool, schema] = [this.tool(name), this.argumentSchema(name)];
    return tool === undefined || schema === undefined ? undefined : shapeArguments({ tool, schema }, judged);
  }

  /** What the sidecar sends along when this agent calls this tool: at most one for each header. */
  credentialsFor(agent: AgentName, tool: ToolName): readonly CarriedCredential[] {
    return this.#inside.credentials.get(agent)?.get(tool) ?? NO_CREDENTIALS;
  }

  /** What the agent hands on by calling this tool; `undefined` where the tool is no agent's, or nothing may be. */
  relationTo(agent: AgentName, tool: ToolName): DelegatesTo | undefined {
    return this.#inside.entries.get(agent)?.get(tool)?.handingOn?.relation;
  }

  /** All that calls of an agent carry, by name. */
  credentialsOf(agent: AgentName): readonly CarriedCredential[] {
    const ofTools = [...(this.#inside.credentials.get(agent)?.values() ?? [])].flat();
    return [...new Map(ofTools.map((one) => [one.name, one])).values()].toSorted((a, b) => compareText(a.name, b.name));
  }

  /** Arguments of a route's path that would make the call a request of another tool, or of none; for the validation gate. */
  misspelled(tool: Tool, args: TypedArguments): readonly string[] {
    return misspelledArguments(this.#inside.routes, tool, args);
  }
}

const NO_CREDENTIALS: readonly CarriedCredential[] = [];

/** What a policy says of one tool in the hands of one agent; `undefined` where no rule is about it. */
export function entryOf(policy: CompiledPolicy, agent: AgentName, tool: ToolName): Entry | undefined {
  return reveal(policy).entries.get(agent)?.get(tool);
}

/** All entries of an agent. */
export function entriesOf(policy: CompiledPolicy, agent: AgentName): Iterable<Entry> {
  return reveal(policy).entries.get(agent)?.values() ?? [];
}

export function programsOf(policy: CompiledPolicy): Programs {
  return reveal(policy).programs;
}

export function environmentOf(policy: CompiledPolicy): Readonly<Record<string, unknown>> {
  return reveal(policy).environment;
}

/** By what an agent is observed, whenever that is; `undefined` where its rules are enforced. */
export function observeOf(policy: CompiledPolicy, agent: AgentName): Observe | undefined {
  return reveal(policy).observes.get(agent);
}

/** The declared types of attributes; one whose type is known only at run time is not among them. */
export function attributeTypesOf(policy: CompiledPolicy): ReadonlyMap<string, AttributeType> {
  return reveal(policy).attributeTypes;
}

/** As `attributeTypesOf`, with the values that each may have. */
export function attributeFormsOf(policy: CompiledPolicy): ReadonlyMap<string, TypedForm> {
  return reveal(policy).attributeForms;
}

/** What the directory says; `undefined` where the policy leaves nothing to it. */
export function directoryUseOf(policy: CompiledPolicy): DirectoryUse | undefined {
  return reveal(policy).directory;
}

/** Every problem at once. What compiles decides every call in bounded time. */
export function compile(parts: Parts): Result<CompiledPolicy, readonly Problem[]> {
  const problems = new Problems();
  const { agents, tools, issuers, environment, rules, layering } = parts;
  const world = {
    agents,
    tools,
    index: new ToolIndex(tools),
    issuers,
    environment,
    rules,
    ...(layering === undefined ? {} : { layering }),
  };
  const plan = analyse(world, placesOf(parts), problems);
  if (problems.hasErrors) return fail(problems.sorted());
  // A rule that analysis dropped without a word would be a denial that nobody enforces.
  invariant(plan.rules.length === rules.length && plan.schemas.size === tools.length, 'analysis dropped a rule or a tool in silence');
  const programs = new Programs(LIMITS.programsMax);
  const forms = formsOf(issuers);
  return ok(
    make(parts, {
      entries: indexRules(plan, parts, programs),
      schemas: plan.schemas,
      environment: environmentFacts(environment),
      attributeForms: forms,
      attributeTypes: new Map([...forms].map(([name, { type }]) => [name, type])),
      directory: directoryOf(issuers),
      programs,
      routes: routesOf(tools),
      observes: new Map(observesByAgent(parts)),
      credentials: credentialsByTool(parts.credentials ?? [], {
        agents,
        index: world.index,
        servers: parts.servers,
        destinations: parts.destinations,
      }),
    }),
  );
}

/** Where things stand in the parts; of several layers, in which. */
function placesOf({ rules, tools, layering }: Parts): Places {
  const at = (list: string, index: number, found: LayerPlace | undefined): string => {
    const layer = found === undefined ? undefined : layering?.layers[found.layer];
    return layer === undefined ? `${list}[${index}]` : `${layer.name}:${list}[${found?.index ?? index}]`;
  };
  const rule = (index: number, steps: readonly Step[]): { path: string } => {
    const id = rules[index]?.id;
    return { path: pathOf(at('policy.rules', index, id === undefined ? undefined : layering?.rules.get(id)), steps) };
  };
  return {
    rule: (index, ...steps) => rule(index, steps),
    expression: (index, steps) => rule(index, steps),
    tool: (index, path) => {
      const name = tools[index]?.name;
      return { path: `${at('catalog.tools', index, name === undefined ? undefined : layering?.tools.get(name))}.${path}` };
    },
  };
}

function pathOf(start: string, steps: readonly Step[]): string {
  return steps.reduce<string>((path, step) => (typeof step === 'number' ? `${path}[${step}]` : childPath(path, step)), start);
}

/** At most one for each agent (check-names). */
function observesByAgent({ agents, observes = [] }: Parts): readonly (readonly [AgentName, Observe])[] {
  return observes.flatMap((one) =>
    agents.filter(({ name }) => one.agents === '*' || one.agents.includes(name)).map(({ name }) => [name, one] as const),
  );
}

function environmentFacts(environment: EnvironmentValues): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(environment).map(([name, { value }]) => [name, value]));
}

/** Issuers that have one attribute agree on its type and values (check-names). */
function formsOf(issuers: readonly Issuer[]): ReadonlyMap<string, TypedForm> {
  const declared = issuers.flatMap((issuer) => attributesOf(issuer));
  return new Map(declared.flatMap(([name, form]) => (form.type === undefined ? [] : [[name, { ...form, type: form.type }]])));
}

/** By issuer, what the directory says of its principals; undefined where it says nothing of anybody's. */
function directoryOf(issuers: readonly Issuer[]): DirectoryUse | undefined {
  const byIssuer = new Map(issuers.flatMap(({ issuer, directory }) => (directory === undefined ? [] : [[issuer, directory]])));
  if (byIssuer.size === 0) return undefined;
  return { byIssuer, names: [...new Set([...byIssuer.values()].flatMap((declared) => Object.keys(declared)))].toSorted() };
}

interface Draft {
  readonly tool: Tool;
  readonly agent: Agent;
  readonly denies: CompiledRule[];
  readonly requires: CompiledRule[];
  readonly allows: CompiledRule[];
  readonly shadows: CompiledRule[];
}

function indexRules(plan: Plan, parts: Parts, programs: Programs): ReadonlyMap<AgentName, ReadonlyMap<ToolName, Entry>> {
  const drafts = new Map<AgentName, Map<ToolName, Draft>>();
  const noted = notedBy(parts.tools);
  const compared = comparedArguments(plan);
  const counting = new Set(
    plan.rules.flatMap(({ rule, targets }) => (rule.sequence === undefined ? [] : targets.map(({ agent }) => agent.name))),
  );
  for (const found of plan.rules.toSorted((a, b) => compareText(a.rule.id, b.rule.id))) {
    const compiled = compileRule(found, parts, programs);
    let guarded = found.rule.verb === 'allow' && found.rule.isolation === undefined ? undefined : compiled;
    for (const { agent, tools } of found.targets) {
      const ofAgent = drafts.get(agent.name) ?? new Map<ToolName, Draft>();
      drafts.set(agent.name, ofAgent);
      for (const tool of tools) {
        const draft = ofAgent.get(tool.name) ?? { tool, agent, denies: [], requires: [], allows: [], shadows: [] };
        ofAgent.set(tool.name, draft);
        const rulesOf = { allow: draft.allows, deny: draft.denies, require: draft.requires };
        const asked = agent.isolation === undefined && isGuarded(tool) ? (guarded ??= demandingIsolation(compiled)) : compiled;
        (found.rule.shadow === true ? draft.shadows : rulesOf[found.rule.verb]).push(asked);
      }
    }
  }
  const directoryNames = directoryOf(parts.issuers)?.names ?? [];
  const called = new Map(parts.servers.flatMap(({ name, agent }) => (agent === undefined ? [] : [[name, agent] as const])));
  const entryOfDraft = (draft: Draft): Entry => ({
    ...entryFrom(draft),
    ...handedOn(draft, called),
    noted,
    readsOfDirectory: namedIn(effectiveTexts(draft), directoryNames),
    comparedArguments: compared.get(`${draft.agent.name} ${draft.tool.name}`) ?? [],
    countsSteps: counting.has(draft.agent.name),
  });
  return new Map([...drafts].map(([name, ofAgent]) => [name, new Map([...ofAgent].map(([tool, draft]) => [tool, entryOfDraft(draft)]))]));
}

/** An allow rule that does not say, about a tool that must not be reached by an agent which could go round its sidecar. */
function demandingIsolation(compiled: CompiledRule): CompiledRule {
  const rule: Rule = { ...compiled.rule, isolation: 'enforced' };
  const added = demandsOf(rule).filter(({ field }) => field === 'isolation');
  return { ...compiled, rule, demands: [...compiled.demands, ...added.map((demand) => ({ ...demand, conditions: NO_CONDITIONS }))] };
}

const NO_CONDITIONS: ReadonlyMap<string, Condition> = new Map();

/** What the agent may hand on by a tool that is another agent's. */
function handedOn({ agent, tool }: Draft, called: ReadonlyMap<ServerName, CalledAgent>): Pick<Entry, 'handingOn'> {
  const server = serverOf(tool.name);
  const other = called.get(server);
  return other === undefined ? {} : { handingOn: handingOn(agent, server, other) };
}

/** By agent and tool, the arguments that preconditions compare. */
function comparedArguments(plan: Plan): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, Set<string>>();
  for (const { rule, targets } of plan.rules) {
    for (const { tool, with: values = {} } of rule.after ?? []) {
      for (const { agent } of targets) {
        const key = `${agent.name} ${tool}`;
        names.set(key, new Set([...(names.get(key) ?? []), ...Object.keys(values)]));
      }
    }
  }
  return new Map([...names].map(([key, found]) => [key, [...found].toSorted()]));
}

function effectiveTexts({ denies, requires, allows }: Draft): readonly string[] {
  return [...denies, ...requires, ...allows].flatMap(({ rule }) => expressionsOf(rule).map(({ text }) => text));
}

function entryFrom({
  tool,
  agent,
  denies,
  requires,
  allows,
  shadows,
}: Draft): Omit<Entry, 'noted' | 'readsOfDirectory' | 'comparedArguments' | 'countsSteps'> {
  const rules = [...denies, ...requires, ...allows, ...shadows];
  return {
    tool,
    reads: readsOf(rules.flatMap(({ rule }) => expressionsOf(rule).map(({ text }) => text))),
    denies,
    requires,
    shadows,
    // A rule that spends nothing is preferred: what was granted once must not be used up by a call that needs no grant.
    allows: [...allows.filter(({ limits }) => limits.length === 0), ...allows.filter(({ limits }) => limits.length > 0)],
    toolFacts: {
      name: tool.name,
      server: serverOf(tool.name),
      effect: tool.effect,
      classes: tool.classes,
      ...(tool.route === undefined ? {} : { method: tool.route.method, path: tool.route.path }),
    },
    ...(isGuarded(tool) ? { sessionsConcurrentMax: agent.sessions.concurrentMax ?? 1 } : {}),
    agentFacts: {
      enforced: { name: agent.name, owner: agent.owner, isolation: 'enforced' },
      advisory: { name: agent.name, owner: agent.owner, isolation: 'advisory' },
    },
  };
}

function compileRule({ rule, narrow }: RulePlan, { sources, environment }: Parts, programs: Programs): CompiledRule {
  const { roles, tenants, principals } = rule.for ?? {};
  const source = Object.hasOwn(sources, rule.id) ? sources[rule.id] : undefined;
  return {
    rule,
    ...(source === undefined ? {} : { source }),
    ...(roles === undefined ? {} : { roles: new Set(roles) }),
    ...(tenants === undefined ? {} : { tenants: new Set(tenants) }),
    ...(principals === undefined ? {} : { principals: new Set(principals) }),
    bind: (rule.bind ?? []).map((text) => programs.condition(text)),
    ...(rule.when === undefined ? {} : { when: programs.condition(rule.when) }),
    after: (rule.after ?? []).map(({ tool, with: values }) => ({
      tool,
      ...(values === undefined ? {} : { with: Object.entries(values).map(([name, text]) => [name, programs.condition(text)] as const) }),
    })),
    demands: demandsOf(rule).map((demand) => ({
      ...demand,
      conditions: new Map((demand.expressions?.(demand.value) ?? []).map(({ text }) => [text, programs.condition(text)])),
    })),
    limits: limitsOf(rule, { environment, condition: (text) => programs.condition(text) }),
    ...(narrow === undefined ? {} : { narrow: { names: Object.keys(rule.arguments ?? {}), schemas: narrow } }),
  };
}
