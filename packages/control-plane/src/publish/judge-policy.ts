/**
 * What bundles say, judged as a sidecar will judge it: read, joined where they are layers, compiled, and their own tests
 * run. docs/spec/control-plane.md sections 4 and 5.
 */

import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { AgentName, PartName, Problem, Result } from '@sallyport/model';
import { LAYER_FEATURE, compile, joinLayers, readParts, runTests } from '@sallyport/policy';
import type { LayerParts, Parts } from '@sallyport/policy';
import { reject } from '@sallyport/trust';
import type { Rejection, VerifiedBundle } from '@sallyport/trust';
import { placed } from './places.ts';

/** Whether its authors built it as one layer of several. */
export function isLayer({ payload }: VerifiedBundle): boolean {
  return payload.features.includes(LAYER_FEATURE);
}

/**
 * The names of the agents that the bundle itself registers. A layer is judged beneath what is published above it now,
 * the highest first; what it will be joined with is the release's to say, and is judged then.
 */
export function judgeBundle(bundle: VerifiedBundle, above: readonly VerifiedBundle[]): Result<readonly AgentName[], readonly Problem[]> {
  const bytes = partBytes(bundle);
  const parts = isLayer(bundle) ? joined([...above, bundle]) : readParts(bytes);
  if (!parts.ok) return fail(placed(parts.error, bytes, bundle.area));
  const compiled = compile(parts.value);
  if (!compiled.ok) return fail(placed(compiled.error, bytes, bundle.area));
  const report = runTests(compiled.value);
  if (report.failed > 0) return fail(report.problems);
  const { agents, layering } = parts.value;
  return ok(agents.map(({ name }) => name).filter((name) => layering === undefined || layering.agents.get(name)?.layer === above.length));
}

/** Whether what a release names can be enforced together. One bundle that stands alone was judged when it was published. */
export function judgeJoined(bundles: readonly VerifiedBundle[]): Rejection | undefined {
  const [only, ...more] = bundles;
  if (only !== undefined && more.length === 0 && !isLayer(only)) return undefined;
  const parts = joinLayers(bundles.map(layerOf));
  if (!parts.ok) return refusal(parts.error.for === 'layers' ? 'LAYER' : 'COMPILE', 'the layers do not fit', parts.error.problems);
  const compiled = compile(parts.value);
  if (!compiled.ok) return refusal('COMPILE', 'the joined policy does not compile', compiled.error);
  const report = runTests(compiled.value);
  return report.failed === 0 ? undefined : refusal('SELFTEST', `${report.failed} self-tests fail`, report.problems);
}

function joined(bundles: readonly VerifiedBundle[]): Result<Parts, readonly Problem[]> {
  const parts = joinLayers(bundles.map(layerOf));
  return parts.ok ? parts : fail(parts.error.problems);
}

/** The first problem is what fits into one line. */
function refusal(code: 'LAYER' | 'COMPILE' | 'SELFTEST', what: string, problems: readonly Problem[]): Rejection {
  const [first] = problems;
  return reject(code, first === undefined ? what : `${what}: ${first.path} ${first.message}`, problems);
}

const layerOf = (bundle: VerifiedBundle): LayerParts => ({ name: bundle.area, parts: partBytes(bundle) });

function partBytes(bundle: VerifiedBundle): Record<PartName, Uint8Array> {
  return Object.fromEntries(PART_NAMES.map((name) => [name, bundle.part(name)])) as Record<PartName, Uint8Array>;
}
