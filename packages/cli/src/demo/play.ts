/** Plays one story from the first process to the last, and leaves nothing running, however it ends. */

import { errorText } from '../failure.ts';
import type { Io } from '../io.ts';
import { freePorts } from './free-port.ts';
import type { Screen } from './screen.ts';
import { setStage } from './stage.ts';
import type { Stage } from './stage.ts';
import type { Steps } from './steps.ts';
import type { OpenStory, Story } from './telling.ts';

export interface PlayOptions {
  readonly io: Io;
  readonly steps: Steps;
  readonly screen: Screen;
  readonly isVerbose: boolean;
  /** Whether the folder stays where everything went well. */
  readonly isKept: boolean;
  /** Four ports of 127.0.0.1; free ones unless given. */
  readonly ports?: readonly number[];
}

export interface Played {
  readonly isGood: boolean;
  /** The folder with policy, keys, logs and export, where it was kept. */
  readonly keptDir: string | undefined;
}

const PORTS = 4;

/** Never rejects: what goes wrong is a step that does not hold. Then the folder is kept, unless Ctrl-C was the reason. */
export async function play(story: Story, { io, steps, screen, isVerbose, isKept, ports }: PlayOptions): Promise<Played> {
  // Owner: this run.
  let open: OpenStory | undefined;
  let stage: Stage | undefined;
  const fail = (error: unknown): void => {
    const seen = io.signal.aborted ? 'stopped' : errorText(error, isVerbose);
    steps.take({ name: 'the demo plays to its end', expected: 'yes', seen });
  };
  try {
    open = await story.open(io);
    const { agent, issuer, example } = story;
    const { environment } = open;
    stage = await setStage({ io, agent, issuer, example, environment, ports: ports ?? (await freePorts(PORTS)) });
    open.prepare?.(stage.policyDir);
    await open.tell({ stage, steps, screen, io });
  } catch (error) {
    fail(error);
  }
  const isToStay = isKept || (steps.failed.length > 0 && !io.signal.aborted);
  for (const close of [async () => stage?.close({ isKept: isToStay }), async () => open?.close()]) {
    try {
      await close();
    } catch (error) {
      fail(error);
    }
  }
  return { isGood: steps.failed.length === 0, keptDir: isToStay ? stage?.dir : undefined };
}
