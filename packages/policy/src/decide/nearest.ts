/** Of allow rules that all lack something, the one that answers: that which lacks least, ties to the lower id. */

import type { CompiledRule } from '../compile/compile.ts';
import type { Unmet } from './requirements.ts';

export interface Lacking {
  readonly compiled: CompiledRule;
  readonly list: readonly Unmet[];
}

export function nearer(one: Lacking | undefined, other: Lacking): Lacking {
  if (one === undefined || other.list.length < one.list.length) return other;
  return other.list.length === one.list.length && other.compiled.rule.id < one.compiled.rule.id ? other : one;
}
