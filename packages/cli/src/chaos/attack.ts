/** An attack as a value: what is done, to which scratch installation, and how it is judged. */

import type { Steps } from '../demo/steps.ts';
import type { Io } from '../io.ts';
import type { Ground } from './ground.ts';
import type { Subject } from './subject.ts';

/** What an attack plays with. */
export interface Scene {
  readonly ground: Ground;
  /** A sidecar of this attack alone, which enforces the newest release when the attack begins. */
  readonly subject: Subject;
  /** Where it is said what is promised and what was seen; the attack is held off where the two are the same, in every step. */
  readonly steps: Steps;
  readonly io: Io;
}

export interface Attack {
  /** As it is typed. */
  readonly name: string;
  /** What the attacker does, one clause. */
  readonly does: string;
  /** What the attacker can do all the same, and how it is seen. */
  readonly leaves: string;
  /** The longest that policy counts without a word from the control plane: short where the attack waits for its end. */
  readonly ttl: 'short' | 'long';
  readonly stage: (scene: Scene) => Promise<void>;
}
