/** Parts to a policy that can decide: types checked, costs bounded, rules indexed by agent and tool. */

import type { Agent, AgentName, Problem, Result, Tool, ToolName } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { ArgumentSchema } from '@sallyport/strict';
import type { Parts } from './parts.ts';

/** Only `compile` makes one. Immutable, but for a bounded cache of compiled expressions that no caller can see. */
export class CompiledPolicy {
  readonly parts: Parts;
  readonly features: readonly string[];
  readonly ruleCount: number;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.features = [];
    this.ruleCount = 0;
  }

  agent(_name: AgentName): Agent | undefined {
    throw new Bug('to come');
  }

  tool(_name: ToolName): Tool | undefined {
    throw new Bug('to come');
  }

  /** The compiled schema that the validation gate reads a call's arguments with. */
  argumentSchema(_name: ToolName): ArgumentSchema | undefined {
    throw new Bug('to come');
  }
}

/** Every problem at once. What compiles decides every call in bounded time. */
export function compile(_parts: Parts): Result<CompiledPolicy, readonly Problem[]> {
  throw new Bug('to come');
}
