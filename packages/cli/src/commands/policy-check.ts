/** `sallyport policy check`: everything that is wrong with a policy, at once. */

import { formatProblem } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { counted, problemJson, refusalJson } from '../output.ts';
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
  options: {},
  examples: [{ line: 'policy check examples/demo-policy', says: 'before every commit' }],
  async run({ arguments: [dir = ''], io, out }) {
    const read = readPolicy(dir, io);
    if (!read.ok && read.error.exit === 64) return out.refuse(read.error);
    if (!read.ok) {
      const { problems } = read.error;
      const lines = [...problems.map(formatProblem), `${countOf(problems)}${inFiles(dir, io)}`];
      await out.answer({ ok: false, ...refusalJson({ exit: 1, problems }) }, lines.join('\n'));
      return 1;
    }
    const { warnings, ruleCount, toolCount, testCount, features } = read.value;
    const sizes = [counted(ruleCount, 'rule'), counted(toolCount, 'tool'), counted(testCount, 'test')].join(', ');
    const verdict = warnings.length === 0 ? `ok: ${sizes}` : `ok: ${sizes}, ${counted(warnings.length, 'warning')}`;
    await out.answer(
      { ok: true, rules: ruleCount, tools: toolCount, tests: testCount, features, problems: warnings.map(problemJson) },
      [...warnings.map(formatProblem), verdict].join('\n'),
    );
    return 0;
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

function countOf(problems: readonly Problem[]): string {
  const warnings = problems.filter(({ severity }) => severity === 'warning').length;
  const errors = counted(problems.length - warnings, 'problem');
  return warnings === 0 ? errors : `${errors}, ${counted(warnings, 'warning')}`;
}
