/** What is wrong with a policy, as a report: its problems, its warnings, or that it builds. */

import type { Json, Problem } from '@sallyport/model';
import type { BuiltParts } from '@sallyport/policy';
import { counted, problemJson, refusalJson } from '../output.ts';
import type { Finding, Report } from './finding.ts';

/** `note` stands behind the counts. */
export function problemsReport(command: string, problems: readonly Problem[], note = ''): Report {
  const verdict = `${countOf(problems)}${note}`;
  return {
    command,
    isGood: false,
    verdict,
    findings: problems.map(problemFinding),
    cases: [],
    json: { ok: false, ...refusalJson({ exit: 1, problems }) },
  };
}

export function checkedReport({ warnings, ruleCount, toolCount, testCount, features }: BuiltParts): Report {
  const sizes = [counted(ruleCount, 'rule'), counted(toolCount, 'tool'), counted(testCount, 'test')].join(', ');
  return {
    command: 'policy check',
    isGood: true,
    verdict: warnings.length === 0 ? `ok: ${sizes}` : `ok: ${sizes}, ${counted(warnings.length, 'warning')}`,
    findings: warnings.map(problemFinding),
    cases: [],
    json: { ok: true, rules: ruleCount, tools: toolCount, tests: testCount, features, problems: warnings.map(problemJson) },
  };
}

function problemFinding(problem: Problem): Finding {
  return problem.severity === 'warning'
    ? { id: 'policy-warning', level: 'warning', problem }
    : { id: 'policy-problem', level: 'error', problem };
}

function countOf(problems: readonly Problem[]): string {
  const warnings = problems.filter(({ severity }) => severity === 'warning').length;
  const errors = counted(problems.length - warnings, 'problem');
  return warnings === 0 ? errors : `${errors}, ${counted(warnings, 'warning')}`;
}

/** Findings as JSON lists them. */
export function findingJson({ id, level, problem }: Finding): Json {
  return { id, level, ...(problemJson(problem) as object) };
}
