import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GetHeadsRequestSchema, Publish, RevokeRequestSchema, create } from '@sallyport/contract';
import type { MessageInitShape, RevokeResponse } from '@sallyport/contract';
import type { GrpcStatus } from '@sallyport/net';
import { controlPlaneHarness, flipBit } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';

const soon = { deadlineMs: 20_000 };

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness();
});
afterEach(async () => harness.close());

type Answer = { readonly ok: true; readonly value: RevokeResponse } | { readonly ok: false; readonly error: GrpcStatus };

async function revoke(of: MessageInitShape<typeof RevokeRequestSchema>): Promise<Answer> {
  return (await harness.client(Publish, '/admin/alice')).revoke(create(RevokeRequestSchema, of), soon);
}

async function head(): Promise<bigint | undefined> {
  const publish = await harness.client(Publish, '/admin/alice');
  const heads = await publish.getHeads(create(GetHeadsRequestSchema, { area: 'default', ring: 'default' }), soon);
  return heads.ok ? heads.value.revocationSeq : undefined;
}

test('entries are contiguous whoever asks at once, each recorded with who asked', async () => {
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map(async (value) => revoke({ selector: 'token', value, reason: 'lost' })));
  expect(new Set(answers.map((answer) => (answer.ok ? answer.value.seq : 0n)))).toEqual(new Set([1n, 2n, 3n, 4n]));
  const acts = await harness.acts();
  expect(acts).toHaveLength(4);
  expect(acts[0]).toMatchObject({
    act: 'revoke',
    actor: 'spiffe://sallyport.test/admin/alice',
    object: expect.stringMatching(/^token [a-d]$/) as string,
    old_digest: null,
  });
  expect(acts[1]?.['old_digest']).toBe(acts[0]?.['new_digest']);
});

test.each([
  ['an unknown kind', { selector: 'planet', value: 'earth' }],
  ['nothing in particular', { selector: 'token', value: '' }],
  ['everything by another name', { selector: 'everything', value: 'all' }],
  ['what is no tool', { selector: 'tool', value: 'orders' }],
  ['until a moment that has passed', { selector: 'token', value: 'a', expiresAtMs: 1n }],
  ['before a moment that no date holds', { selector: 'token', value: 'a', beforeMs: 2n ** 60n }],
  ['for a reason without end', { selector: 'token', value: 'a', reason: 'x'.repeat(501) }],
])('revoking %s is refused, and the log stays as it is', async (_what, of) => {
  expect(await revoke(of)).toMatchObject({ ok: false, error: { code: 'invalid_argument' } });
  expect(await head()).toBe(0n);
});

test('the log goes on over a restart', async () => {
  await revoke({ selector: 'principal', value: 'mallory@company.com' });
  await harness.restart();
  expect(await revoke({ selector: 'principal', value: 'eve@company.com' })).toMatchObject({ value: { seq: 2n } });
});

test('an entry that was edited in the database stops the start instead of reaching sidecars', async () => {
  await revoke({ selector: 'principal', value: 'mallory@company.com' });
  await harness.stop();
  const file = new DatabaseSync(join(harness.directory, 'state', 'control-plane.db'));
  const { envelope } = file.prepare('SELECT envelope FROM revocation_entry WHERE seq = 1').get() as { envelope: Uint8Array };
  file.prepare('UPDATE revocation_entry SET envelope = ? WHERE seq = 1').run(flipBit(envelope, 120));
  file.close();
  await expect(harness.start()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringContaining('revocation 1') as string });
});
