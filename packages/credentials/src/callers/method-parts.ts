/** What every method is made from besides its own configuration. */

import type { SecretOf } from './caller-method.ts';
import type { PrincipalOf } from './mapping.ts';
import type { ReplayMemory } from './replay-memory.ts';

/** The ports of a method, and its mapping. */
export interface MethodParts {
  readonly secretOf: SecretOf;
  readonly replay: ReplayMemory;
  readonly principalOf: PrincipalOf;
}
