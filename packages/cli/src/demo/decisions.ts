/** What the sidecar says of its decisions over its administration socket, and where in the policy their rules stand. */

import { fromUtf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import type { Io } from '../io.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { placeText } from '../policy/decision-text.ts';
import { sidecarDecisions } from '../policy/sidecar-decisions.ts';
import type { SeenDecision } from '../policy/sidecar-decisions.ts';
import { POLICY_DIR } from './stage.ts';
import type { Stage } from './stage.ts';

export type { SeenDecision } from '../policy/sidecar-decisions.ts';

export interface DecisionReader {
  /** The decision on the call that was answered last; a Fault where there is none that was not told before. */
  next(): Promise<SeenDecision>;
  /** Passes over those that nobody asks about. */
  skip(): Promise<void>;
}

/** Reads decisions one by one, as the agent makes one call at a time. */
export function decisionReader(stage: Stage, io: Io): DecisionReader {
  const from = sidecarDecisions(stage.adminSocket, io);
  // Owner: this reader.
  let lastId = '';
  const newest = async (): Promise<SeenDecision | undefined> => {
    const listed = await from.list({ limit: 1 });
    if (!listed.ok) throw new Fault('upstream_protocol', 'upstream', listed.error.problems.map(({ message }) => message).join('; '));
    return listed.value.decisions[0];
  };
  return {
    async next() {
      const seen = await newest();
      if (seen === undefined || seen.decision.decision_id === lastId)
        throw new Fault('upstream_protocol', 'upstream', 'the sidecar answered a call without a decision of its own');
      lastId = seen.decision.decision_id;
      return seen;
    },
    async skip() {
      lastId = (await newest())?.decision.decision_id ?? lastId;
    },
  };
}

/** Where each rule of the stage's policy stands, from its folder on: `rules.yaml:12`. */
export function ruleLines(stage: Stage, io: Io): ReadonlyMap<string, string> {
  const built = readPolicy(POLICY_DIR, { ...io, cwd: stage.dir });
  if (!built.ok) throw new Fault('config_invalid', 'internal', 'the policy of the stage cannot be read');
  const { sources } = JSON.parse(fromUtf8(built.value.parts.tests) ?? '{}') as { readonly sources: Readonly<Record<string, string>> };
  return new Map(Object.entries(sources));
}

/** `own-cost-center (rules.yaml:20)`, as the sidecar says it; where no rule decided, the gate that did. */
export function ruleText({ decision, why }: SeenDecision): string {
  return placedRule(decision.rule_id, placeText(why?.source, undefined));
}

/** The same, from a rule and its place; no place for what is no rule. */
export function placedRule(rule: string, place: string | undefined): string {
  if (rule.startsWith('gate:')) return `the ${rule.slice('gate:'.length)} gate`;
  if (rule === 'default-deny') return 'default: no rule allows it';
  return place === undefined || place === '' ? rule : `${rule} (${place})`;
}

/** What the answering rule lacked, in the sidecar's own words: `args.employee_id == principal.id` is false. */
export function lackText({ decision, why }: SeenDecision): string | undefined {
  return why?.unmet.find(({ code }) => code === decision.code)?.says;
}
