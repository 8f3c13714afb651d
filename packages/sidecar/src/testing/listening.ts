/** One exchange served on a real port, and what a client hears of it. */

import { systemClock } from '@sallyport/runtime';
import { startHttpListener, type HttpExchange, type HttpListener } from '@sallyport/net';
import { request as httpRequest } from 'node:http';
import { afterEach, expect } from 'vitest';
import type { Readiness } from '../admin/readiness.ts';

export const READY: Readiness = {
  ready: true,
  reason: 'fresh',
  state: 'fresh',
  release_seq: 1,
  policy_age_ms: 5,
  ttl_ms: 60_000,
  identity: 'spiffe://test/sidecar/a/one',
  identity_expires_at: '2026-11-20T08:00:00.000Z',
  connected: true,
  development_root: false,
  draining: false,
  isolation: 'enforced',
  isolation_reasons: [],
  stale_credentials: [],
  leaked_credentials: [],
  critical_credentials: [],
  failing_credentials: [],
};

const open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.drain({ graceMs: 0 })));
});

export async function serving(onExchange: (exchange: HttpExchange) => Promise<void>): Promise<number> {
  const listener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock: systemClock(),
    onExchange,
    onRefusal: () => undefined,
    onBug: (error) => expect.unreachable(String(error)),
  });
  open.push(listener);
  return listener.address.kind === 'tcp' ? listener.address.port : 0;
}

export interface Heard {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}
export function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text }));
    });
    sent.on('error', reject);
    sent.end();
  });
}
