/** What a story is told with, and the form of a story. */

import type { Io } from '../io.ts';
import type { Screen } from './screen.ts';
import type { Stage } from './stage.ts';
import type { Steps } from './steps.ts';

export interface Telling {
  readonly stage: Stage;
  readonly steps: Steps;
  readonly screen: Screen;
  readonly io: Io;
}

/** What a story shows of the record at its end. */
export interface Decided {
  readonly id: string;
  readonly operator: string;
}

/** A story: an agent, the policy that it is under, and the tools that it calls. */
export interface Story {
  readonly name: string;
  /** As the policy registers it. */
  readonly agent: string;
  /** The issuer whose tokens the policy takes; the stage signs in its name. */
  readonly issuer: string;
  /** Its folder in examples/. */
  readonly example: string;
  readonly acts: number;
  /** What it is about, in a few lines of at most 76 columns. */
  readonly opening: readonly string[];
  /** Starts the tool servers. `dir` is a folder of its own. */
  open(io: Io): Promise<OpenStory>;
}

export interface OpenStory {
  /** Values of the policy's environment by name, each as its YAML. */
  readonly environment: Readonly<Record<string, string>>;
  /** Changes the stage's copy of the policy further, where values do not do. */
  prepare?(policyDir: string): void;
  /** Plays it. Rejects where going on makes no sense; the steps say why. */
  tell(telling: Telling): Promise<void>;
  /** Ends the tool servers. */
  close(): Promise<void>;
}

/** Opens an act on the screen and for the steps. */
export async function act(
  { steps, screen }: Telling,
  { name, title, says = [] }: { readonly name: string; readonly title: string; readonly says?: readonly string[] },
): Promise<void> {
  await screen.act(title, ...says);
  steps.begin(name);
}
