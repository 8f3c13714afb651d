import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fleet, StatusRequestSchema, create } from '@sallyport/contract';
import { readCertificate } from '@sallyport/crypto';
import { createClient } from '@sallyport/net';
import type { Channel } from '@sallyport/net';
import { controlPlaneHarness } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness();
});
afterEach(async () => harness.close());

async function connected(): Promise<Channel> {
  const channel = await harness.channel('/admin/alice');
  const answer = await createClient(Fleet, channel).status(create(StatusRequestSchema), { deadlineMs: 10_000 });
  if (!answer.ok) throw new Error(answer.error.message);
  return channel;
}

const leafOf = (channel: Channel): NonNullable<ReturnType<typeof readCertificate>> => {
  const leaf = readCertificate(channel.peer?.certificate ?? new Uint8Array());
  if (leaf === undefined) throw new Error('no certificate');
  return leaf;
};

test('the server is `/control-plane`, under its names, for an hour at most', async () => {
  const leaf = leafOf(await connected());
  expect(leaf).toMatchObject({ spiffeId: 'spiffe://sallyport.test/control-plane', dnsNames: ['localhost'], usage: 'tls-server' });
  expect(leaf.notAfter - leaf.notBefore).toBeLessThanOrEqual(3_600_000);
});

test('it is renewed at half its life, and the audit key’s new certificate goes into the own stream', async () => {
  const before = leafOf(await connected());
  await harness.clock.advance(28 * 60_000);
  await expect.poll(async () => leafOf(await connected()).serial).not.toBe(before.serial);
  const certified = (await harness.records()).filter(({ kind }) => kind === 'CERTIFICATE');
  expect(certified).toHaveLength(1);
});
