/** From built parts to the manifest that publishers sign. The same parts, tests and numbers give the same bytes. */

import { digestOf } from '@sallyport/crypto';
import type { Area, Digest, Revision } from '@sallyport/model';
import type { BuiltParts, TestReport } from '@sallyport/policy';
import { describeParts, encodeBundle } from '@sallyport/trust';
import { reportBytes } from '../policy/report.ts';
import type { BundleFiles } from './bundle-files.ts';

export interface ManifestOptions {
  readonly area: Area;
  readonly revision: number;
  readonly previous: Digest | null;
  readonly commit: string | null;
}

/** An unsigned bundle. */
export function unsignedBundle(built: BuiltParts, report: TestReport, options: ManifestOptions): BundleFiles {
  const testReport = reportBytes(report);
  const manifest = encodeBundle({
    area: options.area,
    revision: options.revision as Revision,
    previous: options.previous,
    source: { commit: options.commit },
    parts: describeParts(built.parts),
    features: built.features,
    testsDigest: digestOf(testReport) as Digest,
  });
  return { manifest, envelope: undefined, parts: built.parts, testReport };
}
