/**
 * Rules in shadow: what each would have made of a call that went the other way. They are looked at after the decision has
 * been made, and have no way to change it. Spec: policy-v1 section 6.12.
 */

import type { DenialCode, RuleId } from '@sallyport/model';
import type { CompiledRule } from '../compile/compile.ts';
import { demandsOn, firstDenial } from './ceilings.ts';
import type { PolicyDecision } from './decide.ts';
import { REQUIREMENTS, isFor, unmetOf } from './requirements.ts';
import type { Call, Unmet } from './requirements.ts';

/** A rule that would have turned the decision about, had it been in force. */
export interface ShadowFinding {
  readonly ruleId: RuleId;
  readonly would: 'allow' | 'deny';
  /** With which code it would have denied. */
  readonly code?: DenialCode;
}

/** By id; each rule by itself, as if it alone had been added. */
export function shadowFindings(
  call: Call,
  { decision, isDenied }: { readonly decision: PolicyDecision; readonly isDenied: boolean },
): readonly ShadowFinding[] {
  // What a deny rule denies no allow rule would have allowed, and what is denied needs no other denial.
  if (isDenied) return [];
  return call.entry.shadows.flatMap((compiled): readonly ShadowFinding[] => {
    const { verb, id } = compiled.rule;
    if (decision.decision === 'allow') {
      const code = verb === 'allow' ? undefined : refusalOf(call, compiled);
      return code === undefined ? [] : [{ ruleId: id, would: 'deny', code }];
    }
    return verb === 'allow' && wouldGrant(call, compiled) ? [{ ruleId: id, would: 'allow' }] : [];
  });
}

/** The code with which a deny or require rule would have refused; `undefined` where it would not. */
function refusalOf(call: Call, compiled: CompiledRule): DenialCode | undefined {
  if (compiled.rule.verb === 'deny') return firstDenial(call, [compiled]) === undefined ? undefined : 'no_matching_policy';
  return firstOf(demandsOn(call, [compiled]).unmet)?.code;
}

function firstOf(list: readonly Unmet[]): Unmet | undefined {
  return list.toSorted((a, b) => REQUIREMENTS[a.requirement].row - REQUIREMENTS[b.requirement].row)[0];
}

function wouldGrant(call: Call, compiled: CompiledRule): boolean {
  return isFor(compiled, call.input.principal) && unmetOf(call, compiled) === undefined && demandsOn(call).unmet.length === 0;
}
