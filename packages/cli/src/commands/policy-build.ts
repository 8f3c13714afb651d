/** `sallyport policy build`: parts and an unsigned manifest, the same bytes for the same policy. */

import { digestOfPayload } from '@sallyport/trust';
import { PART_NAMES } from '@sallyport/model';
import type { Area } from '@sallyport/model';
import { writeBundleFiles } from '../bundle/bundle-files.ts';
import { unsignedBundle } from '../bundle/manifest.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem } from '../files.ts';
import { positive, required, text } from '../option.ts';
import { counted, table } from '../output.ts';
import { areaOption, asDigest, commitProblems, digestProblems, placeProblems } from '../places.ts';
import { aboveOption, readAboveFolders } from '../policy/above.ts';
import { readTestedPolicy } from '../policy/tested-policy.ts';
import { POLICY_DIR } from './policy-check.ts';

export const policyBuild: Command = command({
  name: 'policy build',
  group: 'Policy',
  summary: 'build a policy into the parts and the manifest of a bundle, for signing elsewhere',
  details: [
    'Runs the tests first: what fails them is not built. The same policy, revision, previous digest and commit give the same bytes on every machine. policy publish does all of this by itself.',
  ],
  arguments: [POLICY_DIR],
  options: {
    out: required('--out PATH', 'folder for the bundle, made where it is not there, or one file where it ends in .json'),
    area: areaOption,
    above: aboveOption,
    revision: positive('--revision N', 'revision of the bundle (default: 1)'),
    previous: text('--previous DIGEST', 'digest of the bundle before it'),
    commit: text('--commit HEX', 'commit that the policy was taken from'),
  },
  examples: [
    { line: 'policy build examples/demo-policy --out demo-bundle', says: 'then: bundle sign, bundle verify' },
    { line: 'policy build policy --out bundle.json --revision 7 --commit "$(git rev-parse HEAD)"', says: 'in one file, with lineage' },
  ],
  async run({ arguments: [dir = ''], options, io, out }) {
    const wrong = [...placeProblems(options), ...digestProblems('--previous', options.previous), ...commitProblems(options.commit)];
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const path = at(io.cwd, options.out);
    const misplaced = outProblem(path, { as: 'replacement', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const beneath = readAboveFolders(options, io);
    if (!beneath.ok) return out.refuse(beneath.error);
    const tested = readTestedPolicy(dir, io, { beneath: beneath.value });
    if (!tested.ok) return out.refuse(tested.error);
    const { built, report } = tested.value;
    const files = unsignedBundle(built, report, {
      area: options.area as Area,
      revision: options.revision ?? 1,
      previous: asDigest(options.previous),
      commit: options.commit ?? null,
    });
    const written = writeBundleFiles(path, files);
    if (!written.ok) return out.refuse({ exit: 64, problems: written.error });
    const digest = digestOfPayload(files.manifest);
    const parts = PART_NAMES.map((name) => ({ name, digest: digestOfPayload(files.parts[name]), bytes: files.parts[name].byteLength }));
    await out.answer(
      {
        out: path,
        digest,
        revision: options.revision ?? 1,
        area: options.area,
        features: built.features,
        tests_passed: report.passed,
        parts,
      },
      [
        `built ${options.out}: ${counted(built.ruleCount, 'rule')}, ${counted(built.toolCount, 'tool')}, ${counted(report.passed, 'test')} passed`,
        table([...parts.map((part) => [`  ${part.name}`, part.digest, `${part.bytes} bytes`]), ['  bundle', digest, 'unsigned']]),
        `next: sallyport bundle sign ${options.out} --key FILE`,
      ].join('\n'),
    );
    return 0;
  },
});
