/** What the rules that cut across say of a call: which deny rule denies it, and what require rules add. Neither grants. */

import type { CompiledRule } from '../compile/compile.ts';
import { isFor, unless, unmet, unmetOf } from './requirements.ts';
import type { Call, Unmet } from './requirements.ts';

export interface Denied {
  readonly compiled: CompiledRule;
  /** In the policy's own words. */
  readonly why: string;
}

/** The first of the deny rules, by id, that matches or that cannot be evaluated. */
export function firstDenial(call: Call, denies: readonly CompiledRule[] = call.entry.denies): Denied | undefined {
  for (const compiled of denies) {
    if (!isFor(compiled, call.input.principal)) continue;
    const value = compiled.when === undefined ? true : call.value(compiled.when);
    if (value === false) continue;
    // Anything but `false` denies: a condition that errs must not let through what it was written to stop.
    const why =
      compiled.when === undefined
        ? 'the rule denies this tool'
        : value === true
          ? `\`${compiled.when.text}\` holds`
          : (unless(call, compiled.when) ?? '');
    return { compiled, why };
  }
  return undefined;
}

export interface Demands {
  /** Require rules that apply to the call. */
  readonly rules: readonly CompiledRule[];
  readonly unmet: readonly Unmet[];
}

const NO_DEMANDS: Demands = { rules: [], unmet: [] };

/** What require rules add, whichever allow rule grants. One whose `when` cannot be evaluated applies and is not met. */
export function demandsOn(call: Call, requires: readonly CompiledRule[] = call.entry.requires): Demands {
  if (requires.length === 0) return NO_DEMANDS;
  const rules: CompiledRule[] = [];
  const list: Unmet[] = [];
  for (const compiled of requires) {
    if (!isFor(compiled, call.input.principal)) continue;
    const guard = compiled.when === undefined ? true : call.value(compiled.when);
    if (guard === false) continue;
    rules.push(compiled);
    if (guard !== true && compiled.when !== undefined) {
      list.push(unmet('when', compiled, { subject: compiled.when.text, detail: unless(call, compiled.when) ?? '' }));
    } else {
      list.push(...(unmetOf(call, compiled) ?? []));
    }
  }
  return { rules, unmet: list };
}
