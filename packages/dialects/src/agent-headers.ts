/**
 * Which headers cross the inbound leg. Towards the agent only those that this list names: whatever else a client sends (who
 * it says it is, who it says it forwards for, where it wants to be routed) does not travel, whether anybody thought of it
 * or not. Back from the agent everything but what belongs to this hop. docs/spec/inbound.md, section 3.
 */

import type { HeaderLookup } from '@sallyport/strict';

/** What a request says of itself that no agent can take for a proof of anything. */
const TO_AGENT: readonly string[] = [
  'accept',
  'accept-language',
  'cache-control',
  'content-language',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'last-event-id',
  'prefer',
  'user-agent',
];

/** Names that no configuration can let through: credentials, identity, routing, framing, and what this house says itself. */
const NEVER =
  /^(?:sallyport-.*|x-forwarded.*|forwarded|via|x-real-ip|x-client-.*|true-client-ip|cf-.*|x-amzn-.*|x-goog-.*|x-ms-.*|x-envoy-.*|x-cluster-.*|ssl-.*|x-ssl-.*|x-tls-.*|x-user.*|x-auth.*|x-remote.*|remote-.*|x-original-.*|x-rewrite-.*|x-http-method.*|authorization|proxy-.*|cookie2?|dpop|signature.*|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-(?:length|encoding|type|md5)|accept-encoding|origin|sec-.*|traceparent|tracestate|baggage)$/;

/** Whether configuration may add a header, in lower case, to those that reach the agent. */
export function mayReachAgent(name: string): boolean {
  return /^[a-z][a-z0-9-]{0,63}$/.test(name) && !NEVER.test(name);
}

/** The headers of a request that its agent gets, without content type and trace context. */
export function headersToAgent(headers: HeaderLookup, declared: readonly string[]): readonly (readonly [string, string])[] {
  const named = new Set(
    (headers.get('connection') ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const found: (readonly [string, string])[] = [];
  for (const name of [...TO_AGENT, ...declared]) {
    const value = headers.get(name);
    if (value !== undefined && !named.has(name)) found.push([name, value]);
  }
  return found;
}

/**
 * What of an answer stays at this hop: RFC 9110 section 7.6.1, its framing, where the agent lives, what a browser would keep
 * for this origin (cookies, other services, sharing with other origins), what makes a server in front of us store the answer
 * (RFC 9213) or send another file, and what this house says itself.
 */
const NOT_BACK =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-(?:length|encoding)|date|server|via|x-powered-by|location|content-location|refresh|link|set-cookie2?|clear-site-data|alt-svc|strict-transport-security|access-control-.*|www-authenticate|nel|report-to|reporting-endpoints|accept-ch|critical-ch|service-worker-allowed|.+-cache-control|surrogate-.*|edge-.*|x-accel-.*|x-sendfile|x-lighttpd-send-file|x-reproxy-.*|tracestate|sallyport[-_].*)$/;

/** The headers of the agent's answer that its caller gets. */
export function headersFromAgent(headers: HeaderLookup): Record<string, string> {
  const named = new Set(
    (headers.get('connection') ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const kept = [...headers.entries()].filter(([name]) => !NOT_BACK.test(name) && !named.has(name));
  return Object.fromEntries(kept);
}
