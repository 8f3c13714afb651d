/** Why a decision fell as it did, and the smallest change that flips it. For people with the right to see rules. */

import { Bug } from '@sallyport/model';
import type { CompiledPolicy } from './compile.ts';
import type { PolicyDecision, PolicyInput, Unmet } from './decide.ts';
import type { Source, Verb } from './rule.ts';

export interface Explanation {
  readonly decision: PolicyDecision;
  /** Every rule that is about this tool, the one that answers first. */
  readonly rules: readonly {
    readonly ruleId: string;
    readonly verb: Verb;
    readonly source?: Source;
    readonly matches: boolean;
    readonly unmet: readonly (Unmet & { readonly values: Readonly<Record<string, string>> })[];
  }[];
  /** What would have to differ for the opposite decision, as sentences; empty where nothing small would do. */
  readonly change: readonly string[];
}

export function explain(_policy: CompiledPolicy, _input: PolicyInput): Explanation {
  throw new Bug('to come');
}

/** The explanation as text for a terminal, no trailing newline. */
export function formatExplanation(_explanation: Explanation): string {
  throw new Bug('to come');
}
