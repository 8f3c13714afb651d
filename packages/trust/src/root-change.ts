/**
 * What changes with the root, in one place so that no caller can forget a third of it. Everything else that was verified
 * under the old root has to be verified again under the new; until then nothing is fresh. docs/spec/trust-v1.md section 5.4.
 */

import { freshnessAfterRoot } from './freshness-memory.ts';
import type { FreshnessMemory } from './freshness-memory.ts';
import { raiseRevocation, raiseRoot } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { revocationsAfterRoot } from './revocations.ts';
import type { RevocationState } from './revocations.ts';
import type { TrustedRoot } from './roots.ts';

export interface RootDependent {
  readonly highWater: HighWater;
  readonly memory: FreshnessMemory;
  readonly revocations: RevocationState;
}

/** The state under the next root. `previous` is `undefined` at a start, where the state was recalled under this very root. */
export function adoptRoot(state: RootDependent, previous: TrustedRoot | undefined, next: TrustedRoot): RootDependent {
  const highWater = raiseRoot(state.highWater, previous, next);
  if (previous === undefined) return { ...state, highWater };
  const revocations = revocationsAfterRoot(state.revocations, previous, next);
  const memory = freshnessAfterRoot(state.memory, previous, next);
  return { highWater: raiseRevocation(highWater, revocations), memory, revocations };
}
