/**
 * Liveness, readiness and metrics, for kubelets and scrapers; and on a socket that the agent cannot reach, what the
 * sidecar knows of itself. Both only read; the one act, drain, is on the socket.
 */

import type { HttpExchange } from '@sallyport/net';
import { METRICS_CONTENT_TYPE, type Metrics } from '@sallyport/telemetry';
import type { Decisions } from './decisions.ts';
import type { Readiness } from './readiness.ts';

/**
 * `/livez`: the process answers. `/readyz`: 200 while it may enforce, else 503 with the reason. `/metrics`. On a loopback
 * port a page in the machine's browser gets none of it: it cannot choose its Host (DNS rebinding) nor hide its Origin.
 */
export function healthExchange(of: {
  readiness: () => Readiness;
  metrics: Metrics;
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
      default:
        return text(exchange, 404, 'not found\n');
    }
  };
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

/** `GET /status`, `GET /decisions`, `GET /decisions/<id>`, `POST /drain`. */
export function adminExchange(of: {
  readiness: () => Readiness;
  decisions: Decisions;
  drain: () => void;
}): (exchange: HttpExchange) => Promise<void> {
  return async (exchange) => {
    const { method, target } = exchange;
    if (method === 'GET' && target === '/status') return json(exchange, 200, of.readiness());
    if (method === 'GET' && target === '/decisions') return json(exchange, 200, { decisions: of.decisions.list().slice(0, 100) });
    if (method === 'GET' && target.startsWith('/decisions/')) {
      const found = of.decisions.find(target.slice('/decisions/'.length));
      return found === undefined
        ? json(exchange, 404, { error: 'not among the last 1,000 decisions of this start' })
        : json(exchange, 200, found);
    }
    if (method === 'POST' && target === '/drain') {
      await json(exchange, 202, { draining: true });
      return of.drain();
    }
    return json(exchange, 404, { error: 'not found' });
  };
}

function json(exchange: HttpExchange, status: number, value: unknown): Promise<void> {
  return respond(exchange, status, { type: 'application/json', body: `${JSON.stringify(value)}\n` });
}

function text(exchange: HttpExchange, status: number, body: string): Promise<void> {
  return respond(exchange, status, { type: 'text/plain; charset=utf-8', body });
}

async function respond(exchange: HttpExchange, status: number, { type, body }: { type: string; body: string }): Promise<void> {
  const headers = [
    ['content-type', type],
    ['cache-control', 'no-store'],
  ] as const;
  await exchange.respond({ status, headers }, new TextEncoder().encode(body));
}
