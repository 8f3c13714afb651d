/**
 * Calls worth trying on two policies that differ: what their tests call, bent one way at a time to the boundaries that
 * their rules name (roles, scopes, members of an enum, least and greatest values). Cheap, and no proof: what no probe
 * shows may still be there. Spec: policy-lab section 3.
 */

import { addMs } from '@sallyport/model';
import type { AgentName, Instant, Json, JsonObject, Tool, ToolName } from '@sallyport/model';
import { expressionsOf } from '../check/conditions.ts';
import { entryOf } from '../compile/compile.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { parseExpression } from '../expression/cel.ts';
import { partsOf, pathOf } from '../expression/expression.ts';
import type { Expression } from '../expression/expression.ts';
import { NOTHING_GIVEN } from '../grammar/given.ts';
import type { Rule, TestCase, TestGiven, TestSuite } from '../rule.ts';
import { sampleArguments } from './sample.ts';

export interface Probed {
  readonly agent: AgentName;
  readonly tool: ToolName;
}

/** Seeds of one tool. */
const SEEDS_MAX = 6;
/** A limit of more calls is not tried. */
const REPEATS_MAX = 5;

interface Seed {
  readonly given: TestGiven;
  readonly args: JsonObject;
}

/** Suites of one case each, or of one call repeated until its limit is passed; the same for the same two policies. */
export function probesOf(policies: readonly CompiledPolicy[], { agent, tool }: Probed, suitesMax: number): readonly TestSuite[] {
  const entries = policies.flatMap((policy) => {
    const entry = entryOf(policy, agent, tool);
    return entry === undefined ? [] : [{ policy, entry }];
  });
  const rules = entries.flatMap(({ entry }) => [...entry.allows, ...entry.requires, ...entry.denies].map(({ rule }) => rule));
  const tools = entries.map(({ entry }) => entry.tool);
  const seeds = seedsOf(policies, { agent, tool, rules, tools });
  const bounds = argumentBounds({ rules, tools, policies: entries.map(({ policy }) => policy) });
  const found = new Map<string, TestSuite>();
  const add = ({ given, args }: Seed, repeats = 1): void => {
    const one: TestCase = { call: tool, argsJson: textOf(args), expect: 'allow', source: { file: '', line: 0 } };
    const steps = repeats > 1 ? Array.from({ length: repeats }, () => one) : [];
    const suite: TestSuite = { agent, given, cases: repeats > 1 ? [] : [one], steps };
    const key = JSON.stringify(suite);
    if (found.size < suitesMax && !found.has(key)) found.set(key, suite);
  };
  const repeats = repeatsOf(rules);
  for (const seed of seeds) {
    add(seed);
    for (const given of bentGivens(seed.given, rules)) add({ ...seed, given });
    for (const args of bentArguments(seed.args, bounds)) add({ ...seed, args });
    for (const count of repeats) add(seed, count + 1);
  }
  return [...found.values()];
}

/** What tests call, and who could do most by the rules, with the least that the schema asks for. */
function seedsOf(
  policies: readonly CompiledPolicy[],
  { agent, tool, rules, tools }: Probed & { readonly rules: readonly Rule[]; readonly tools: readonly Tool[] },
): readonly Seed[] {
  const seeds: Seed[] = [];
  const tested = policies.flatMap(({ parts }) => parts.tests).filter((suite) => suite.agent === agent);
  // What is allowed says more of a boundary than what is not, so it comes first.
  const cases = tested.flatMap(({ given, cases: own, steps }) => [...own, ...steps].map((one) => ({ given, one })));
  for (const { given, one } of cases.toSorted((a, b) => Number(a.one.expect !== 'allow') - Number(b.one.expect !== 'allow'))) {
    if (one.call === tool) seeds.push({ given, args: JSON.parse(one.argsJson) as JsonObject });
  }
  const sampled = tools.map((one) => sampleArguments(one.arguments)).filter((args) => args !== undefined);
  const best = bestGiven(rules);
  const synthesised = [...sampled, ...seeds.slice(0, 2).map(({ args }) => args)].map((args) => ({ given: best, args }));
  return [...synthesised.slice(0, 2), ...seeds.slice(0, SEEDS_MAX - 2)];
}

