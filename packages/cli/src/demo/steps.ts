/** What the demo promises and what was seen, one after another. A step holds where the two are the same words. */

import type { Json } from '@sallyport/model';

export interface Step {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

export interface Steps {
  /** Takes a step; false where it does not hold. */
  take(step: Step): boolean;
  readonly all: readonly Step[];
  readonly failed: readonly Step[];
}

/** `onStep` is told of each as it is taken. */
export function createSteps(onStep: (step: Step, isHeld: boolean) => void): Steps {
  // Owner: `take`.
  const all: Step[] = [];
  const holds = ({ expected, seen }: Step): boolean => expected === seen;
  return {
    all,
    get failed() {
      return all.filter((step) => !holds(step));
    },
    take(step) {
      all.push(step);
      onStep(step, holds(step));
      return holds(step);
    },
  };
}

/** The answer of `demo --json`. */
export function stepsJson(steps: Steps): Json {
  return { steps: steps.all.map(({ name, expected, seen }) => ({ name, expected, seen })) };
}
