/** Request targets: one path, decoded once, that no two readers read differently. */

import { Bug } from '@sallyport/model';
import type { Denial, Result } from '@sallyport/model';

export interface TargetOptions {
  /** Of the whole target; longer is `headers_too_large`. Default 8192. */
  readonly bytesMax?: number;
  /** Accept `http://host/path` where its authority equals Host (a forward proxy's form). Default false. */
  readonly allowAbsoluteForm?: boolean;
}

export interface CanonicalTarget {
  /** Decoded once; none is empty, `.` or `..`, none holds a slash, a backslash or a control character. `/` has none. */
  readonly segments: readonly string[];
  /** `/` and the segments, encoded anew in one spelling. */
  readonly path: string;
  /** As sent, without the question mark; `undefined` where there is none. Well-formed, not decoded. */
  readonly query: string | undefined;
  /** From the Host header, lower case. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

/** Refusals: `malformed_request`, `direct_address_rejected`, `headers_too_large`. */
export function canonicalTarget(
  _requestTarget: string,
  _hostHeader: string | undefined,
  _options: TargetOptions = {},
): Result<CanonicalTarget, Denial> {
  throw new Bug('to come');
}
