import { createMetrics } from '@sallyport/telemetry';
import { describe, expect, it } from 'vitest';
import { READY, ask, serving } from '../testing/listening.ts';
import { healthExchange } from './health.ts';
import type { Readiness } from './readiness.ts';

describe('the health port', () => {
  const health = (readiness: Readiness = READY, isLoopback = true): Promise<number> =>
    serving(
      healthExchange({
        readiness: () => readiness,
        metrics: createMetrics(),
        keySet: () => ({ keys: [] }),
        sessionKeySet: () => ({ keys: ['of sessions'] }),
        isLoopback,
      }),
    );

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
    for (const path of ['/readyz', '/metrics', '/livez', '/.well-known/jwks.json', '/.well-known/session-jwks.json'])
      expect(await ask(port, path, { headers })).toMatchObject({ status: 403, text: 'forbidden\n' });
  });

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:15020', '127.1.2.3', '[::1]:15020'])('answers to %s', async (host) => {
    expect((await ask(await health(), '/livez', { headers: { host } })).status).toBe(200);
  });

  it('tells the key of assertions, and of a sidecar without one that there is none', async () => {
    expect(await ask(await health(), '/.well-known/jwks.json')).toMatchObject({ status: 200, text: '{"keys":[]}\n' });
  });

  it('tells the key of sessions apart from it: a tool that looks up who signs assertions does not find it', async () => {
    expect(await ask(await health(), '/.well-known/session-jwks.json')).toMatchObject({ status: 200, text: '{"keys":["of sessions"]}\n' });
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
