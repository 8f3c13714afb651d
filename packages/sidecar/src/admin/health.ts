/** Liveness, readiness and metrics, for kubelets and scrapers; the key of assertions, for tools. Only reads; what acts, or tells of calls, is in `admin-exchange.ts`. */

import type { HttpExchange } from '@sallyport/net';
import { METRICS_CONTENT_TYPE, type Metrics } from '@sallyport/telemetry';
import { json, respond, text } from './answers.ts';
import type { Readiness } from './readiness.ts';

/**
 * `/livez`: the process answers. `/readyz`: 200 while it may enforce, else 503 with the reason. `/metrics`.
 * `/.well-known/jwks.json`: the key that assertions are signed with (assertions-v1, section 5);
 * `/.well-known/session-jwks.json`: that of session tokens, which nobody believes an assertion by. On a loopback
 * port a page in the machine's browser gets none of it: it cannot choose its Host (DNS rebinding) nor hide its Origin.
 */
export function healthExchange(of: {
  readiness: () => Readiness;
  metrics: Metrics;
  keySet: () => object;
  sessionKeySet: () => object;
  isLoopback: boolean;
}): (exchange: HttpExchange) => Promise<void> {
  return async (exchange) => {
    if (exchange.method !== 'GET') return text(exchange, 405, 'method not allowed\n');
    if (of.isLoopback && isFromPage(exchange.rawHeaders)) return text(exchange, 403, 'forbidden\n');
    switch (exchange.target) {
      case '/livez':
        return text(exchange, 200, 'ok\n');
      case '/readyz': {
        const readiness = of.readiness();
        return json(exchange, readiness.ready ? 200 : 503, readiness);
      }
      case '/metrics':
        return respond(exchange, 200, { type: METRICS_CONTENT_TYPE, body: of.metrics.text() });
      case '/.well-known/jwks.json':
        return keys(exchange, of.keySet());
      case '/.well-known/session-jwks.json':
        return keys(exchange, of.sessionKeySet());
      default:
        return text(exchange, 404, 'not found\n');
    }
  };
}

function keys(exchange: HttpExchange, set: object): Promise<void> {
  return respond(exchange, 200, { type: 'application/jwk-set+json', body: `${JSON.stringify(set)}\n` });
}

const LOOPBACK_HOST = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?$/i;

/** Addressed by another name than loopback's, or sent on behalf of a site. */
function isFromPage(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase();
    const value = rawHeaders[i + 1] ?? '';
    if (name === 'origin' || (name === 'sec-fetch-site' && value !== 'none')) return true;
    if (name !== 'host') continue;
    hosts += 1;
    if (!LOOPBACK_HOST.test(value)) return true;
  }
  return hosts !== 1;
}
