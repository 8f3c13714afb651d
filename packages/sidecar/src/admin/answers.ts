/** Answers of the sidecar's own ports: small, whole, and never kept by anything between. */

import type { HttpExchange } from '@sallyport/net';

export function json(exchange: HttpExchange, status: number, value: unknown): Promise<void> {
  return respond(exchange, status, { type: 'application/json', body: `${JSON.stringify(value)}\n` });
}

export function text(exchange: HttpExchange, status: number, body: string): Promise<void> {
  return respond(exchange, status, { type: 'text/plain; charset=utf-8', body });
}

export async function respond(exchange: HttpExchange, status: number, { type, body }: { type: string; body: string }): Promise<void> {
  const headers = [
    ['content-type', type],
    ['cache-control', 'no-store'],
  ] as const;
  await exchange.respond({ status, headers }, new TextEncoder().encode(body));
}
