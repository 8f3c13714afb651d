/** The forms of a report: text for people, JSON for programs, SARIF and JUnit for CI, Markdown for a pull request. */

import { formatProblem } from '@sallyport/model';
import type { Exit, Io } from '../io.ts';
import { choice } from '../option.ts';
import type { Option } from '../option.ts';
import type { Output } from '../output.ts';
import type { Report } from './finding.ts';
import { junitOf } from './junit.ts';
import { markdownOf } from './markdown.ts';
import { sarifOf } from './sarif.ts';

const FORMATS = ['text', 'json', 'junit', 'sarif', 'markdown'] as const;
export type Format = (typeof FORMATS)[number];

export const formatOption: Option<Format> = choice('--format FORM', 'the form of the answer', FORMATS);

/** Writes the report in the form that was asked for; `--json` and `--format json` are the same. */
export async function answerReport(report: Report, format: Format, { out, io }: { readonly out: Output; readonly io: Io }): Promise<Exit> {
  const written = out.isJson || format === 'json' ? JSON.stringify(report.json) : WRITERS[format](report);
  await io.write(`${written}\n`);
  return report.isGood ? 0 : 1;
}

const WRITERS: Readonly<Record<Exclude<Format, 'json'>, (report: Report) => string>> = {
  text: ({ text, findings, verdict }) => text ?? [...findings.map(({ problem }) => formatProblem(problem)), verdict].join('\n'),
  junit: junitOf,
  sarif: sarifOf,
  markdown: markdownOf,
};
