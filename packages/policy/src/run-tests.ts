/** Runs the tests that travel with a policy: real compile, real decide, given facts. */

import { Bug } from '@sallyport/model';
import type { DenialCode, Problem, ToolName } from '@sallyport/model';
import type { CompiledPolicy } from './compile.ts';
import type { Explanation } from './explain.ts';
import type { Source, TestSuite } from './rule.ts';

export interface TestOutcome {
  readonly call: ToolName;
  readonly source: Source;
  readonly expected: 'allow' | DenialCode;
  readonly seen: 'allow' | DenialCode;
  readonly passed: boolean;
  readonly explanation?: Explanation;
}

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly outcomes: readonly TestOutcome[];
  /** One per failing case, with file and line. */
  readonly problems: readonly Problem[];
}

/** Tests default to those of the policy's own parts. */
export function runTests(_policy: CompiledPolicy, _tests?: readonly TestSuite[]): TestReport {
  throw new Bug('to come');
}
