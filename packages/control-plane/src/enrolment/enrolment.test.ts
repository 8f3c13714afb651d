import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CreateJoinTokenRequestSchema,
  EnrolRequestSchema,
  Enrolment,
  Fleet,
  Publish,
  RenewRequestSchema,
  RevokeRequestSchema,
  create,
} from '@sallyport/contract';
import type { Certificates, EnrolRequest } from '@sallyport/contract';
import { readCertificate, sha256, verifyChain } from '@sallyport/crypto';
import { createCsr, generateKey, randomBytes } from '@sallyport/crypto/keys';
import { createClient } from '@sallyport/net';
import type { GrpcStatus } from '@sallyport/net';
import { controlPlaneHarness, flipBit, harnessPolicy } from '@sallyport/testkit';
import type { ControlPlaneHarness, EnrolledSidecar } from '@sallyport/testkit';

const soon = { deadlineMs: 20_000 };

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness();
});
afterEach(async () => harness.close());

type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: GrpcStatus };
const codeOf = (answer: Answer<unknown>): string => (answer.ok ? 'ok' : answer.error.code);

/** Registers a token; the secret. */
async function token(of: { readonly agent?: string; readonly ring?: string; readonly lifeMs?: number } = {}): Promise<Uint8Array> {
  const secret = randomBytes(32);
  const answer = await register(sha256(secret), of);
  if (!answer.ok) throw new Error(answer.error.message);
  return secret;
}

async function register(
  secretHash: Uint8Array,
  { agent = 'support-triage', ring = 'default', lifeMs = 600_000 } = {},
): Promise<Answer<unknown>> {
  const fleet = await harness.client(Fleet, '/admin/alice');
  const expiresAtMs = BigInt(harness.clock.wall() + lifeMs);
  return fleet.createJoinToken(create(CreateJoinTokenRequestSchema, { secretHash, agent, area: 'default', ring, expiresAtMs }), soon);
}

function request(
  tokenSecret: Uint8Array,
  of: Partial<Pick<EnrolRequest, 'instance' | 'tlsCsr' | 'auditCsr' | 'assertionCsr'>> = {},
): EnrolRequest {
  const [tls, audit] = [generateKey('es256'), generateKey('ed25519')];
  return create(EnrolRequestSchema, {
    tokenSecret,
    instance: 'one',
    tlsCsr: createCsr(tls.privatePem),
    auditCsr: createCsr(audit.privatePem),
    assertionCsr: createCsr(generateKey('es256').privatePem),
    ...of,
  });
}

async function enrol(tokenSecret: Uint8Array, of: Parameters<typeof request>[1] = {}): Promise<Answer<Certificates>> {
  return harness.enrolment().enrol(request(tokenSecret, of), soon);
}

