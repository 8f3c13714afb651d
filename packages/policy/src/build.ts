/** Source to bundle parts: canonical JSON bytes, the same for the same meaning whatever the files are called. */

import { fail, ok } from '@sallyport/model';
import type { PartName, Problem, Result } from '@sallyport/model';
import { compile } from './compile.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicySource } from './documents.ts';
import { readParts, writeParts } from './parts.ts';

export interface BuiltParts {
  readonly parts: Readonly<Record<PartName, Uint8Array>>;
  /** What the rules use of the language, sorted; goes into the bundle's `features`. */
  readonly features: readonly string[];
  readonly ruleCount: number;
  readonly toolCount: number;
  readonly testCount: number;
  readonly warnings: readonly Problem[];
  /** The policy as a sidecar will compile it from these bytes; what tests and explanations run on before publishing. */
  readonly policy: CompiledPolicy;
}

/** Writes the parts, then reads and compiles them exactly as a sidecar will: what cannot be enforced is not built. */
export function buildParts(source: PolicySource): Result<BuiltParts, readonly Problem[]> {
  const parts = writeParts(source);
  const read = readParts(parts);
  if (!read.ok) return fail(read.error);
  const compiled = compile(read.value);
  if (!compiled.ok) return fail(compiled.error);
  const { features, ruleCount } = compiled.value;
  const testCount = source.tests.reduce((sum, { cases, steps }) => sum + cases.length + steps.length, 0);
  return ok({ parts, features, ruleCount, toolCount: source.tools.length, testCount, warnings: source.warnings, policy: compiled.value });
}
