/** A policy that may be built: read, compiled, and all its tests passed. What fails here is never signed. */

import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { runTests } from '@sallyport/policy';
import type { BuiltParts, TestReport } from '@sallyport/policy';
import type { Io } from '../io.ts';
import type { Refusal } from '../output.ts';
import { located, readPolicy } from './read-policy.ts';
import type { ReadOptions } from './read-policy.ts';

export interface TestedPolicy {
  readonly built: BuiltParts;
  readonly report: TestReport;
}

export function readTestedPolicy(dir: string, io: Pick<Io, 'cwd'>, options?: ReadOptions): Result<TestedPolicy, Refusal> {
  const built = readPolicy(dir, io, options);
  if (!built.ok) return built;
  const report = runTests(built.value.policy);
  if (report.failed > 0) return fail({ exit: 1, problems: located(dir, report.problems) });
  return ok({ built: built.value, report });
}
