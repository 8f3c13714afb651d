/**
 * Everything that a policy's answer to calls of one tool by one agent depends on, as text: two policies with the same
 * slice answer every such call alike, whatever the caller, the arguments and the session. Spec: policy-lab section 3.
 */

import { digestOf, utf8 } from '@sallyport/crypto';
import { serverOf } from '@sallyport/model';
import type { AgentName, Json, ToolName } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import { encodeEnvironmentValue } from '../check/environment.ts';
import { attributeTypesOf, entryOf, observeOf } from '../compile/compile.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { encodeTool } from '../grammar/catalog.ts';
import { encodeObserve } from '../grammar/observe.ts';
import { encodeRule } from '../grammar/rule.ts';
import type { Rule } from '../rule.ts';

/** What no allow rule is about: every call is answered as if the tool did not exist. */
export const CLOSED = 'closed';

export function sliceOf(policy: CompiledPolicy, agent: AgentName, tool: ToolName): string {
  const entry = entryOf(policy, agent, tool);
  if (entry === undefined || entry.allows.length === 0) return CLOSED;
  const rules = [...entry.denies, ...entry.requires, ...entry.allows].map(({ rule }) => ruleText(rule));
  const texts = rules.join('\n');
  const { description: _description, deny_as: _denyAs, ...known } = encodeTool(entry.tool) as Readonly<Record<string, Json>>;
  const { environment } = policy.parts;
  const observe = observeOf(policy, agent);
  const read = Object.entries(environment).filter(([name]) => readsValue(texts, name));
  return canonicalJson({
    tool: known,
    routes: routesBeside(policy, tool),
    rules: rules.toSorted(),
    environment: Object.fromEntries(read.map(([name, value]) => [name, encodeEnvironmentValue(value)])),
    attributes: Object.fromEntries(attributeTypesOf(policy)),
    countsSteps: entry.countsSteps,
    observe: observe === undefined ? null : encodeObserve({ ...observe, agents: '*' }),
    agent: entry.agentFacts.enforced as Json,
    ...(entry.handingOn === undefined ? {} : { handingOn: entry.handingOn as unknown as Json }),
    // What a session notes is other tools' doing.
    session: /session\s*[.[]/.test(texts) ? notesOfAll(policy) : '',
  });
}

/** Whether a text with conditions in it reads a value of the environment; one that spells it in another way might. */
export function readsValue(text: string, name: string): boolean {
  return text.includes(`env.${name}`) || /\benv\s*\[|\benv\s+\.|\benv\.\s/.test(text);
}

/** What is the same for all tools of a policy or a server, so that thousands of tools are not written thousands of times. Written by `once` alone. */
const shared = new WeakMap<CompiledPolicy, Map<string, string>>();

function once(policy: CompiledPolicy, key: string, make: () => string): string {
  const known = shared.get(policy) ?? new Map<string, string>();
  shared.set(policy, known);
  const text = known.get(key) ?? make();
  known.set(key, text);
  return text;
}

/** The routes of a tool's server: arguments that spell another one's path are refused. */
export function routesBeside(policy: CompiledPolicy, tool: ToolName): string {
  const server = `${serverOf(tool)}/`;
  return once(policy, server, () => {
    const routes = policy.parts.tools.filter(({ name, route }) => route !== undefined && name.startsWith(server));
    return digestOf(utf8(JSON.stringify(routes.map(({ name, route }) => [name, route?.method, route?.path]))));
  });
}

/** What the tools of a policy have sessions note. */
export function notesOfAll(policy: CompiledPolicy): string {
  return once(policy, 'notes', () =>
    digestOf(utf8(JSON.stringify(policy.parts.tools.map(({ name, classes, touches, remember }) => [name, classes, touches, remember])))),
  );
}

/** A rule by what it says of a tool that it is about. Which other tools it is about counts where it counts calls. */
export function ruleText(rule: Rule): string {
  const { agent: _agent, agents: _agents, [rule.verb]: selectors = null, ...rest } = encodeRule(rule) as Readonly<Record<string, Json>>;
  const isCounting = [rule.once, rule.max, rule.sequence, rule.budget].some((limit) => limit !== undefined);
  return canonicalJson({ ...rest, verb: rule.verb, selectors: isCounting ? selectors : null });
}
