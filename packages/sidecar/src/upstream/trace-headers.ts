/** Trace context on the way out: only what is valid travels, everything else the caller sent stays here. */

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace context where it is valid (W3C Trace Context level 1), as header fields. */
export function traceHeaders(traceparent: string | undefined): readonly (readonly [string, string])[] {
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? [['traceparent', traceparent]] : [];
}
