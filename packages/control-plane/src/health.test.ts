import { get, request } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Publish, GetHeadsRequestSchema, create } from '@sallyport/contract';
import type { Instant } from '@sallyport/model';
import { controlPlaneHarness } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness({ config: { listen: { health: '127.0.0.1:0' } } });
});
afterEach(async () => harness.close());

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function ask(path: string, method = 'GET'): Promise<Answer> {
  const { health } = harness.controlPlane.addresses();
  if (health?.kind !== 'tcp') throw new Error('not served');
  const url = `http://${health.host}:${health.port}${path}`;
  return new Promise((resolve, reject) => {
    const asked = method === 'GET' ? get(url) : request(url, { method }).end();
    asked.once('error', reject);
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }));
    });
  });
}

test('alive, ready, and the numbers', async () => {
  await (await harness.client(Publish, '/collector')).getHeads(create(GetHeadsRequestSchema), { deadlineMs: 10_000 });
  expect(await ask('/livez')).toMatchObject({ status: 200 });
  expect(await ask('/readyz')).toMatchObject({ status: 200, body: '{"ready":true,"reasons":[]}\n' });
  const { body } = await ask('/metrics');
  for (const name of [
    'sallyport_audit_index_lag_seconds',
    'sallyport_subscribers 0',
    'sallyport_calls_refused_total{method="getHeads",code="PERMISSION_DENIED"} 1',
  ])
    expect(body).toContain(name);
});

test('not ready while no freshness can be issued, and alive all the same', async () => {
  harness.clock.setWall((harness.clock.wall() + 31 * 86_400_000) as Instant);
  await harness.clock.advance(100_000);
  await expect.poll(async () => (await ask('/readyz')).status).toBe(503);
  expect((await ask('/readyz')).body).toContain('no freshness');
  expect(await ask('/livez')).toMatchObject({ status: 200 });
});

test.each([
  ['/', 'GET', 404],
  ['/metrics?x', 'GET', 404],
  ['/readyz', 'POST', 405],
])('%s by %s is %i', async (path, method, status) => {
  expect(await ask(path, method)).toMatchObject({ status });
});