/** Who meets as much of the rules as names can. */
function bestGiven(rules: readonly Rule[]): TestGiven {
  const granting = rules.filter(({ verb }) => verb !== 'deny');
  const tasks = granting.flatMap(({ task }) => task ?? []);
  const [tenant] = granting.flatMap((rule) => rule.for?.tenants ?? []);
  const [principal] = granting.flatMap((rule) => rule.for?.principals ?? []);
  const [acr] = granting.flatMap(({ stepUp }) => stepUp?.acr ?? []);
  const [root] = granting.flatMap(({ delegation }) => delegation?.roots ?? []);
  const chars = Math.max(0, ...granting.map(({ justification }) => justification?.charsMin ?? 0));
  const completed = distinct(granting.flatMap(({ after }) => (after ?? []).map(({ tool }) => tool)));
  const { session } = NOTHING_GIVEN;
  return {
    ...NOTHING_GIVEN,
    ...(tenant === undefined ? {} : { tenant }),
    ...(principal === undefined ? {} : { principal }),
    roles: distinct(granting.flatMap((rule) => rule.for?.roles ?? [])),
    scopes: distinct(granting.flatMap(({ scopes }) => scopes ?? [])),
    ...(acr === undefined ? {} : { acr }),
    amr: distinct(granting.flatMap(({ stepUp }) => stepUp?.amr ?? [])),
    ...(chars === 0 ? {} : { justification: 'x'.repeat(chars) }),
    approvals: approvalsOf(granting),
    session: {
      ...session,
      root: root ?? session.root,
      completed,
      ...(granting.every(({ risk }) => risk === undefined) ? {} : { risk: 0 }),
      ...(tasks[0] === undefined ? {} : { task: tasks[0] }),
      ...(granting.some(({ requirePurpose }) => requirePurpose === true) ? { origin: { purpose: 'test' } } : {}),
    },
  };
}

function approvalsOf(rules: readonly Rule[]): TestGiven['approvals'] {
  const wanted = rules.flatMap(({ approval }) => (approval === undefined ? [] : [approval]));
  const count = Math.max(0, ...wanted.map((one) => one.count));
  const named = wanted.flatMap(({ by }) => ('person' in by ? [by.person] : []));
  const roles = wanted.flatMap(({ by }) => ('role' in by ? [by.role] : []));
  const groups = wanted.flatMap(({ by }) => ('group' in by ? [by.group] : []));
  const people = [...named, ...Array.from({ length: count }, (_, at) => `approver-${at + 1}`)];
  return people.map((person) => ({ person, roles, groups }));
}

/** One fact bent at a time. */
function bentGivens(given: TestGiven, rules: readonly Rule[]): readonly TestGiven[] {
  const { session } = given;
  const named = (list: 'roles' | 'tenants' | 'principals'): readonly string[] => distinct(rules.flatMap((rule) => rule.for?.[list] ?? []));
  const scopes = distinct(rules.flatMap((rule) => rule.scopes ?? []));
  const completed = distinct(rules.flatMap(({ after }) => (after ?? []).map(({ tool }) => tool)));
  const risks = rules.flatMap(({ risk }) => (risk === undefined ? [] : [risk.max, Math.min(risk.max + 1, 100)]));
  const denials = rules.flatMap((rule) => rule.session?.denialsMax ?? []);
  const [call] = completed;
  return [
    { ...given, roles: [] },
    ...named('roles').map((role) => ({ ...given, roles: [role] })),
    ...['test', ...named('tenants')].map((tenant) => ({ ...given, tenant })),
    ...['test', 'anonymous', ...named('principals')].map((principal) => ({ ...given, principal })),
    { ...given, scopes: [] },
    { ...given, scopes },
    ...scopes.map((scope) => ({ ...given, scopes: given.scopes.filter((one) => one !== scope) })),
    ...distinct(rules.flatMap(({ task }) => task ?? [])).map((task) => ({ ...given, session: { ...session, task } })),
    ...(session.origin === undefined ? [] : [{ ...given, session: { ...session, origin: {} } }]),
    ...risks.map((risk) => ({ ...given, session: { ...session, risk } })),
    { ...given, session: { ...session, completed } },
    ...completed.map((tool) => ({ ...given, session: { ...session, completed: session.completed.filter((one) => one !== tool) } })),
    ...(session.case === undefined ? [] : [{ ...given, session: { ...session, case: `${session.case}-other` } }]),
    ...denials.flatMap((count) => {
      const denied = (size: number): TestGiven => ({
        ...given,
        session: { ...session, denied: Array.from({ length: size }, () => call ?? ANY) },
      });
      return count > 1_000 ? [] : [denied(count), denied(count + 1)];
    }),
    ...momentsOf(rules).map((at) => ({ ...given, at })),
    { ...given, isolation: 'advisory' },
    { ...given, approvals: [] },
    ...given.approvals.map((_, index) => ({ ...given, approvals: given.approvals.slice(0, index) })),
    ...withoutJustification(given),
  ];
}

const ANY = 'probe/denied' as ToolName;

function withoutJustification({ justification: _justification, ...given }: TestGiven): readonly TestGiven[] {
  return _justification === undefined ? [] : [given];
}

function momentsOf(rules: readonly Rule[]): readonly Instant[] {
  const edges = rules.flatMap(({ valid }) => [valid?.from, valid?.until]).filter((edge) => edge !== undefined);
  return edges.flatMap((edge) => [addMs(edge, -1), edge]);
}

