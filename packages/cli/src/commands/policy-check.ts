/** `sallyport policy check`: everything that is wrong with a policy, at once. */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { checkedReport, problemsReport } from '../lab/policy-report.ts';
import { answerReport, formatOption } from '../lab/report.ts';
import { areaOption } from '../places.ts';
import { aboveOption, readAboveFolders } from '../policy/above.ts';
import { policyFileNames, readPolicy } from '../policy/read-policy.ts';

export const POLICY_DIR = { name: 'DIR', says: 'folder with the policy: every .yaml and .json below it' } as const;

export const policyCheck: Command = command({
  name: 'policy check',
  group: 'Policy',
  summary: 'say everything that is wrong with a policy',
  details: [
    'Reads the documents, compiles every condition against the types of the tools, and looks for rules that can never match. Exits with 1 where there is a problem; warnings alone do not count. Runs no tests: see policy test.',
  ],
  arguments: [POLICY_DIR],
  options: { above: aboveOption, area: areaOption, format: formatOption },
  examples: [
    { line: 'policy check examples/demo-policy', says: 'before every commit' },
    { line: 'policy check team --area acme/support --above acme=company', says: 'beneath the company’s ceilings' },
    { line: 'policy check examples/demo-policy --format sarif', says: 'for a code host that shows problems beside their lines' },
  ],
  async run({ arguments: [dir = ''], options, io, out }) {
    const beneath = readAboveFolders(options, io);
    if (!beneath.ok) return out.refuse(beneath.error);
    const read = readPolicy(dir, io, { beneath: beneath.value });
    if (!read.ok && read.error.exit === 64) return out.refuse(read.error);
    const report = read.ok ? checkedReport(read.value) : problemsReport('policy check', read.error.problems, inFiles(dir, io));
    return answerReport(report, options.format, { out, io });
  },
});

/** How much was read: whoever named the wrong folder sees it here. */
function inFiles(dir: string, io: Io): string {
  const names = policyFileNames(at(io.cwd, dir));
  return names.ok && names.value.length > FILES_EXPECTED
    ? `; ${names.value.length} files were read: is ${dir} the folder of the policy?`
    : '';
}

/** A policy of more files is a large one. */
const FILES_EXPECTED = 50;
