/**
 * Parts as bytes, read, joined and compiled: of one bundle that stands alone, or of the layers of a release. The worker
 * that vets and the thread that enforces read them by the same words.
 */

import { fail, ok, type Digest, type PartName, type Result } from '@sallyport/model';
import {
  compile,
  joinLayers,
  LAYER_FEATURE,
  readParts,
  runTests,
  type CompiledPolicy,
  type LayerParts,
  type Parts,
} from '@sallyport/policy';
import { reject, type Bundle, type Rejection } from '@sallyport/trust';

/** The highest layer first. */
export type PolicyBytes =
  | { readonly kind: 'alone'; readonly parts: Readonly<Record<PartName, Uint8Array>> }
  | { readonly kind: 'joined'; readonly layers: readonly LayerParts[] };

/** What calls are judged by. */
export interface Enforceable {
  readonly parts: Parts;
  readonly policy: CompiledPolicy;
}

/** Whether its authors built it beneath or above others: by itself it says nothing that could be enforced. */
export function isLayer({ features }: Pick<Bundle, 'features'>): boolean {
  return features.includes(LAYER_FEATURE);
}

/** LAYER where a layer says what it may not, COMPILE where something does not read or compile. */
export function compilePolicy(bytes: PolicyBytes): Result<Enforceable, Rejection> {
  const parts = bytes.kind === 'alone' ? readAlone(bytes.parts) : readJoined(bytes.layers);
  if (!parts.ok) return parts;
  const policy = compile(parts.value);
  if (!policy.ok) return fail(reject('COMPILE', 'the policy does not compile', policy.error));
  return ok({ parts: parts.value, policy: policy.value });
}

/** SELFTEST where a test of any of its layers has another answer here. */
export function testPolicy({ policy }: Enforceable): Result<void, Rejection> {
  const report = runTests(policy);
  if (report.failed === 0) return ok(undefined);
  return fail(reject('SELFTEST', `${report.failed} of ${report.passed + report.failed} self-tests fail`, report.problems));
}

function readAlone(bytes: Readonly<Record<PartName, Uint8Array>>): Result<Parts, Rejection> {
  const parts = readParts(bytes);
  return parts.ok ? parts : fail(reject('COMPILE', 'the parts do not read', parts.error));
}

function readJoined(layers: readonly LayerParts[]): Result<Parts, Rejection> {
  const joined = joinLayers(layers);
  if (joined.ok) return joined;
  const { for: why, problems } = joined.error;
  // The first problem is what the fleet and the alert show; all of them are in the rejection.
  const [first] = problems;
  const said = first === undefined ? '' : `: ${first.path} ${first.message}`;
  return fail(
    why === 'layers'
      ? reject('LAYER', `the layers do not fit${said}`, problems)
      : reject('COMPILE', `the parts do not read${said}`, problems),
  );
}

/** Vetted once, a set need not be vetted again: its name tells every byte of it. At most this many are remembered. */
const VETTED_MAX = 8;

/** Names of joined sets that compiled and passed their tests in this process. */
export class VettedSets {
  // Owner: the activator. The oldest goes first.
  readonly #digests = new Set<Digest>();

  has(digest: Digest): boolean {
    return this.#digests.has(digest);
  }

  add(digest: Digest): void {
    this.#digests.delete(digest);
    this.#digests.add(digest);
    const [oldest] = this.#digests;
    if (this.#digests.size > VETTED_MAX && oldest !== undefined) this.#digests.delete(oldest);
  }
}
