/** The port that a supervisor and a scraper look at: alive, ready, and the numbers. It tells nothing of policy or people. */

import { utf8 } from '@sallyport/crypto';
import type { Clock } from '@sallyport/model';
import { startHttpListener } from '@sallyport/net';
import type { HttpExchange, HttpListener } from '@sallyport/net';
import type { ListenAddress } from '@sallyport/runtime';
import { METRICS_CONTENT_TYPE } from '@sallyport/telemetry';
import type { Log, Metrics } from '@sallyport/telemetry';

export interface HealthOptions {
  readonly listen: ListenAddress;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Why it should get no new work; empty when it should. */
  readonly reasons: () => readonly string[];
}

/** Serves `GET /livez`, `/readyz` and `/metrics`. Rejects with a Fault `listen_failed`. */
export async function startHealth({ listen, clock, log, metrics, reasons }: HealthOptions): Promise<HttpListener> {
  return startHttpListener({
    listen,
    clock,
    onExchange: async (exchange) => answer(exchange, { metrics, reasons }),
    onRefusal: ({ code, address }) => log.debug('health.refused', { code, address }),
    onBug: (error) => log.error('health.failed', {}, error),
  });
}

async function answer(exchange: HttpExchange, { metrics, reasons }: Pick<HealthOptions, 'metrics' | 'reasons'>): Promise<void> {
  if (exchange.kind !== 'request' || exchange.method !== 'GET') return respond(exchange, 405, { allow: 'GET' }, '');
  switch (exchange.target) {
    case '/livez':
      return respond(exchange, 200, JSON_TYPE, '{"alive":true}\n');
    case '/readyz': {
      const found = reasons();
      return respond(
        exchange,
        found.length === 0 ? 200 : 503,
        JSON_TYPE,
        `${JSON.stringify({ ready: found.length === 0, reasons: found })}\n`,
      );
    }
    case '/metrics':
      return respond(exchange, 200, { 'content-type': METRICS_CONTENT_TYPE }, metrics.text());
    default:
      return respond(exchange, 404, JSON_TYPE, '{"error":"not found"}\n');
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function respond(exchange: HttpExchange, status: number, headers: Readonly<Record<string, string>>, body: string): Promise<void> {
  await exchange.respond({ status, headers: Object.entries({ ...headers, 'cache-control': 'no-store' }) }, utf8(body));
}