describe('enrolling', () => {
  test('a token buys three certificates for one identity: to connect, to sign records and to assert calls', async () => {
    await harness.publish();
    const answer = await enrol(await token());
    if (!answer.ok) throw new Error(answer.error.message);
    const authorities = [harness.authority.ca.certificate];
    for (const [chain, usage] of [
      [answer.value.tlsChain, 'tls-client'],
      [answer.value.auditChain, 'audit'],
      [answer.value.assertionChain, 'assertion'],
    ] as const) {
      const verified = verifyChain(chain, authorities, harness.clock.wall());
      expect(verified).toMatchObject({ ok: true, leaf: { spiffeId: 'spiffe://sallyport.test/sidecar/support-triage/one', usage } });
      const leaf = readCertificate(chain[0] ?? new Uint8Array());
      expect((leaf?.notAfter ?? 0) - (leaf?.notBefore ?? 0)).toBeLessThanOrEqual(3_600_000);
      expect(Buffer.from(chain[1] ?? []).equals(harness.authority.ca.certificate)).toBe(true);
    }
    expect(answer.value.counter).toBe(1n);
  });

  test.each([
    ['unknown', async (): Promise<Uint8Array> => randomBytes(32)],
    [
      'expired',
      async (): Promise<Uint8Array> => {
        const secret = await token({ lifeMs: 1_000 });
        await harness.clock.advance(1_000);
        return secret;
      },
    ],
    [
      'spent',
      async (): Promise<Uint8Array> => {
        const secret = await token();
        expect(codeOf(await enrol(secret, { instance: 'first' }))).toBe('ok');
        return secret;
      },
    ],
    ['its own hash', async (): Promise<Uint8Array> => sha256(await token())],
    ['too short', async (): Promise<Uint8Array> => (await token()).subarray(0, 31)],
    ['empty', async (): Promise<Uint8Array> => new Uint8Array(0)],
  ])('a token that is %s buys nothing, and the answer does not say which', async (_what, secret) => {
    await harness.publish();
    const answer = await enrol(await secret());
    expect(answer).toMatchObject({ ok: false, error: { code: 'unauthenticated', message: 'the join token is unknown, spent or expired' } });
  });

  test('two that spend one token at once: exactly one is enrolled', async () => {
    await harness.publish();
    const secret = await token();
    const answers = await Promise.all(['a', 'b', 'c'].map(async (instance) => enrol(secret, { instance })));
    expect(answers.map(codeOf).toSorted()).toEqual(['ok', 'unauthenticated', 'unauthenticated']);
  });

  test('a spent token stays spent over a restart', async () => {
    await harness.publish();
    const secret = await token();
    expect(codeOf(await enrol(secret))).toBe('ok');
    await harness.restart();
    expect(codeOf(await enrol(secret, { instance: 'two' }))).toBe('unauthenticated');
  });

  test('an agent that is not registered is refused with what to do, and its token is not spent', async () => {
    const secret = await token({ agent: 'rogue' });
    const early = await token();
    expect(await enrol(early)).toMatchObject({
      error: { code: 'failed_precondition', message: expect.stringContaining('has no bundle yet') as string },
    });
    await harness.publish();
    expect(await enrol(secret)).toMatchObject({
      error: { code: 'failed_precondition', message: expect.stringContaining('`rogue` is not registered') as string },
    });
    expect(codeOf(await enrol(early))).toBe('ok');
  });

  test('an instance name is taken until its last certificate has ended', async () => {
    await harness.publish();
    expect(codeOf(await enrol(await token()))).toBe('ok');
    const spare = await token();
    expect(codeOf(await enrol(spare))).toBe('already_exists');
    expect(codeOf(await enrol(spare, { instance: 'two' }))).toBe('ok');
    const later = await token({ lifeMs: 7_200_000 });
    await harness.clock.advance(3_600_000);
    expect(await enrol(later)).toMatchObject({ ok: true, value: { counter: 2n } });
  });

  test.each([
    [
      'a request that its key did not sign',
      (): Parameters<typeof request>[1] => {
        const csr = createCsr(generateKey('es256').privatePem);
        return { tlsCsr: flipBit(csr, csr.length - 4) };
      },
    ],
    ['no request', (): Parameters<typeof request>[1] => ({ auditCsr: new Uint8Array(0) })],
    ['an audit key that is not Ed25519', (): Parameters<typeof request>[1] => ({ auditCsr: createCsr(generateKey('es256').privatePem) })],
    [
      'one key for both',
      (): Parameters<typeof request>[1] => {
        const csr = createCsr(generateKey('ed25519').privatePem);
        return { tlsCsr: csr, auditCsr: csr };
      },
    ],
    [
      'an assertion key that is not P-256',
      (): Parameters<typeof request>[1] => ({ assertionCsr: createCsr(generateKey('ed25519').privatePem) }),
    ],
    [
      'one key for TLS and assertions',
      (): Parameters<typeof request>[1] => {
        const csr = createCsr(generateKey('es256').privatePem);
        return { tlsCsr: csr, assertionCsr: csr };
      },
    ],
    [
      'an assertion request that its key did not sign',
      (): Parameters<typeof request>[1] => {
        const csr = createCsr(generateKey('es256').privatePem);
        return { assertionCsr: flipBit(csr, csr.length - 4) };
      },
    ],
    ['an instance that would be another path', (): Parameters<typeof request>[1] => ({ instance: '../admin/alice' })],
    ['an empty instance', (): Parameters<typeof request>[1] => ({ instance: '' })],
  ])('%s is refused', async (_what, of) => {
    await harness.publish();
    expect(codeOf(await enrol(await token(), of()))).toBe('invalid_argument');
  });

  test('a sidecar that is older than assertions gets the two certificates that it asked for', async () => {
    await harness.publish();
    const answer = await enrol(await token(), { assertionCsr: new Uint8Array() });
    expect(answer).toMatchObject({ ok: true, value: { tlsChain: [expect.anything(), expect.anything()], assertionChain: [] } });
  });

  test('it is recorded: by whose token which sidecar came', async () => {
    await harness.publish();
    await harness.enrol();
    const acts = await harness.acts();
    expect(acts).toMatchObject([
      { act: 'publish' },
      { act: 'create join token', actor: 'spiffe://sallyport.test/admin/alice', object: 'join token for support-triage' },
      {
        act: 'enrol',
        actor: 'spiffe://sallyport.test/sidecar/support-triage/one',
        detail: expect.stringContaining('join token by spiffe://sallyport.test/admin/alice') as string,
      },
    ]);
    expect(JSON.stringify(acts)).not.toContain('secret');
  });
});

describe('join tokens', () => {
  test.each([
    ['lives too long', { lifeMs: 25 * 3_600_000 }, 'invalid_argument'],
    ['has expired', { lifeMs: -1 }, 'invalid_argument'],
    ['is for no name', { agent: 'Support Triage' }, 'invalid_argument'],
    ['is for no ring', { ring: '' }, 'invalid_argument'],
  ])('one that %s is refused', async (_what, of, code) => {
    expect(codeOf(await register(randomBytes(32), of))).toBe(code);
  });

  test('the hash has the length of a hash, and is registered once', async () => {
    const hash = randomBytes(32);
    expect(codeOf(await register(hash.subarray(1)))).toBe('invalid_argument');
    expect(codeOf(await register(hash))).toBe('ok');
    expect(codeOf(await register(hash))).toBe('already_exists');
  });
});

