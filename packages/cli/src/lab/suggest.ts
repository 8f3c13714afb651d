/**
 * The narrowest allow rules that recorded denials ask for: per agent, tool and tenant, for the very people who were denied.
 * Only calls that no rule was for are asked about: what a rule of the author's refused is that rule's to mend. Nothing is
 * broader than what was seen, and what a record does not hold (roles, arguments) is said, not guessed.
 */

import { encodeHex, sha256, utf8 } from '@sallyport/crypto';
import { isAgentName, isToolName, serverOf } from '@sallyport/model';
import type { AgentName, Instant, ToolName } from '@sallyport/model';
import type { CompiledPolicy } from '@sallyport/policy';
import type { RecordedCall } from '@sallyport/policy/lab';

export interface Suggestion {
  readonly id: string;
  readonly agent: AgentName;
  readonly tool: ToolName;
  readonly tenant: string;
  /** Sorted. */
  readonly principals: readonly string[];
  readonly seen: Seen;
  /** What the policy says of the tool; `undefined` without one. */
  readonly effect: string | undefined;
  /** Rules that allow the tool to others, by id. */
  readonly others: readonly string[];
}

export interface Seen {
  readonly count: number;
  /** Let pass because the agent was observed. */
  readonly observed: number;
  readonly from: Instant;
  readonly to: Instant;
  /** The first few. */
  readonly decisionIds: readonly string[];
}

/** Denials that no rule is suggested for, and why. */
export interface Unsuggested {
  readonly tool: string;
  readonly why: string;
  readonly count: number;
}

export interface Suggestions {
  readonly suggestions: readonly Suggestion[];
  readonly unsuggested: readonly Unsuggested[];
}

export interface Suggester {
  add(call: RecordedCall): void;
  end(): Suggestions;
}

/** As many principals as one list of a rule holds; decisions named in a comment; groups held at once. */
const PRINCIPALS_MAX = 256;
const DECISIONS_SHOWN = 5;
const GROUPS_MAX = 10_000;

interface Group {
  readonly agent: AgentName;
  readonly tool: ToolName;
  readonly tenant: string;
  readonly principals: Set<string>;
  count: number;
  observed: number;
  from: Instant;
  to: Instant;
  readonly decisionIds: string[];
}

export function suggester(policy: CompiledPolicy | undefined): Suggester {
  // Owner: this value.
  const groups = new Map<string, Group>();
  const unsuggested = new Map<string, { readonly tool: string; readonly why: string; count: number }>();
  return {
    add(call) {
      if (call.decision !== 'deny') return;
      const why = whyNot(call, policy);
      if (why !== undefined) {
        if (why === '') return;
        const key = `${call.tool} ${why}`;
        const known = unsuggested.get(key) ?? { tool: call.tool, why, count: 0 };
        known.count += 1;
        if (unsuggested.size < GROUPS_MAX || unsuggested.has(key)) unsuggested.set(key, known);
        return;
      }
      const { agent, tenant = '', principal = '' } = call;
      const tool = call.tool as ToolName;
      const key = JSON.stringify([agent, tool, tenant]);
      const group = groups.get(key) ?? {
        agent,
        tool,
        tenant,
        principals: new Set(),
        count: 0,
        observed: 0,
        from: call.at,
        to: call.at,
        decisionIds: [],
      };
      if (groups.size >= GROUPS_MAX && !groups.has(key)) return;
      groups.set(key, group);
      group.principals.add(principal);
      group.count += 1;
      if (call.isObserved === true) group.observed += 1;
      if (call.at < group.from) group.from = call.at;
      if (call.at > group.to) group.to = call.at;
      if (group.decisionIds.length < DECISIONS_SHOWN) group.decisionIds.push(call.decisionId);
    },
    end: () => ({
      suggestions: [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, group]) => suggestionsOf(group, policy)),
      unsuggested: [...unsuggested.values()].toSorted((a, b) => b.count - a.count || (a.tool < b.tool ? -1 : 1)),
    }),
  };
}

/** Why no rule is suggested; empty for what is not policy's at all. */
function whyNot(call: RecordedCall, policy: CompiledPolicy | undefined): string | undefined {
  const { gate, code, ruleId, agent, tool, principal, tenant } = call;
  if (gate !== 'tool' && gate !== 'authorization') return '';
  if (gate === 'tool' && (code !== 'tool_not_allowed' || tool === '-')) return '';
  if (gate === 'authorization' && ruleId !== 'default-deny') return `rule ${ruleId} refused it (${code}): mend that rule, or the call`;
  if (!isAgentName(agent) || !isToolName(tool)) return 'this is no name of a tool';
  if (principal === undefined || tenant === undefined) return 'the record does not know who called';
  if (principal === 'anonymous') return 'nobody signed in: a rule for anonymous is written by hand';
  if (!isToken(principal) || !isToken(tenant)) return 'who called has a name that no rule can hold';
  return policy === undefined ? undefined : whyNotIn(policy, { agent, tool });
}

function whyNotIn(
  policy: CompiledPolicy,
  { agent: name, tool }: { readonly agent: AgentName; readonly tool: ToolName },
): string | undefined {
  const agent = policy.agent(name);
  if (agent === undefined) return `the policy has no agent ${name}`;
  if (policy.tool(tool) === undefined) return 'the policy has no such tool';
  return agent.uses.includes(serverOf(tool)) ? undefined : `agent ${name} does not use server ${serverOf(tool)}`;
}

/** As a rule takes names: no white space, nothing invisible, no reference. */
function isToken(name: string): boolean {
  return /^[^\s\p{C}]{1,256}$/u.test(name) && !name.includes('${');
}

function suggestionsOf(
  { agent, tool, tenant, principals, decisionIds, ...seen }: Group,
  policy: CompiledPolicy | undefined,
): readonly Suggestion[] {
  const sorted = [...principals].toSorted();
  const chunks = Array.from({ length: Math.ceil(sorted.length / PRINCIPALS_MAX) }, (_, at) =>
    sorted.slice(at * PRINCIPALS_MAX, (at + 1) * PRINCIPALS_MAX),
  );
  return chunks.map((chunk, at) => ({
    id: idOf(agent, tool, `${tenant} ${at}`),
    agent,
    tool,
    tenant,
    principals: chunk,
    seen: { ...seen, decisionIds },
    effect: policy?.tool(tool)?.effect,
    others: (policy?.parts.rules ?? [])
      .filter(({ verb, tools }) => verb === 'allow' && tools.some((one) => 'tool' in one && one.tool === tool))
      .map(({ id }) => id),
  }));
}

/** The same for the same denials; what makes two differ is not left to how their names look. */
function idOf(agent: string, tool: string, more: string): string {
  const slug = tool
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 40);
  return `suggested-${slug}-${encodeHex(sha256(utf8(`${agent} ${tool} ${more}`))).slice(0, 8)}`;
}
