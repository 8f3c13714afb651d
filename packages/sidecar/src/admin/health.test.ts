import { systemClock } from '@sallyport/runtime';
import { createMetrics } from '@sallyport/telemetry';
import { startHttpListener, type HttpExchange, type HttpListener } from '@sallyport/net';
import { decisionBody, outcomeBody } from '../testing/audit-side.ts';
import { request as httpRequest } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { lastDecisions } from './decisions.ts';
import { adminExchange, healthExchange } from './health.ts';
import type { Readiness } from './readiness.ts';

const READY: Readiness = {
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
};

const open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.drain({ graceMs: 0 })));
});

async function serving(onExchange: (exchange: HttpExchange) => Promise<void>): Promise<number> {
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

interface Heard {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}
function ask(
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

describe('the health port', () => {
  const health = (readiness: Readiness = READY, isLoopback = true): Promise<number> =>
    serving(healthExchange({ readiness: () => readiness, metrics: createMetrics(), isLoopback }));

  it('is alive while the process answers, ready only while it may serve, and says why not', async () => {
    const port = await health({ ...READY, ready: false, reason: 'journal_full' });
    expect(await ask(port, '/livez')).toMatchObject({ status: 200, text: 'ok\n' });
    const ready = await ask(port, '/readyz');
    expect([ready.status, JSON.parse(ready.text)]).toMatchObject([503, { ready: false, reason: 'journal_full' }]);
    expect((await ask(await health(), '/readyz')).status).toBe(200);
  });

  it.each([
    ['a page whose name was rebound to this machine', { host: 'evil.example:15020' }],
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of this very port', { 'sec-fetch-site': 'same-origin' }],
    ['a script', { origin: 'null' }],
    ['a name that only begins like loopback', { host: '127.0.0.1.evil.example' }],
  ])('tells %s nothing', async (_, headers) => {
    const port = await health();
    for (const path of ['/readyz', '/metrics', '/livez'])
      expect(await ask(port, path, { headers })).toMatchObject({ status: 403, text: 'forbidden\n' });
  });

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:15020', '127.1.2.3', '[::1]:15020'])('answers to %s', async (host) => {
    expect((await ask(await health(), '/livez', { headers: { host } })).status).toBe(200);
  });

  it('behind another address is asked by any name: who may reach it is the network’s business', async () => {
    expect((await ask(await health(READY, false), '/livez', { headers: { host: 'sidecar.monitoring.svc' } })).status).toBe(200);
  });

  it('does nothing: there is no act on it', async () => {
    const port = await health();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await ask(port, '/readyz', { method })).status).toBe(405);
    for (const path of ['/drain', '/status', '/decisions', '/livez/', '/readyz?x']) expect((await ask(port, path)).status).toBe(404);
  });
});

describe('the admin socket', () => {
  const decisions = lastDecisions();
  decisions.see(decisionBody('D1', { detail: 'who fell short of what' }));
  decisions.see(outcomeBody('D1'));
  let drains = 0;
  const admin = (): Promise<number> => serving(adminExchange({ readiness: () => READY, decisions, drain: () => drains++ }));

  it('gives one decision with its outcome, and what stood behind it', async () => {
    const found = await ask(await admin(), '/decisions/D1');
    expect([found.status, JSON.parse(found.text)]).toMatchObject([
      200,
      { decision: { decision_id: 'D1', detail: 'who fell short of what' }, outcome: { result: 'ok' } },
    ]);
    expect((await ask(await admin(), '/decisions/D2')).status).toBe(404);
    expect((await ask(await admin(), '/decisions/..%2f..%2fetc')).status).toBe(404);
  });

  it('drains on POST alone, after it has answered', async () => {
    const port = await admin();
    expect((await ask(port, '/drain')).status).toBe(404);
    expect(drains).toBe(0);
    expect((await ask(port, '/drain', { method: 'POST' })).status).toBe(202);
    await expect.poll(() => drains).toBe(1);
  });

  it('lists the newest first, and no more than a hundred', async () => {
    for (let i = 0; i < 150; i++) decisions.see(decisionBody(`L${i}`));
    const { decisions: listed } = JSON.parse((await ask(await admin(), '/decisions')).text) as {
      decisions: { decision: { decision_id: string } }[];
    };
    expect([listed.length, listed[0]?.decision.decision_id]).toEqual([100, 'L149']);
    expect(JSON.parse((await ask(await admin(), '/status')).text)).toEqual(READY);
  });
});
