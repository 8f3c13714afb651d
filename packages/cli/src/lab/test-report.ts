/** A run of tests as a report, with what it covers where that was asked. */

import { formatProblem } from '@sallyport/model';
import type { Json, Problem } from '@sallyport/model';
import type { TestReport } from '@sallyport/policy';
import { gapsOf } from '@sallyport/policy/lab';
import type { Coverage, RuleCoverage } from '@sallyport/policy/lab';
import { counted, refusalJson, table } from '../output.ts';
import { located, locatedFile } from '../policy/read-policy.ts';
import { reportJson } from '../policy/report.ts';
import type { Finding, Report, TriedCase } from './finding.ts';
import { findingJson } from './policy-report.ts';

export interface TestedRun {
  /** The policy's folder, as it was typed. */
  readonly dir: string;
  readonly report: TestReport;
  readonly coverage?: Coverage;
  /** Whether a gap makes the answer a no. */
  readonly isRequired: boolean;
}

export function testedReport({ dir, report, coverage, isRequired }: TestedRun): Report {
  const problems = located(dir, report.problems);
  const failed = problems.map((problem): Finding => ({ id: 'test-failed', level: 'error', problem }));
  const gaps = coverage === undefined ? [] : gapFindings(coverage, { dir, isRequired });
  const isCovered = gaps.length === 0 || !isRequired;
  const isGood = report.failed === 0 && isCovered;
  const outcome = report.failed === 0 ? `ok: ${counted(report.passed, 'test')} passed` : `${report.failed} failed, ${report.passed} passed`;
  const verdict = coverage === undefined ? outcome : `${isCovered ? outcome : notCovered(outcome)}; ${coverageLine(coverage, gaps.length)}`;
  const errors = [...failed, ...gaps].filter(({ level }) => level === 'error').map(({ problem }) => problem);
  return {
    command: 'policy test',
    isGood,
    verdict,
    findings: [...failed, ...gaps],
    cases: casesOf(dir, report, problems),
    json: {
      ...reportJson(report),
      ...(coverage === undefined ? {} : { coverage: coverageJson(coverage, { dir, gaps }) }),
      ...(isGood ? {} : refusalJson({ exit: 1, problems: errors })),
    },
    text: [
      ...problems.map(formatProblem),
      ...(coverage === undefined ? [] : [coverageTable(coverage, dir), ...gaps.map(({ problem }) => formatProblem(problem))]),
      verdict,
    ].join('\n'),
  };
}

function notCovered(outcome: string): string {
  return `${outcome.replace(/^ok: /, '')}, not covered`;
}

/** Each rule and requirement that the tests do not show, and fewer denials than allows. */
function gapFindings(coverage: Coverage, { dir, isRequired }: Pick<TestedRun, 'dir' | 'isRequired'>): readonly Finding[] {
  const level = isRequired ? 'error' : 'warning';
  const severity = isRequired ? {} : ({ severity: 'warning' } as const);
  const gap = (problem: Problem): Finding => ({ id: 'coverage-gap', level, problem: { ...problem, ...severity } });
  const { allowCases, denyCases } = coverage;
  const scarce =
    denyCases >= allowCases
      ? []
      : [gap({ path: '', message: `${denyCases} denied and ${allowCases} allowed cases`, remedy: 'add cases that expect a denial' })];
  return [
    ...gapsOf(coverage).map(({ source, message, remedy }) =>
      gap({ path: '', message, remedy, ...(source === undefined ? {} : { file: locatedFile(dir, source.file), line: source.line }) }),
    ),
    ...scarce,
  ];
}

function coverageLine({ rules, allowCases, denyCases }: Coverage, gaps: number): string {
  const both = rules.filter(({ allows, denies, canAllow }) => denies > 0 && (allows > 0 || !canAllow)).length;
  return `${allowCases} allowed and ${denyCases} denied cases, ${both} of ${counted(rules.length, 'rule')} shown to do both, ${counted(gaps, 'gap')}`;
}

function coverageTable({ rules }: Coverage, dir: string): string {
  const rows = rules.map((rule) => [
    placeOf(rule, dir),
    rule.verb,
    rule.ruleId,
    `${rule.allows} allowed`,
    `${rule.denies} denied`,
    rule.rows.map(({ requirement, refused }) => `${requirement} ${refused}`).join(', '),
  ]);
  return rows.length === 0 ? 'no rules' : table(rows);
}

function placeOf({ source }: RuleCoverage, dir: string): string {
  return source === undefined ? '-' : `${locatedFile(dir, source.file)}:${source.line}`;
}

function coverageJson(
  { rules, allowCases, denyCases }: Coverage,
  { dir, gaps }: { readonly dir: string; readonly gaps: readonly Finding[] },
): Json {
  return {
    allow_cases: allowCases,
    deny_cases: denyCases,
    complete: gaps.length === 0,
    rules: rules.map(({ ruleId, verb, source, allows, denies, canAllow, rows }) => ({
      rule_id: ruleId,
      verb,
      ...(source === undefined ? {} : { file: locatedFile(dir, source.file), line: source.line }),
      allows,
      denies,
      can_allow: canAllow,
      requirements: rows.map(({ requirement, met, refused }) => ({ requirement, met, refused })),
    })),
    gaps: gaps.map(findingJson),
  };
}

/** Failing cases and problems come in one order, so that each failure finds its words. */
function casesOf(dir: string, { outcomes }: TestReport, problems: readonly Problem[]): readonly TriedCase[] {
  const words = [...problems];
  return outcomes.map(({ call, source, expected, passed }) => {
    const problem = passed ? undefined : words.shift();
    return {
      suite: 'tests',
      name: `${call} expects ${expected} (line ${source.line})`,
      file: locatedFile(dir, source.file),
      line: source.line,
      ...(problem === undefined ? {} : { failure: formatProblem(problem) }),
    };
  });
}
