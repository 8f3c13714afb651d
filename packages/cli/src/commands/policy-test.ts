/** `sallyport policy test`: the documents of kind Test, judged by the policy as a sidecar would compile it. */

import { runTests } from '@sallyport/policy';
import { coverageOf } from '@sallyport/policy/lab';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { problemsReport } from '../lab/policy-report.ts';
import { answerReport, formatOption } from '../lab/report.ts';
import { testedReport } from '../lab/test-report.ts';
import { flag } from '../option.ts';
import { refusal } from '../output.ts';
import { areaOption } from '../places.ts';
import { aboveOption, readAboveFolders } from '../policy/above.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { POLICY_DIR } from './policy-check.ts';

export const policyTest: Command = command({
  name: 'policy test',
  group: 'Policy',
  summary: 'run the tests that stand beside a policy',
  details: [
    'Each failing case is shown with its line, what was expected, what was seen, and why. Exits with 1 where one fails, or where there is none: a policy without tests cannot show what it comes to.',
    'Coverage says of each rule whether tests are allowed and denied by it, and of each of its requirements whether a test is denied by it alone. A number behind a requirement is how many are.',
  ],
  arguments: [POLICY_DIR],
  options: {
    coverage: flag('--coverage', 'say what the tests show of each rule'),
    requireCoverage: flag('--require-coverage', 'the same, and exit with 1 where a rule or a requirement is not shown'),
    above: aboveOption,
    area: areaOption,
    format: formatOption,
  },
  examples: [
    { line: 'policy test examples/demo-policy', says: 'what publishing will run as well' },
    { line: 'policy test examples/demo-policy --coverage', says: 'what the tests do not show' },
    { line: 'policy test examples/demo-policy --require-coverage --format junit', says: 'for CI' },
  ],
  async run({ arguments: [dir = ''], options, io, out }) {
    const beneath = readAboveFolders(options, io);
    if (!beneath.ok) return out.refuse(beneath.error);
    const read = readPolicy(dir, io, { beneath: beneath.value });
    const isReport = options.format !== 'text' && options.format !== 'json';
    if (!read.ok && isReport && read.error.exit === 1)
      return answerReport(problemsReport('policy test', read.error.problems), options.format, { out, io });
    if (!read.ok) return out.refuse(read.error);
    const { policy } = read.value;
    const report = runTests(policy);
    if (report.outcomes.length === 0) return out.refuse(refusal(1, `\`${dir}\` holds no tests`, 'add a document of kind Test'));
    const isCovering = options.coverage || options.requireCoverage;
    const coverage = isCovering ? { coverage: coverageOf(policy, report) } : {};
    const tested = testedReport({ dir, report, ...coverage, isRequired: options.requireCoverage });
    return answerReport(tested, options.format, { out, io });
  },
});
