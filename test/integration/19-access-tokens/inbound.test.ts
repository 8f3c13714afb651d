/** The same tokens on the way in: a client of the agent, with tokens whose issuer publishes its keys, and bound ones. */

import { dpopProof, issuerKeyPair, issuerServer, OPENID_PATH, thumbprintOf, type FakeClock, type IssuerServer } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE_ALONE, codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, pass, testClock, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const key = issuerKeyPair('RS256', 'key-1');
const holder = issuerKeyPair('ES256', 'holder');
const thief = issuerKeyPair('ES256', 'thief');

let clock: FakeClock;
let side: InboundSide;
let idp: IssuerServer;

const tokenOf = (claims: object = {}): string => {
  const iat = Math.floor(clock.wall() / 1000);
  const good = { iss: idp.url, aud: 'sallyport', sub: 'alice@company.com', tid: 'acme', groups: ['support-rep'], iat, exp: iat + 900 };
  return key.token({ ...good, ...claims });
};
const ask = (headers: Record<string, string>, path: string = INVOKE): Promise<HttpAnswer> =>
  side.ask(path, { json: { request: 'Where is order O-000123?' }, headers });
const outcome = async (headers: Record<string, string>, path?: string): Promise<readonly [status: number, code: unknown]> => {
  const answer = await ask(headers, path);
  return [answer.status, answer.status === 200 ? undefined : codeOf(answer)];
};
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

beforeAll(async () => {
  idp = await issuerServer();
  idp.publish([key.jwk]);
  clock = testClock();
  side = await startInbound({ clock });
  const issuer = `---
kind: Issuer
issuer: ${idp.url}
audience: sallyport
discovery: true
network: loopback
jwks_age_max: 2m
max_lifetime: 15m
claims: { tenant: tid, roles: groups }
`;
  const { releaseSeq } = await side.world.admin.publish(`${inboundPolicy(side, ALICE_ALONE)}${issuer}`);
  await eventually(async () => {
    await clock.advance(100);
    return side.sidecar.sidecar.readiness().release_seq === releaseSeq;
  }, 'the release');
});
afterAll(async () => {
  await side?.close();
  await idp?.close();
});

describe('a client with a token of an issuer that publishes its keys', () => {
  it('reaches the agent, and with one that is wrong in signature, issuer, audience or expiry does not', async () => {
    expect(await outcome(bearer(tokenOf()))).toEqual([200, undefined]);
    const reached = side.agent.requests.length;
    const now = Math.floor(clock.wall() / 1000);
    const wrong = [
      issuerKeyPair('RS256', key.kid).token(JSON.parse(Buffer.from(tokenOf().split('.')[1] ?? '', 'base64url').toString()) as object),
      tokenOf({ iss: 'https://evil.test' }),
      tokenOf({ aud: 'another' }),
      tokenOf({ iat: now - 301, exp: now }),
    ];
    expect(await Promise.all(wrong.map((token) => outcome(bearer(token))))).toEqual([
      [401, 'signature_invalid'],
      [401, 'unauthenticated'],
      [401, 'unauthenticated'],
      [401, 'token_expired'],
    ]);
    expect(side.agent.requests.length).toBe(reached);
  });

  it('is heard while a second is left of its token, and not at its end, though clocks may differ', async () => {
    const now = Math.floor(clock.wall() / 1000);
    expect(await outcome(bearer(tokenOf({ iat: now - 60, exp: now + 2 })))).toEqual([200, undefined]);
    expect(await outcome(bearer(tokenOf({ iat: now - 60, exp: now })))).toEqual([401, 'token_expired']);
    expect(await outcome(bearer(tokenOf({ iat: now + 29 })))).toEqual([200, undefined]);
    expect(await outcome(bearer(tokenOf({ iat: now + 60 })))).toEqual([401, 'unauthenticated']);
  });

  it('proves a bound token at the address that it calls, once, and a thief cannot', async () => {
    await pass(clock, 10_000, 1_000);
    const token = tokenOf({ cnf: { jkt: thumbprintOf(holder) } });
    const url = `https://127.0.0.1:${side.port}${INVOKE}`;
    const proof = dpopProof(holder, { method: 'POST', url, madeAt: clock.wall(), token });
    const stolen = dpopProof(thief, { method: 'POST', url, madeAt: clock.wall(), token });
    const elsewhere = dpopProof(holder, { method: 'POST', url, madeAt: clock.wall(), token });
    const authorization = `DPoP ${token}`;
    const reached = side.agent.requests.length;
    expect([
      await outcome({ authorization, dpop: proof }),
      await outcome({ authorization, dpop: proof }),
      await outcome({ authorization, dpop: stolen }),
      await outcome({ authorization, dpop: elsewhere }, '/agents/support-triage/other'),
      await outcome({ authorization }),
      await outcome(bearer(token)),
    ]).toEqual([
      [200, undefined],
      [401, 'replay_detected'],
      [401, 'unauthenticated'],
      [401, 'unauthenticated'],
      [401, 'unauthenticated'],
      [401, 'unauthenticated'],
    ]);
    expect(side.agent.requests.length).toBe(reached + 1);
    const given = side.agent.requests.at(-1)?.headers ?? {};
    expect([given['authorization'], given['dpop']]).toEqual([undefined, undefined]);
  });

  it('is 503 when its issuer’s keys are too old and cannot be had, and the agent hears nothing of it', async () => {
    const token = tokenOf();
    expect(await outcome(bearer(token))).toEqual([200, undefined]);
    idp.answer(OPENID_PATH, (response) => response.destroy());
    await pass(clock, 125_000, 5_000);
    const reached = side.agent.requests.length;
    expect(await outcome(bearer(token))).toEqual([503, 'identity_unavailable']);
    expect(side.agent.requests.length).toBe(reached);
  });
});
