/**
 * Everything that a policy's answer to calls of one tool by one agent depends on, as text: two policies with the same
 * slice answer every such call alike, whatever the caller, the arguments and the session. Spec: policy-lab section 3.
 */

import type { AgentName, Json, ToolName } from '@sallyport/model';
import { canonicalJson } from '../canonical.ts';
import { attributeTypesOf, entryOf } from '../compile.ts';
import type { CompiledPolicy } from '../compile.ts';
import { encodeEnvironmentValue } from '../environment.ts';
import { encodeTool } from '../grammar-catalog.ts';
import { encodeRule } from '../grammar-rule.ts';
import type { Rule } from '../rule.ts';

/** What no allow rule is about: every call is answered as if the tool did not exist. */
export const CLOSED = 'closed';

export function sliceOf(policy: CompiledPolicy, agent: AgentName, tool: ToolName): string {
  const entry = entryOf(policy, agent, tool);
  if (entry === undefined || entry.allows.length === 0) return CLOSED;
  const rules = [...entry.denies, ...entry.requires, ...entry.allows].map(({ rule }) => ruleText(rule));
  const texts = rules.join('\n');
  const { description: _description, deny_as: _denyAs, ...known } = encodeTool(entry.tool) as Readonly<Record<string, Json>>;
  const { environment, tools } = policy.parts;
  const read = Object.entries(environment).filter(([name]) => texts.includes(`env.${name}`));
  return canonicalJson({
    tool: known,
    rules: rules.toSorted(),
    environment: Object.fromEntries(read.map(([name, value]) => [name, encodeEnvironmentValue(value)])),
    attributes: Object.fromEntries(attributeTypesOf(policy)),
    countsSteps: entry.countsSteps,
    agent: entry.agentFacts as Json,
    // What a session notes is other tools' doing.
    session: /session\s*[.[]/.test(texts)
      ? tools.map(({ name, classes, touches, remember }) => notesText({ name, classes, touches, remember }))
      : [],
  });
}

/** A rule by what it says of a tool that it is about: which other tools it is about is no part of it. */
export function ruleText(rule: Rule): string {
  const { agent: _agent, [rule.verb]: _selectors, ...rest } = encodeRule(rule) as Readonly<Record<string, Json>>;
  return canonicalJson({ ...rest, verb: rule.verb });
}

function notesText(noted: object): string {
  return JSON.stringify(noted);
}
