/** `sallyport policy test`: the documents of kind Test, judged by the policy as a sidecar would compile it. */

import { formatProblem } from '@sallyport/model';
import { runTests } from '@sallyport/policy';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { counted, refusal, refusalJson } from '../output.ts';
import { readPolicy, located } from '../policy/read-policy.ts';
import { reportJson } from '../policy/report.ts';
import { POLICY_DIR } from './policy-check.ts';

export const policyTest: Command = command({
  name: 'policy test',
  group: 'Policy',
  summary: 'run the tests that stand beside a policy',
  details: [
    'Each failing case is shown with its line, what was expected, what was seen, and why. Exits with 1 where one fails, or where there is none: a policy without tests cannot show what it comes to.',
  ],
  arguments: [POLICY_DIR],
  options: {},
  examples: [{ line: 'policy test examples/demo-policy', says: 'what publishing will run as well' }],
  async run({ arguments: [dir = ''], io, out }) {
    const read = readPolicy(dir, io);
    if (!read.ok) return out.refuse(read.error);
    const report = runTests(read.value.policy);
    if (report.outcomes.length === 0) return out.refuse(refusal(1, `\`${dir}\` holds no tests`, 'add a document of kind Test'));
    const verdict =
      report.failed === 0 ? `ok: ${counted(report.passed, 'test')} passed` : `${report.failed} failed, ${report.passed} passed`;
    const problems = located(dir, report.problems);
    const why = report.failed === 0 ? {} : refusalJson({ exit: 1, problems });
    await out.answer({ ...reportJson(report), ...why }, [...problems.map(formatProblem), verdict].join('\n'));
    return report.failed === 0 ? 0 : 1;
  },
});
