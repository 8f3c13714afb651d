/** Source to bundle parts: canonical JSON bytes, the same for the same meaning whatever the files are called. */

import { fail, ok } from '@sallyport/model';
import type { PartName, Problem, Result } from '@sallyport/model';
import { compile } from './compile.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicySource } from './documents.ts';
import { LAYER_FEATURE, featuresOf } from './features.ts';
import { joinLayers } from './layers.ts';
import type { Beneath } from './layers.ts';
import { readParts, writeParts } from './parts.ts';
import type { Parts } from './parts.ts';

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

/**
 * Writes the parts, then reads and compiles them exactly as a sidecar will, beneath the layers that it will join them
 * with: what cannot be enforced is not built. `policy` is of all layers, the rest of these documents alone.
 */
export function buildParts(source: PolicySource, beneath?: Beneath): Result<BuiltParts, readonly Problem[]> {
  const parts = writeParts(source);
  const read = beneath === undefined ? readParts(parts) : readBeneath(parts, beneath);
  if (!read.ok) return fail(read.error);
  const compiled = compile(read.value);
  if (!compiled.ok) return fail(compiled.error);
  const features = beneath === undefined ? featuresOf(source) : [...featuresOf(source), LAYER_FEATURE].toSorted();
  const testCount = source.tests.reduce((sum, { cases, steps }) => sum + cases.length + steps.length, 0);
  return ok({
    parts,
    features,
    ruleCount: source.rules.length,
    toolCount: source.tools.length,
    testCount,
    warnings: source.warnings,
    policy: compiled.value,
  });
}

function readBeneath(parts: BuiltParts['parts'], { name, above }: Beneath): Result<Parts, readonly Problem[]> {
  const joined = joinLayers([...above, { name, parts }]);
  return joined.ok ? joined : fail(joined.error.problems);
}
