/** The walk over the tree that `JSON.parse` made: its own members are counted, its names and strings looked at. */

import type { Json } from '@sallyport/model';
import type { JsonProblem } from './judged.ts';
import { formatPlace } from './place.ts';
import type { Step } from './place.ts';

export interface WalkOptions {
  readonly caseDistinctDepth: number;
  /** Whether strings may hold lone surrogates at all; without an escape that spells one they cannot. */
  readonly isSurrogateSought: boolean;
  readonly problemsMax: number;
}

export interface Walk {
  /** Object members in the whole tree. */
  readonly members: number;
  readonly problems: readonly JsonProblem[];
}

/** Recursive: the caller has bounded the depth. */
export function walkTree(tree: Json, options: WalkOptions): Walk {
  const { caseDistinctDepth, isSurrogateSought, problemsMax } = options;
  const problems: JsonProblem[] = [];
  const steps: Step[] = [];
  let members = 0;

  const report = (code: 'colliding_key' | 'lone_surrogate', message: string, ...more: Step[]): void => {
    if (problems.length < problemsMax) problems.push({ code, path: formatPlace([...steps, ...more]), message });
  };
  const visitObject = (value: Readonly<Record<string, Json>>): void => {
    const keys = Object.keys(value);
    members += keys.length;
    if (steps.length < caseDistinctDepth && keys.length > 1) {
      const folded = new Set<string>();
      for (const key of keys) {
        const before = folded.size;
        if (folded.add(foldCase(key)).size === before) report('colliding_key', 'the key differs from another by case alone', key);
      }
    }
    for (const key of keys) {
      if (isSurrogateSought && !key.isWellFormed()) report('lone_surrogate', 'the key holds half a surrogate pair', key.toWellFormed());
      visit(value[key] as Json, key);
    }
  };
  const visit = (value: Json, step: Step | undefined): void => {
    if (typeof value === 'string') {
      if (isSurrogateSought && !value.isWellFormed()) {
        report('lone_surrogate', 'the string holds half a surrogate pair', ...(step === undefined ? [] : [step]));
      }
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    if (step !== undefined) steps.push(step);
    if (Array.isArray(value)) for (let i = 0; i < value.length; i++) visit(value[i] as Json, i);
    else visitObject(value as Readonly<Record<string, Json>>);
    if (step !== undefined) steps.pop();
  };

  visit(tree, undefined);
  return { members, problems };
}

/**
 * One spelling for names that a case-insensitive reader takes for one. Up and then down, so that the long s and the
 * Kelvin sign fold as well: `encoding/json` of Go and others take them for `s` and `k`.
 */
export function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}
