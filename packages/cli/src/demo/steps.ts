/** What the demo promises and what was seen, one after another. A step holds where the two are the same words. */

import type { Json } from '@sallyport/model';

export interface Step {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

/** A step that was taken, and the act that it was taken in. */
export interface TakenStep extends Step {
  readonly act: string;
}

/** How people are shown a step that holds; without it, name and what was seen. */
export interface Shown {
  readonly mark: 'ok' | 'ALLOW' | 'DENY';
  readonly title: string;
  /** Stands at the right end of the title's line. */
  readonly right?: string;
  /** Of a call: what was asked for, and what was answered by which rule. */
  readonly asked?: string;
  readonly answer?: string;
  readonly details: readonly string[];
}

export interface Steps {
  /** Of the steps from here on. */
  begin(act: string): void;
  /** Takes a step; false where it does not hold. */
  take(step: Step, shown?: Shown): boolean;
  readonly all: readonly TakenStep[];
  readonly failed: readonly TakenStep[];
}

export interface StepListener {
  readonly onStep: (step: Step, options: { readonly isHeld: boolean; readonly shown: Shown | undefined }) => void;
}

export function createSteps({ onStep }: StepListener): Steps {
  // Owner: `begin` and `take`.
  let act = '';
  const all: TakenStep[] = [];
  const holds = ({ expected, seen }: Step): boolean => expected === seen;
  return {
    all,
    get failed() {
      return all.filter((step) => !holds(step));
    },
    begin(name) {
      act = name;
    },
    take(step, shown) {
      const isHeld = holds(step);
      all.push({ act, ...step });
      onStep(step, { isHeld, shown });
      return isHeld;
    },
  };
}

/** The answer of `demo --json`. */
export function stepsJson(story: string, steps: Steps): Json {
  return { story, steps: steps.all.map(({ act, name, expected, seen }) => ({ act, name, expected, seen })) };
}
