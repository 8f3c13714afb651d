/** `sallyport demo`: the whole product in one sitting, on this machine alone. */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { createSteps, stepsJson } from '../demo/steps.ts';
import type { Step } from '../demo/steps.ts';
import type { Stage } from '../demo/stage.ts';
import { errorText } from '../failure.ts';
import type { Exit } from '../io.ts';
import { flag } from '../option.ts';

export const demo: Command = command({
  name: 'demo',
  group: 'Run',
  summary: 'see it work: policy, enforcement, outage and proof, on this machine alone',
  details: [
    'Starts a control plane, a sidecar, two MCP servers from npm and a plain HTTP service on free ports of 127.0.0.1, signs and publishes examples/demo-policy, lets an agent make calls that are allowed and calls that are not, changes a rule while it runs, kills the control plane and brings it back, and proves the record offline. Takes about half a minute.',
    'Every step says what is promised and what was seen; exits with 1 where they differ, and says where the logs are.',
  ],
  options: { keep: flag('--keep', 'keep the folder with policy, keys, logs and export') },
  examples: [{ line: 'demo', says: 'or, in a clone: npm run demo' }],
  async run({ options, io, out }) {
    const say = (text: string): void => {
      if (!out.isJson) void io.write(`${text}\n`);
    };
    const steps = createSteps((step, isHeld) => say(stepText(step, isHeld)));
    // The servers and the agent's MCP client are not loaded by those who only ask for help.
    const [{ setStage }, { tell }] = await Promise.all([import('../demo/stage.ts'), import('../demo/story.ts')]);
    let stage: Stage | undefined;
    let failure: string | undefined;
    try {
      stage = await setStage(io);
      await tell({ stage, steps, io, heading: (text) => say(`\n${text}`) });
    } catch (error) {
      failure = io.signal.aborted ? 'stopped' : errorText(error, options.verbose);
      steps.take({ name: 'the demo plays to its end', expected: 'yes', seen: failure });
    }
    const isGood = failure === undefined && steps.failed.length === 0;
    const isKept = options.keep || (!isGood && !io.signal.aborted);
    await stage?.close({ isKept });
    if (isKept && stage !== undefined) out.progress(`kept: ${stage.dir} (control-plane.log, sidecar.log, export.ndjson)`);
    await out.answer(
      stepsJson(steps),
      isGood
        ? `\nas promised: ${steps.all.length} of ${steps.all.length} steps`
        : `\n${steps.failed.length} of ${steps.all.length} steps are not as promised`,
    );
    return exitOf(isGood, io.signal.aborted);
  },
});

function exitOf(isGood: boolean, isStopped: boolean): Exit {
  if (isGood) return 0;
  return isStopped ? 130 : 1;
}

function stepText({ name, expected, seen }: Step, isHeld: boolean): string {
  return isHeld ? `  ok  ${name}: ${seen}` : `  NO  ${name}\n      promised: ${expected}\n      seen:     ${seen}`;
}
