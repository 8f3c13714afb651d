/** Answers of the sidecar's own ports: small, whole, and never kept by anything between. */

import { Fault } from '@sallyport/model';
import type { HttpExchange } from '@sallyport/net';

export function json(exchange: HttpExchange, status: number, value: unknown): Promise<void> {
  return respond(exchange, status, { type: 'application/json', body: `${JSON.stringify(value)}\n` });
}

export function text(exchange: HttpExchange, status: number, body: string): Promise<void> {
  return respond(exchange, status, { type: 'text/plain; charset=utf-8', body });
}

/** Resolves also where whoever asked has gone meanwhile: nothing is lost with an answer that nobody waits for. */
export async function respond(exchange: HttpExchange, status: number, { type, body }: { type: string; body: string }): Promise<void> {
  const headers = [
    ['content-type', type],
    ['cache-control', 'no-store'],
  ] as const;
  try {
    await exchange.respond({ status, headers }, new TextEncoder().encode(body));
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'aborted' || error.source !== 'downstream') throw error;
  }
}
