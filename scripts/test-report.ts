/**
 * Reads vitest's JSON reports, and nothing of vitest itself: what ran, how it ended, and which engines were missing.
 * Used by `npm test` for its last line and by `npm run requirements` for what is proven.
 */

export type TestEnd = 'passed' | 'failed' | 'skipped';

export interface TestRun {
  /** Titles of the enclosing suites and of the test, joined by spaces. */
  readonly title: string;
  readonly end: TestEnd;
  readonly file: string;
}

export interface FileRun {
  readonly file: string;
  /** The file failed outside its tests: at import, or in a hook. What passed in it proves nothing. */
  readonly isBroken: boolean;
  readonly tests: readonly TestRun[];
}

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Parses a report (`--reporter=json`). Anything that is not one is an error that names `source`. */
export function readTestReport(source: string, text: string): readonly FileRun[] {
  const report = parse(source, text);
  if (!isObject(report) || !Array.isArray(report['testResults'])) throw new Error(`${source}: not a vitest JSON report`);
  return report['testResults'].map((result: unknown) => readFileRun(source, result));
}

/** How many tests ended how. A file that is broken without a failed test in it counts as one failure. */
export function tally(files: readonly FileRun[]): Tally {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    for (const test of file.tests) count[test.end] += 1;
    if (file.isBroken) count.failed += 1;
  }
  return count;
}

/** One line for each engine that a skipped test asked for (`test/engines.ts` writes the words into the title). */
export function notRun(files: readonly FileRun[]): readonly string[] {
  const lines = new Set<string>();
  for (const { title, end } of files.flatMap((file) => file.tests)) {
    const asked = end === 'skipped' ? /not run: needs [a-z]+/.exec(title) : null;
    if (asked !== null) lines.add(asked[0]);
  }
  return [...lines].toSorted();
}

/** The line that ends `npm test`. */
export function lastLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function readFileRun(source: string, result: unknown): FileRun {
  if (!isObject(result) || typeof result['name'] !== 'string' || !Array.isArray(result['assertionResults'])) {
    throw new Error(`${source}: a test file without \`name\` or \`assertionResults\``);
  }
  const file = result['name'];
  const tests = result['assertionResults'].map((test: unknown): TestRun => {
    if (!isObject(test) || typeof test['fullName'] !== 'string') throw new Error(`${source}: a test without \`fullName\` in ${file}`);
    return { title: test['fullName'], end: endOf(test['status']), file };
  });
  return { file, isBroken: result['status'] !== 'passed' && tests.every((test) => test.end !== 'failed'), tests };
}

/** Only `passed` is a pass; `todo`, `pending`, `disabled` and whatever comes later are no proof. */
function endOf(status: unknown): TestEnd {
  if (status === 'passed') return 'passed';
  return status === 'failed' ? 'failed' : 'skipped';
}

function parse(source: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${source}: not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
