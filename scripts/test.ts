/**
 * `npm test [-- <vitest arguments>]`: every vitest project, with a JSON report in reports/vitest.json. `--long` asks
 * for the long forms (SALLYPORT_LONG=1). Its last line is exactly `N passed, N failed, N skipped`.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lastLine, notRun, readTestReport, tally } from './test-report.ts';

const ROOT = join(import.meta.dirname, '..');
const REPORT = join(ROOT, 'reports', 'vitest.json');

/** Runs vitest to its end and prints the summary. Returns the exit code. */
function main(args: readonly string[]): number {
  mkdirSync(join(ROOT, 'reports'), { recursive: true });
  // An old report must not speak for a run that wrote none.
  rmSync(REPORT, { force: true });
  const isLong = args.includes('--long');
  const vitest = spawnSync(
    process.execPath,
    [
      join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${REPORT}`,
      ...args.filter((arg) => arg !== '--long'),
    ],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...(isLong ? { SALLYPORT_LONG: '1' } : {}) } },
  );
  const files = readReport();
  const counted = tally(files);
  const isGreen = vitest.status === 0 && counted.failed === 0 && counted.passed > 0;
  for (const line of notRun(files)) console.log(line);
  console.log(lastLine(isGreen ? counted : { ...counted, failed: Math.max(1, counted.failed) }));
  return isGreen ? 0 : 1;
}

/** No report, or one that cannot be read, is no test passed. */
function readReport(): ReturnType<typeof readTestReport> {
  try {
    return readTestReport(REPORT, readFileSync(REPORT, 'utf8'));
  } catch (error) {
    console.error(`no report: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

process.exitCode = main(process.argv.slice(2));
