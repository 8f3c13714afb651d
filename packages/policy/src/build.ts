/** Source to bundle parts: canonical JSON bytes, the same for the same meaning. */

import type { PartName, Problem, Result } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { PolicySource } from './documents.ts';

export interface BuiltParts {
  readonly parts: Readonly<Record<PartName, Uint8Array>>;
  /** What the rules use of the language, sorted; goes into the bundle's `features`. */
  readonly features: readonly string[];
  readonly ruleCount: number;
  readonly toolCount: number;
  readonly testCount: number;
  readonly warnings: readonly Problem[];
}

/** Compiles the source once to find every problem, then writes the parts. */
export function buildParts(_source: PolicySource): Result<BuiltParts, readonly Problem[]> {
  throw new Bug('to come');
}
