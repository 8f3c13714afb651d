/** Trace context on the way out: only what is valid travels, everything else the caller sent stays here. */

import { isTraceparent } from '@sallyport/identity';

/** The caller's trace context where it is valid (W3C Trace Context level 1), as header fields. */
export function traceHeaders(traceparent: string | undefined): readonly (readonly [string, string])[] {
  return traceparent !== undefined && isTraceparent(traceparent) ? [['traceparent', traceparent]] : [];
}
