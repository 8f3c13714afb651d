/** The policy of this folder: does it build, do its tests pass? */

import { existsSync } from 'node:fs';
import { at } from '../../files.ts';
import type { Io } from '../../io.ts';
import { counted } from '../../output.ts';
import { readTestedPolicy } from '../../policy/tested-policy.ts';
import { failed, failedOf, warned, well } from './check.ts';
import type { Check } from './check.ts';

/** `given` as typed, else `policy` where it is there. */
export function judgePolicy(given: string | undefined, io: Io): Check {
  const subject = 'policy';
  const dir = given ?? 'policy';
  if (given === undefined && !existsSync(at(io.cwd, dir)))
    return warned(subject, 'there is no folder policy here', 'sallyport init --server URL, or name the folder with --policy');
  const tested = readTestedPolicy(dir, io);
  if (tested.ok) {
    const { ruleCount, toolCount, testCount } = tested.value.built;
    return well(
      subject,
      `${dir} builds: ${counted(ruleCount, 'rule')}, ${counted(toolCount, 'tool')}, ${counted(testCount, 'test')} passed`,
    );
  }
  const errors = tested.error.problems.filter(({ severity }) => severity === undefined);
  const [first] = errors;
  if (first === undefined) return failed(subject, `${dir} does not build`);
  const check = failedOf(subject, first);
  return errors.length === 1
    ? check
    : { ...check, says: `${check.says} (and ${errors.length - 1} more)`, remedy: `sallyport policy check ${dir}` };
}
