/** Conditions in compiled form, made on first use and kept up to a bound. Equal texts share one form. */

import { Bug } from '@sallyport/model';
import { loadProgram } from './cel.ts';
import type { Facts, Program } from './cel.ts';

/** A condition of a rule. What changes in it is only whether its compiled form is at hand. */
export interface Condition {
  readonly text: string;
  /** Written by Programs alone. */
  program: Program | undefined;
  /** Whether it was used since the sweep last passed; written by Programs alone. */
  isRecent: boolean;
}

export class Programs {
  readonly #max: number;
  /** One per distinct text; written by `condition` alone, while compiling. */
  readonly #conditions = new Map<string, Condition>();
  /** Conditions whose program is loaded, in the order of the sweep; written by `#load` alone. */
  readonly #loaded: Condition[] = [];
  /** Where the sweep goes on; written by `#load` alone. */
  #hand = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** The condition with this text. */
  condition(text: string): Condition {
    const known = this.#conditions.get(text);
    if (known !== undefined) return known;
    const condition = { text, program: undefined, isRecent: false };
    this.#conditions.set(text, condition);
    return condition;
  }

  /** The condition's compiled form, made now if it is not at hand. */
  program(condition: Condition): Program {
    const { program } = condition;
    if (program === undefined) return this.#load(condition);
    // Only a second use counts: what is loaded once and never needed again must not outlive what every call needs.
    condition.isRecent = true;
    return program;
  }

  /** The condition's value for these facts, or a CelFailure; never throws for what a call holds. */
  run(condition: Condition, facts: Facts): unknown {
    return this.program(condition).run(facts);
  }

  #load(condition: Condition): Program {
    const loaded = loadProgram(condition.text);
    // Compiling judged this very text; a condition that no longer parses must not count as met or unmet.
    if (!loaded.ok) throw new Bug(`a condition that compiled does not load: ${loaded.error[0]?.message ?? ''}`);
    condition.program = loaded.value;
    condition.isRecent = false;
    if (this.#loaded.length < this.#max) {
      this.#loaded.push(condition);
      return loaded.value;
    }
    // Second chance: what was used since the hand last passed stays, so that a flood of rare rules evicts rare rules.
    for (let passed = 0; passed <= this.#max; passed++) {
      const old = this.#loaded[this.#hand];
      const at = this.#hand;
      this.#hand = (this.#hand + 1) % this.#max;
      if (old?.isRecent === true && passed < this.#max) {
        old.isRecent = false;
        continue;
      }
      if (old !== undefined) old.program = undefined;
      this.#loaded[at] = condition;
      break;
    }
    return loaded.value;
  }
}
