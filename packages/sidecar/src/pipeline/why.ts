/**
 * Why a decision fell, for the window on the last decisions (`admin/`): where the rule stands, what was unmet, what would
 * flip it. Made when the decision is made, of names and of the policy's own words, so that no argument has to be kept to
 * answer a question that may never be asked. It is written nowhere, and no caller hears of it.
 */

import type { Denial } from '@sallyport/model';
import { explainDenial, type Source } from '@sallyport/policy';
import type { CallFacts } from './facts.ts';
import type { Place } from './gate.ts';
import type { Ports, UnmetWhy, Why } from './ports.ts';

/** What a caller can make one entry hold. */
const ITEMS_MAX = 16;
const TEXT_CHARS_MAX = 512;

/** Of an allowed call: the place of the rule that allowed it. */
export function whyAllowed({ decision }: Pick<CallFacts, 'decision'>): Why {
  return { source: decision.source ?? null, fields: [], unmet: [], change: [] };
}

/** Of a refusal, from whatever was proven before it. To be asked before the session is told that it was refused. */
export function whyRefused(
  facts: Partial<CallFacts>,
  { gate, denial }: { gate: Place; denial: Denial },
  { clock }: Pick<Ports, 'clock'>,
): Why {
  const { held, session, tool, args, isolation } = facts;
  const parts = held?.snapshot.policy.parts;
  const source = denial.ruleId === undefined ? null : sourceOf(parts?.sources, denial.ruleId);
  const plain: Why = { source, fields: (denial.fields ?? []).slice(0, ITEMS_MAX).map(cut), unmet: [], change: [] };
  if (gate !== 'authorization' || held === undefined || session === undefined || tool === undefined || args === undefined) return plain;
  const { principal, agent, delegation } = session;
  const chain = delegation?.call.chain ?? [];
  const asked = {
    principal,
    agent,
    tool: tool.tool,
    args,
    session: session.facts(),
    now: clock.wall(),
    chain,
    ...(isolation === undefined ? {} : { isolation }),
  };
  const explained = explainDenial(held.snapshot.policy, asked);
  // A parallel call may have changed the session's facts since; then the other decision's reasons are not this one's.
  if (explained?.decision.code !== denial.code || explained.decision.ruleId !== denial.ruleId) return plain;
  return { ...plain, unmet: explained.unmet.slice(0, ITEMS_MAX).map(unmetOf), change: explained.change.slice(0, ITEMS_MAX).map(cut) };
}

function unmetOf(one: { requirement: string; code: UnmetWhy['code']; ruleId: string; detail: string; source?: Source }): UnmetWhy {
  return { requirement: one.requirement, code: one.code, rule_id: one.ruleId, source: one.source ?? null, says: cut(one.detail) };
}

function sourceOf(sources: Readonly<Record<string, Source>> | undefined, ruleId: string): Source | null {
  return sources !== undefined && Object.hasOwn(sources, ruleId) ? (sources[ruleId] ?? null) : null;
}

function cut(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 1)}…`;
}
