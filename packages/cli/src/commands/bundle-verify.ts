/** `sallyport bundle verify`: what a sidecar would say to a bundle, step by step, without a network. */

import type { Area } from '@sallyport/model';
import { digestOfPayload, readBundle } from '@sallyport/trust';
import { readBundleFiles } from '../bundle/bundle-files.ts';
import { verifySteps } from '../bundle/verify-steps.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import { text } from '../option.ts';
import { refusal, table } from '../output.ts';
import { placeProblems } from '../places.ts';
import { readDelegation, readOwnTrust, rootPinOption, rootsOption } from '../trust-files.ts';

export const bundleVerify: Command = command({
  name: 'bundle verify',
  group: "Signers' tools",
  summary: 'verify a signed bundle from the pin on, as a sidecar would',
  details: [
    'Names every step: size, root, delegation, signatures, digests, features, area, compile, tests. Exits with 1 at the first that fails. Whether it is newer than what is in force is for releases to say.',
  ],
  arguments: [{ name: 'PATH', says: 'what bundle sign wrote' }],
  options: {
    rootPin: rootPinOption,
    roots: rootsOption,
    delegation: text('--delegation FILE', 'the signed delegation of its area (default: delegations/<area>.json in the folder)'),
    area: text('--area AREA', 'for which area it has to be good (default: its own)'),
    dir: dirOption,
  },
  examples: [
    { line: 'bundle verify demo-bundle --root-pin sha256:… --root 1.json --delegation default.json', says: 'with nothing but files' },
  ],
  async run({ arguments: [shown = ''], options, io, out }) {
    const wrong = options.area === undefined ? [] : placeProblems({ area: options.area });
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const files = readBundleFiles(at(io.cwd, shown), shown);
    if (!files.ok) return out.refuse({ exit: 64, problems: files.error });
    const { envelope, manifest } = files.value;
    if (envelope === undefined) return out.refuse(refusal(1, `\`${shown}\` is not signed`, 'sign it with `sallyport bundle sign`'));
    const home = homeOf(options.dir, io);
    const trust = readOwnTrust(home, options, io);
    const claimed = readBundle(manifest);
    const delegation = readDelegation(home, claimed.ok ? claimed.value.area : ('default' as Area), options.delegation, io);
    if (!trust.ok) return out.refuse(trust.error);
    if (!delegation.ok) return out.refuse({ exit: 64, problems: [delegation.error] });
    const steps = verifySteps(
      { ...files.value, envelope },
      { root: trust.value.root, delegation: delegation.value, at: io.clock.wall(), area: options.area as Area | undefined },
    );
    const isGood = steps.every(({ result }) => result === 'ok');
    const digest = digestOfPayload(manifest);
    const verdict = isGood ? `verified ${digest}` : `not verified: ${steps.find(({ result }) => result === 'failed')?.step ?? ''}`;
    await out.answer(
      { verified: isGood, digest, steps: steps.map(({ step, result, detail }) => ({ step, result, detail })) },
      [table(steps.map(({ step, result, detail }) => [result, step, detail])), verdict].join('\n'),
    );
    return isGood ? 0 : 1;
  },
});
