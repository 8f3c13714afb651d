/** Keys that rotate, are withdrawn, or cannot be had, at a real sidecar whose clock the test holds. */

import {
  issuerKeyPair,
  issuerServer,
  OPENID_PATH,
  recordingUpstream,
  type FakeClock,
  type IssuerKeyPair,
  type IssuerServer,
  type RecordingUpstream,
} from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, pass, request, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const MINUTE_MS = 60_000;
const first = issuerKeyPair('ES256', 'key-1');
const second = issuerKeyPair('RS256', 'key-2');

let clock: FakeClock;
let world: World;
let up: RecordingUpstream;
let idp: IssuerServer;
let sidecar: RunningSidecar;

const policy = (): string => `${ordersPolicy(up.url, READ_ORDERS, world.idp)}---
kind: Issuer
issuer: ${idp.url}
audience: sallyport
discovery: true
network: loopback
jwks_age_max: 2m
max_lifetime: 1h
claims: { tenant: tid, roles: groups }
`;

const tokenOf = (key: IssuerKeyPair): string => {
  const iat = Math.floor(clock.wall() / 1000);
  return key.token({ iss: idp.url, aud: 'sallyport', sub: 'alice', tid: 'acme', groups: ['support-rep'], iat, exp: iat + 3_600 });
};
const open = (token: string): ReturnType<RunningSidecar['request']> =>
  sidecar.request('/session', { headers: { authorization: `Bearer ${token}` } });
const verdict = async (token: string): Promise<readonly [status: number, code: unknown]> => {
  const answer = await open(token);
  return [answer.status, answer.status === 201 ? undefined : answer.json()['code']];
};

beforeAll(async () => {
  clock = testClock();
  up = await recordingUpstream();
  world = await startWorld({ clock });
  idp = await issuerServer();
  idp.publish([first.jwk]);
  await world.admin.publish(policy());
  sidecar = await world.startSidecar();
  await eventually(async () => {
    await clock.advance(100);
    return sidecar.ready();
  }, 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  await idp?.close();
});

describe('an issuer that rotates its keys', () => {
  it('is followed to a new key without one valid token refused, and a withdrawn key stops within its age', async () => {
    const old = tokenOf(first);
    expect(await verdict(old)).toEqual([201, undefined]);
    await pass(clock, 31_000, 5_000);
    idp.publish([first.jwk, second.jwk]);
    expect(await Promise.all([verdict(old), verdict(tokenOf(second)), verdict(tokenOf(first))])).toEqual([
      [201, undefined],
      [201, undefined],
      [201, undefined],
    ]);
    idp.publish([second.jwk]);
    await pass(clock, 2 * MINUTE_MS, 5_000);
    expect([await verdict(old), await verdict(tokenOf(second))]).toEqual([
      [401, 'unauthenticated'],
      [201, undefined],
    ]);
  });
});

describe('an issuer that is away', () => {
  it('is not missed while its keys are young; then nobody is let in, and what a stranger hears is no more than that', async () => {
    const token = tokenOf(second);
    expect(await verdict(token)).toEqual([201, undefined]);
    idp.answer(OPENID_PATH, (response) => response.destroy());
    await pass(clock, MINUTE_MS, 5_000);
    expect(await verdict(token)).toEqual([201, undefined]);
    await pass(clock, MINUTE_MS + 5_000, 5_000);
    const before = up.requests.length;
    const refused = await open(token);
    expect([refused.status, refused.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'identity_unavailable', effect: 'none', next_action: 'wait', retryable: true }),
    ]);
    expect(refused.text).not.toContain(idp.url);
    expect([up.requests.length, (await sidecar.request('/session')).status]).toEqual([before, 401]);
    expect(world.log.some((line) => line.includes('identity_keys_failed') && line.includes(idp.url))).toBe(true);
    const metrics = await request(sidecar.healthPort, '/metrics', { method: 'GET' });
    expect(metrics.text).toMatch(/sallyport_identity_keys_failures_total\{issuer="http:[^"]*"\} [1-9]/);
    await pass(clock, 6_000, 2_000);
    idp.publish([second.jwk]);
    expect(await verdict(token)).toEqual([201, undefined]);
  });

  it('stops nobody whose issuer’s keys stand in the bundle', async () => {
    idp.answer(OPENID_PATH, (response) => response.destroy());
    await pass(clock, 2 * MINUTE_MS + 5_000, 5_000);
    expect(await verdict(tokenOf(second))).toEqual([503, 'identity_unavailable']);
    expect(await verdict(world.idp.mint(clock.wall()))).toEqual([201, undefined]);
  });
});

describe('[R13.02] refunds, changes of accounts and exports', () => {
  it.each(['money', 'pii', 'export'])(
    'a rule that serves class %s without an identity is refused by builder and control plane',
    async (cls) => {
      const guarded = READ_ORDERS.replace('effect: read\n', `effect: read\nclasses: [${cls}]\n`);
      const honest = ordersPolicy(up.url, guarded, world.idp);
      const open = honest.replace('for: { roles: [support-rep] }', 'for: { principals: [anonymous] }');
      await expect(world.admin.submitBundle(open)).rejects.toThrow('anonymous');
      const { problems } = await world.admin.submitParts(honest, (name, text) =>
        name === 'policy' ? text.replace('"roles":["support-rep"]', '"principals":["anonymous"]') : text,
      );
      expect(problems.map(({ message }) => message).join('\n')).toContain('anonymous');
    },
  );
});