describe('renewing', () => {
  interface Keys {
    readonly tlsCsr: Uint8Array;
    readonly auditCsr: Uint8Array;
    readonly assertionCsr: Uint8Array;
  }
  const newKeys = (): Keys => ({
    tlsCsr: createCsr(generateKey('es256').privatePem),
    auditCsr: createCsr(generateKey('ed25519').privatePem),
    assertionCsr: createCsr(generateKey('es256').privatePem),
  });
  const renew = async (sidecar: EnrolledSidecar, counter: bigint, keys: Keys): Promise<Answer<Certificates>> =>
    createClient(Enrolment, sidecar.channel).renew(create(RenewRequestSchema, { counter, ...keys }), soon);

  let sidecar: EnrolledSidecar;
  beforeEach(async () => {
    await harness.publish();
    sidecar = await harness.enrol();
  });

  test('gives the same identity new certificates and the next number', async () => {
    const answer = await renew(sidecar, 1n, newKeys());
    expect(answer).toMatchObject({ ok: true, value: { counter: 2n } });
    expect(answer.ok && readCertificate(answer.value.tlsChain[0] ?? new Uint8Array())?.spiffeId).toBe(sidecar.spiffeId);
  });

  test('an answer that was lost is given again to the same key, under the same number', async () => {
    const keys = newKeys();
    expect(await renew(sidecar, 1n, keys)).toMatchObject({ value: { counter: 2n } });
    expect(await renew(sidecar, 1n, keys)).toMatchObject({ value: { counter: 2n } });
    expect(await renew(sidecar, 2n, newKeys())).toMatchObject({ value: { counter: 3n } });
  });

  test('fork: the same number with another key is refused and alerted, and nothing is revoked', async () => {
    const keys = newKeys();
    await renew(sidecar, 1n, keys);
    expect(codeOf(await renew(sidecar, 1n, newKeys()))).toBe('failed_precondition');
    expect(await harness.alerts()).toMatchObject([{ code: 'IDENTITY_FORK', detail: expect.stringContaining(sidecar.spiffeId) as string }]);
    expect(codeOf(await renew(sidecar, 2n, newKeys()))).toBe('ok');
  });

  test('fork: another assertion key alone makes a renewal another one', async () => {
    const keys = newKeys();
    await renew(sidecar, 1n, keys);
    expect(codeOf(await renew(sidecar, 1n, { ...keys, assertionCsr: newKeys().assertionCsr }))).toBe('failed_precondition');
    expect(codeOf(await renew(sidecar, 1n, keys))).toBe('ok');
  });

  test.each([0n, 7n, 2n ** 63n])('a number that was never given out (%s) is no renewal', async (counter) => {
    expect(codeOf(await renew(sidecar, counter, newKeys()))).toBe('failed_precondition');
  });

  test('a revoked sidecar is not renewed, nor one whose agent was removed from policy', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    const removed = harnessPolicy(2).map((file) => ({ ...file, text: file.text.replaceAll('support-triage', 'billing') }));
    await harness.publish(removed);
    expect(await renew(sidecar, 1n, newKeys())).toMatchObject({
      error: { code: 'failed_precondition', message: expect.stringContaining('not registered') as string },
    });
    await publish.revoke(create(RevokeRequestSchema, { selector: 'sidecar', value: sidecar.spiffeId }), soon);
    expect(codeOf(await renew(sidecar, 1n, newKeys()))).toBe('permission_denied');
  });

  test('a revocation that looks back spares what was certified after it', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    const beforeMs = BigInt(harness.clock.wall() - 3_600_000);
    await publish.revoke(create(RevokeRequestSchema, { selector: 'sidecar', value: sidecar.spiffeId, beforeMs }), soon);
    expect(codeOf(await renew(sidecar, 1n, newKeys()))).toBe('ok');
  });

  test('signing everybody out lets no sidecar run out; a ban of everything does', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    const everything = { selector: 'everything', value: '*', beforeMs: BigInt(harness.clock.wall()) };
    await publish.revoke(create(RevokeRequestSchema, everything), soon);
    expect(codeOf(await renew(sidecar, 1n, newKeys()))).toBe('ok');
    await publish.revoke(create(RevokeRequestSchema, { ...everything, beforeMs: 0n }), soon);
    expect(codeOf(await renew(sidecar, 2n, newKeys()))).toBe('permission_denied');
  });

  test('an identity that was never enrolled here is not renewed', async () => {
    const ghost = createClient(Enrolment, await harness.channel('/sidecar/support-triage/ghost'));
    expect(codeOf(await ghost.renew(create(RenewRequestSchema, { counter: 1n, ...newKeys() }), soon))).toBe('permission_denied');
  });
});
