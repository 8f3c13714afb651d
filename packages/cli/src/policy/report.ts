/** The report of a test run: as JSON for people's tools, and as the bytes whose digest a bundle carries. */

import { utf8 } from '@sallyport/crypto';
import type { JsonObject } from '@sallyport/model';
import type { TestReport } from '@sallyport/policy';

export function reportJson({ passed, failed, outcomes }: TestReport): JsonObject {
  return {
    passed,
    failed,
    outcomes: outcomes.map(({ call, source, expected, seen, passed: isPassed }) => ({
      call,
      file: source.file,
      line: source.line,
      expected,
      seen,
      passed: isPassed,
    })),
  };
}

/** The same policy and tests give the same bytes: nothing in them comes from a clock or a machine. */
export function reportBytes(report: TestReport): Uint8Array {
  return utf8(`${JSON.stringify(reportJson(report))}\n`);
}
