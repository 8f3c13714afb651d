/** What the sidecar knows of its decisions, asked over its administration socket, and where in the policy their rules stand. */

import { fromUtf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { POLICY_DIR } from './stage.ts';
import type { Stage } from './stage.ts';

export interface SeenDecision {
  readonly decision_id: string;
  readonly decision: 'allow' | 'deny';
  readonly code: string;
  readonly rule_id: string;
  readonly operator: string;
}

export interface DecisionReader {
  /** The decision on the call that was answered last; there must be one that was not told before. */
  next(): Promise<SeenDecision>;
  /** Passes over those that nobody asks about. */
  skip(): Promise<void>;
}

/** Reads decisions one by one, as the agent makes one call at a time. */
export function decisionReader(stage: Stage, io: Io): DecisionReader {
  // Owner: this reader.
  let lastId = '';
  const newest = async (): Promise<SeenDecision | undefined> => {
    const answer = await ask({ target: { socketPath: stage.adminSocket }, path: '/decisions', signal: io.signal });
    const { decisions } = JSON.parse(answer.body) as { readonly decisions: readonly { readonly decision: SeenDecision }[] };
    return decisions[0]?.decision;
  };
  return {
    async next() {
      const decision = await newest();
      if (decision === undefined || decision.decision_id === lastId)
        throw new Fault('upstream_protocol', 'upstream', 'the sidecar answered a call without a decision of its own');
      lastId = decision.decision_id;
      return decision;
    },
    async skip() {
      lastId = (await newest())?.decision_id ?? lastId;
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

/** `own-cost-center (rules.yaml:20)`; where no rule decided, the gate that did. */
export function ruleText(rule: string, lines: ReadonlyMap<string, string>): string {
  if (rule.startsWith('gate:')) return `the ${rule.slice('gate:'.length)} gate`;
  const line = lines.get(rule);
  if (line !== undefined) return `${rule} (${line})`;
  return rule === 'default-deny' ? 'default: no rule allows it' : rule;
}