function repeatsOf(rules: readonly Rule[]): readonly number[] {
  const counts = rules.flatMap(({ once, max, sequence }) => [once === undefined ? 0 : 1, max?.count ?? 0, sequence?.consecutive ?? 0]);
  return distinct(counts.filter((count) => count > 0 && count <= REPEATS_MAX));
}

/** Values by argument, as JSON text. */
type Bounds = ReadonlyMap<string, readonly string[]>;

interface Bounded {
  readonly rules: readonly Rule[];
  readonly tools: readonly Tool[];
  readonly policies: readonly CompiledPolicy[];
}

function argumentBounds({ rules, tools, policies }: Bounded): Bounds {
  const found = new Map<string, Set<string>>();
  const add = (name: string, texts: readonly string[]): void => void found.set(name, new Set([...(found.get(name) ?? []), ...texts]));
  for (const { arguments: schema } of tools) {
    const { properties } = schema;
    for (const [name, one] of Object.entries(isObject(properties) ? properties : {})) add(name, keywordBounds(one));
  }
  for (const { arguments: narrowed = {}, budget } of rules) {
    for (const [name, one] of Object.entries(narrowed)) add(name, keywordBounds(one));
    const summed = /^args\.([A-Za-z0-9_]+)$/.exec(budget?.sum ?? '')?.[1];
    if (summed !== undefined && /^[0-9.]+$/.test(budget?.max ?? '')) add(summed, around(budget?.max ?? ''));
  }
  for (const rule of rules)
    for (const { text } of expressionsOf(rule)) {
      const parsed = parseExpression(text);
      if (parsed.ok) for (const { environment } of policies.map(({ parts }) => parts)) compared(parsed.value, environment, add);
    }
  return new Map([...found].map(([name, texts]) => [name, [...texts]]));
}

function keywordBounds(schema: Json): readonly string[] {
  if (!isObject(schema)) return [];
  const { enum: members, const: only, minimum, maximum, type } = schema;
  return [
    ...(Array.isArray(members) ? (members as readonly Json[]).map((one) => JSON.stringify(one)) : []),
    ...(only === undefined ? [] : [JSON.stringify(only)]),
    ...[minimum, maximum].flatMap((edge) => (typeof edge === 'number' ? around(String(edge)) : [])),
    ...(type === 'boolean' ? ['true', 'false'] : []),
  ];
}

/** A number, and its neighbours on both sides. */
function around(edge: string): readonly string[] {
  const value = Number(edge);
  return Number.isSafeInteger(Math.trunc(value))
    ? [edge, String(Math.trunc(value) - 1), String(Math.trunc(value) + 1), `${Math.trunc(value)}.01`]
    : [edge];
}

/** What conditions compare arguments with: literals, and values of the environment. */
function compared(
  expression: Expression,
  environment: CompiledPolicy['parts']['environment'],
  add: (name: string, texts: readonly string[]) => void,
): void {
  if (expression.kind === 'binary') {
    const { left, right } = expression;
    for (const [one, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const [root, name, ...inside] = pathOf(one) ?? [];
      if (root === 'args' && name !== undefined && inside.length === 0) add(name, constantsOf(other, environment));
    }
  }
  for (const part of partsOf(expression)) compared(part, environment, add);
}

function constantsOf(expression: Expression, environment: CompiledPolicy['parts']['environment']): readonly string[] {
  if (expression.kind === 'literal') {
    const { value } = expression;
    if (typeof value === 'string') return [JSON.stringify(value)];
    return typeof value === 'bigint' || typeof value === 'number' ? around(String(value)) : [];
  }
  if (expression.kind === 'list') return expression.items.flatMap((item) => constantsOf(item, environment));
  if (expression.kind === 'call' && expression.name === 'decimal') {
    const [text] = expression.args;
    return text?.kind === 'literal' && typeof text.value === 'string' ? around(text.value) : [];
  }
  const [root, name] = pathOf(expression) ?? [];
  const known = root === 'env' && name !== undefined && Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (known === undefined) return [];
  if (known.type === 'integer' || known.type === 'decimal') return around(known.value.toString());
  if (known.type === 'strings') return known.value.map((one) => JSON.stringify(one));
  return known.type === 'boolean' ? [] : [JSON.stringify(known.value)];
}

/** An argument whose text stands here is written as it is: a number keeps its digits. */
class Verbatim {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function bentArguments(args: JsonObject, bounds: Bounds): readonly JsonObject[] {
  const bent = [...bounds].flatMap(([name, texts]) => texts.map((text) => ({ ...args, [name]: new Verbatim(text) as unknown as Json })));
  const without = Object.keys(args).map((name) => Object.fromEntries(Object.entries(args).filter(([key]) => key !== name)));
  return [...bent, ...without];
}

function textOf(args: JsonObject): string {
  const members = Object.entries(args).map(
    ([name, value]) =>
      `${JSON.stringify(name)}:${(value as unknown) instanceof Verbatim ? (value as unknown as Verbatim).text : JSON.stringify(value)}`,
  );
  return `{${members.join(',')}}`;
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
