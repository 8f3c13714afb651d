/** Bundle: one revision of one area's policy, as a manifest of parts by digest. Spec section 4.3. */

import { PART_NAMES, invariant } from '@sallyport/model';
import type { Area, Digest, PartName, Result, Revision } from '@sallyport/model';
import * as z from 'zod/mini';
import { digestOfPayload } from '../envelope.ts';
import { FEATURES_MAX, PART_BYTES_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { area, count, digest, head, positive, textOf } from '../shapes.ts';

/** One part as the manifest names it. */
export interface PartRecord {
  readonly digest: Digest;
  /** Its exact length. */
  readonly bytes: number;
}

export interface Bundle {
  readonly area: Area;
  readonly revision: Revision;
  /** Lineage for people and tools; a receiver never compares it with what it holds. */
  readonly previous: Digest | null;
  readonly source: { readonly commit: string | null };
  readonly parts: Readonly<Record<PartName, PartRecord>>;
  /** What the parts need a receiver to understand; one it does not know refuses the bundle. */
  readonly features: readonly string[];
  /** Digest of the report of the author's test run. */
  readonly testsDigest: Digest;
}

const FEATURE = /^[a-z][a-z0-9_.-]{0,63}$/;
const COMMIT = /^[0-9a-f]{7,64}$/;

// `bytes` beyond the bound is read, so that acceptance can say SIZE rather than call the shape malformed.
const part = z.strictObject({ digest, bytes: count });
const parts = z.strictObject({
  policy: part,
  catalog: part,
  environment: part,
  identity: part,
  egress: part,
  detectors: part,
  tests: part,
}) satisfies z.ZodMiniType<Record<PartName, PartRecord>>;

const shape: z.ZodMiniType<Bundle> = z.pipe(
  z.strictObject({
    ...head('Bundle'),
    area,
    revision: positive,
    previous: z.nullable(digest),
    source: z.strictObject({ commit: z.nullable(textOf((text) => (COMMIT.test(text) ? text : undefined), 'a commit in hex')) }),
    parts,
    features: z.array(textOf((text) => (FEATURE.test(text) ? text : undefined), 'the name of a feature')).check(z.maxLength(FEATURES_MAX)),
    tests_digest: digest,
  }),
  z.transform((wire): Bundle => ({
    area: wire.area,
    revision: wire.revision as Revision,
    previous: wire.previous,
    source: wire.source,
    parts: wire.parts,
    features: wire.features,
    testsDigest: wire.tests_digest,
  })),
);

export function readBundle(payload: Uint8Array): Result<Bundle, Rejection> {
  return readPayload('Bundle', payload, shape);
}

/** The payload bytes to sign. */
export function encodeBundle(bundle: Bundle): Uint8Array {
  return encodePayload('Bundle', {
    area: bundle.area,
    revision: bundle.revision,
    previous: bundle.previous,
    source: { commit: bundle.source.commit },
    parts: Object.fromEntries(PART_NAMES.map((name) => [name, { digest: bundle.parts[name].digest, bytes: bundle.parts[name].bytes }])),
    features: bundle.features,
    tests_digest: bundle.testsDigest,
  });
}

/** The manifest's `parts` for the bytes of every part. */
export function describeParts(bytes: Readonly<Record<PartName, Uint8Array>>): Record<PartName, PartRecord> {
  const describe = (name: PartName): PartRecord => {
    invariant(bytes[name].byteLength <= PART_BYTES_MAX, `part ${name} is larger than any receiver takes`);
    return { digest: digestOfPayload(bytes[name]), bytes: bytes[name].byteLength };
  };
  return Object.fromEntries(PART_NAMES.map((name) => [name, describe(name)])) as Record<PartName, PartRecord>;
}
