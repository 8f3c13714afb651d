/** `sallyport demo`: the whole product in one sitting, on this machine alone. */

import { join } from 'node:path';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { createScreen } from '../demo/screen.ts';
import { createSteps, stepsJson } from '../demo/steps.ts';
import type { Steps } from '../demo/steps.ts';
import type { Story } from '../demo/telling.ts';
import { shownPath } from '../home.ts';
import type { Exit, Io } from '../io.ts';
import { installation } from '../installation.ts';
import { choice, flag } from '../option.ts';
import { table } from '../output.ts';

export const demo: Command = command({
  name: 'demo',
  group: 'Run',
  summary: 'see it work: policy, enforcement, outage and proof, on this machine alone',
  details: [
    'Starts a control plane, a sidecar and five small tool servers on free ports of 127.0.0.1, signs and publishes examples/expenses, and lets an agent file an expense report: the calls that are allowed, and everything beside them that is refused, each with its rule and what reached the tool. Changes a rule while it runs, kills the control plane and brings it back, and proves the record offline. Takes about fifteen seconds.',
    'The story real-servers is shorter: two MCP servers from npm and the official MCP client, which have to be installed: @modelcontextprotocol/server-everything, @modelcontextprotocol/server-filesystem.',
    'Every step says what is promised and what was seen; exits with 1 where they differ, and says where the logs are.',
  ],
  options: {
    story: choice('--story NAME', 'which story', ['expenses', 'real-servers']),
    pause: flag('--pause', 'wait for Enter between the acts'),
    keep: flag('--keep', 'keep the folder with policy, keys, logs and export'),
  },
  examples: [
    { line: 'demo', says: 'or, in a clone: npm run demo' },
    { line: 'demo --pause', says: 'for an audience' },
  ],
  async run({ options, io, out }) {
    const story = await storyOf(options.story);
    const screen = createScreen(io, { isSilent: out.isJson, isPausing: options.pause, acts: story.acts });
    const begun = io.clock.boot();
    // Owner: the listener below.
    let firstRefusalMs: number | undefined;
    const steps = createSteps({
      onStep(step, shown) {
        if (shown.shown?.mark === 'DENY') firstRefusalMs ??= io.clock.boot() - begun;
        screen.step(step, shown);
      },
    });
    screen.print(...story.opening);
    const { play } = await import('../demo/play.ts');
    const { isGood, keptDir } = await play(story, { io, steps, screen, isVerbose: options.verbose, isKept: options.keep });
    if (keptDir !== undefined) out.progress(`kept: ${keptDir} (control-plane.log, sidecar.log, export.ndjson)`);
    await out.answer(stepsJson(story.name, steps), closing(steps, { tookMs: io.clock.boot() - begun, firstRefusalMs }));
    if (isGood) await out.say(whatNext(story, io));
    return exitOf(isGood, io);
  },
});

/** What a story needs is not loaded by those who only ask for help. */
async function storyOf(name: 'expenses' | 'real-servers'): Promise<Story> {
  if (name === 'expenses') return (await import('../demo/expenses/story.ts')).expenseStory();
  return (await import('../demo/real-servers/story.ts')).realServersStory;
}

interface Times {
  readonly tookMs: number;
  readonly firstRefusalMs: number | undefined;
}

function closing({ all, failed }: Steps, { tookMs, firstRefusalMs }: Times): string {
  if (failed.length > 0) return `\n${failed.length} of ${all.length} steps are not as promised`;
  const first = firstRefusalMs === undefined ? '' : `; the first refusal after ${seconds(firstRefusalMs)}`;
  return `\nas promised: ${all.length} of ${all.length} steps in ${seconds(tookMs)}${first}`;
}

/** Where to go from here. */
function whatNext({ example }: Story, io: Io): string {
  return [
    '',
    'Look closer, or begin with your own:',
    table([
      ['   the rules that decided it', shownPath(join(installation.examples, example, 'rules.yaml'), io)],
      ['   policy, logs and record', 'sallyport demo --keep'],
      ['   your own MCP server', 'sallyport init --server URL'],
      ['   your own agent', 'sallyport dev -- COMMAND'],
    ]),
  ].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function exitOf(isGood: boolean, { signal }: Io): Exit {
  if (isGood) return 0;
  return signal.aborted ? 130 : 1;
}
