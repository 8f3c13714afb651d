/** A report as JUnit XML: what every CI shows as a list of tests. */

import { formatProblem } from '@sallyport/model';
import { visibleText } from '../onboard/visible-text.ts';
import type { Finding, Report, TriedCase } from './finding.ts';

/**
 * Cases as tests, and each finding that is an error and no case's own as a test that failed. A report without either has
 * one test, the command itself, so that a run that found nothing is not taken for one that did not run.
 */
export function junitOf({ command, cases, findings, verdict }: Report): string {
  const ofFindings = findings.filter(({ id }) => id !== 'test-failed').map((finding) => caseOf(finding, command));
  const all = [...cases, ...ofFindings];
  const tried = all.length > 0 ? all : [{ suite: command, name: verdict }];
  const suites = [...new Set(tried.map(({ suite }) => suite))];
  const failures = tried.filter(({ failure }) => failure !== undefined).length;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: `sallyport ${command}`, tests: tried.length, failures })}>`,
    ...suites.flatMap((suite) => suiteOf(suite, tried)),
    '</testsuites>',
  ].join('\n');
}

/** Warnings and notes pass; they stand there to be read. */
function caseOf({ id, level, problem }: Finding, command: string): TriedCase {
  const { file, line, message } = problem;
  return {
    suite: id === 'coverage-gap' ? 'coverage' : command,
    name: message.split('\n', 1)[0] ?? '',
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(level === 'error' ? { failure: formatProblem(problem) } : {}),
  };
}

function suiteOf(suite: string, tried: readonly TriedCase[]): readonly string[] {
  const cases = tried.filter((one) => one.suite === suite);
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  return [
    `  <testsuite${attributes({ name: suite, tests: cases.length, failures, errors: 0, skipped: 0 })}>`,
    ...cases.map(elementOf),
    '  </testsuite>',
  ];
}

function elementOf({ suite, name, file, line, failure }: TriedCase): string {
  const known = { classname: file ?? suite, name, ...(file === undefined ? {} : { file }), ...(line === undefined ? {} : { line }) };
  if (failure === undefined) return `    <testcase${attributes(known)}/>`;
  const first = failure.split('\n', 1)[0] ?? '';
  return `    <testcase${attributes(known)}><failure${attributes({ message: first })}>${escape(failure)}</failure></testcase>`;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escape(String(value)).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;')}"`)
    .join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Text for XML 1.0, in which most control characters and lone surrogates cannot stand at all, not even escaped. */
function escape(text: string): string {
  return visibleText(text)
    .toWellFormed()
    .replaceAll(/[\uFFFE\uFFFF]/g, '\uFFFD')
    .replaceAll(/[&<>"']/g, (found) => ENTITIES[found] ?? '');
}
