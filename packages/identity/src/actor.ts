/**
 * The claim `act` (RFC 8693, section 4.1): the agent that acts, and inside of it, each in the one after it, those who handed the
 * call on and with what authority. docs/spec/assertions-v1.md, section 2.
 */

import { type AgentName, type Json, type JsonObject, type Problem, isAgentName } from '@sallyport/model';
import { HOPS_MAX } from './delegation.ts';

/** An agent that handed the call on; one of another trust domain as `<domain>/<agent>`. */
export interface ActorHop {
  readonly agent: string;
  readonly authority: 'transferred' | 'retained';
}

/** The acting agent outermost; `chain` first to last, so that the one it began with is the innermost. */
export function actorClaim(agent: AgentName, chain: readonly ActorHop[]): JsonObject {
  const before = chain.reduce<JsonObject | undefined>(
    (inner, hop) => ({ sub: hop.agent, authority: hop.authority, ...(inner === undefined ? {} : { act: inner }) }),
    undefined,
  );
  return { sub: agent, ...(before === undefined ? {} : { act: before }) };
}

const OUTERMOST: readonly string[] = ['sub', 'act'];
const INNER: readonly string[] = ['sub', 'authority', 'act'];

/** Reads exactly what `actorClaim` writes: at most `HOPS_MAX` behind the acting agent, and no agent twice. */
export function readActor(act: Json | undefined, problems: Problem[]): { readonly agent: AgentName; readonly chain: readonly ActorHop[] } {
  const wrong = (message: string): { readonly agent: AgentName; readonly chain: readonly ActorHop[] } => {
    problems.push({ path: 'act', message });
    return { agent: '' as AgentName, chain: [] };
  };
  if (act === undefined) return wrong('is missing');
  const outermost = membersOf(act, OUTERMOST);
  const agent = outermost?.['sub'];
  if (outermost === undefined || typeof agent !== 'string' || !isAgentName(agent)) return wrong('is not exactly one agent');
  const chain: ActorHop[] = [];
  for (let inner = outermost['act']; inner !== undefined;) {
    const hop = membersOf(inner, INNER);
    const { sub, authority } = hop ?? {};
    if (hop === undefined || typeof sub !== 'string' || !isCalledAgent(sub) || (authority !== 'transferred' && authority !== 'retained'))
      return wrong('has an actor behind it that is no agent with its authority');
    chain.unshift({ agent: sub, authority });
    if (chain.length > HOPS_MAX) return wrong(`has more than ${HOPS_MAX} actors behind it`);
    inner = hop['act'];
  }
  return new Set([agent, ...chain.map((hop) => hop.agent)]).size > chain.length ? { agent, chain } : wrong('names an agent twice');
}

function membersOf(value: Json, names: readonly string[]): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.keys(value).every((name) => names.includes(name)) ? (value as JsonObject) : undefined;
}

function isCalledAgent(name: string): boolean {
  const slash = name.indexOf('/');
  return isAgentName(name.slice(slash + 1)) && (slash < 0 || /^[a-z0-9._-]{1,255}$/.test(name.slice(0, slash)));
}
