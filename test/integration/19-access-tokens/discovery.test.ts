/** Access tokens of an identity provider that is not ours, its keys found by discovery, at a real sidecar. */

import { hmacToken, issuerKeyPair, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { type RealIssuer, realIssuer } from '../../support/real-issuer.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

let world: World;
let up: RecordingUpstream;
let idp: RealIssuer;
let sidecar: RunningSidecar;

const issuer = (more = ''): string => `---
kind: Issuer
issuer: ${idp.url}
audience: sallyport
discovery: true
network: loopback
max_lifetime: 15m
${more}
claims: { tenant: tid, roles: groups }
`;
const policy = (more?: string): string => `${ordersPolicy(up.url, READ_ORDERS, world.idp)}${issuer(more)}`;

const present = (token: string): Promise<HttpAnswer> => sidecar.request('/session', { headers: { authorization: `Bearer ${token}` } });
/** Status, and the code of a refusal. */
const verdict = async (token: string): Promise<readonly [status: number, code: unknown]> => {
  const answer = await present(token);
  return [answer.status, answer.status === 201 ? undefined : answer.json()['code']];
};
/** What comes of a call by whoever the token is of. */
const call = async (token: string): Promise<HttpAnswer> => {
  const opened = await present(token);
  if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
  return sidecar.call('orders/get_order', { order_id: 'O-000123' }, opened.json()['token'] as string);
};
const publish = async (more?: string): Promise<void> => {
  const { releaseSeq } = await world.admin.publish(policy(more));
  await eventually(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
};

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  idp = await realIssuer();
  await world.admin.publish(policy());
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  await idp?.close();
});
beforeEach(() => {
  Object.assign(idp.wishes, {
    audience: 'sallyport',
    lifetimeSeconds: 600,
    alg: 'RS256',
    claims: { tid: 'acme', groups: ['support-rep'] },
  });
});

describe('a token of the company’s provider', () => {
  it('[R1.03] opens a session and its call is served; one wrong in signature, issuer, audience or expiry is 401', async () => {
    const good = await idp.token();
    expect([(await call(good)).status, up.requests.length]).toEqual([200, 1]);
    const [header = '', payload = '', signature = ''] = good.split('.');
    const stranger = await realIssuer();
    Object.assign(stranger.wishes, idp.wishes);
    const foreign = await stranger.token();
    await stranger.close();
    idp.wishes.audience = 'another-api';
    const elsewhere = await idp.token();
    Object.assign(idp.wishes, { audience: 'sallyport', lifetimeSeconds: 1 });
    const brief = await idp.token();
    await eventually(async () => (await verdict(brief))[1] === 'token_expired', 'the end of the brief token');
    const unsigned = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(await Promise.all([unsigned, foreign, elsewhere, brief].map(verdict))).toEqual([
      [401, 'signature_invalid'],
      [401, 'unauthenticated'],
      [401, 'unauthenticated'],
      [401, 'token_expired'],
    ]);
    expect(up.requests.length).toBe(1);
  });

  it('[R2.16] is nobody’s once a bit of it is flipped, as alg none, or signed with another key', async () => {
    const good = await idp.token();
    expect(await verdict(good)).toEqual([201, undefined]);
    const [header = '', payload = '', signature = ''] = good.split('.');
    const bytes = Buffer.from(payload, 'base64url');
    bytes[bytes.indexOf('acme')] = 'b'.charCodeAt(0);
    const flipped = `${header}.${bytes.toString('base64url')}.${signature}`;
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { readonly kid: string };
    const none = `${Buffer.from(JSON.stringify({ alg: 'none', kid })).toString('base64url')}.${payload}.`;
    const other = issuerKeyPair('RS256', kid).token(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object);
    const confused = hmacToken(good, { kid }, JSON.parse(Buffer.from(payload, 'base64url').toString()) as object);
    expect(await Promise.all([flipped, none, other, confused].map(verdict))).toEqual([
      [401, 'signature_invalid'],
      [401, 'unauthenticated'],
      [401, 'signature_invalid'],
      [401, 'unauthenticated'],
    ]);
  });

  it('[R2.02] that lives two hours where 15 minutes are accepted is `token_lifetime_exceeded`', async () => {
    idp.wishes.lifetimeSeconds = 7_200;
    expect(await verdict(await idp.token())).toEqual([401, 'token_lifetime_exceeded']);
    idp.wishes.lifetimeSeconds = 900;
    expect(await verdict(await idp.token())).toEqual([201, undefined]);
  });

  it('signed with ES256 is as good, and with an algorithm that the issuer’s entry does not name is not', async () => {
    idp.wishes.alg = 'ES256';
    expect(await verdict(await idp.token())).toEqual([201, undefined]);
    idp.wishes.alg = 'PS256';
    expect(await verdict(await idp.token())).toEqual([401, 'unauthenticated']);
  });

  it('is read from one Authorization header alone: not from two, not from the query, not from a body', async () => {
    const token = await idp.token();
    const two = await sidecar.request('/session', { headers: { authorization: [`Bearer ${token}`, `Bearer ${token}`] } });
    const joined = await sidecar.request('/session', { headers: { authorization: `Bearer ${token}, Bearer ${token}` } });
    const query = await sidecar.request(`/session?access_token=${token}`);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = await sidecar.request('/session', { body: `access_token=${token}`, headers: form });
    expect([two, joined, query, body].map(({ status }) => status)).toEqual([400, 401, 401, 401]);
  });

  it('that carries a key of its own leads nobody to it', async () => {
    const stranger = await realIssuer();
    const mine = issuerKeyPair('RS256', 'mine');
    const [, payload = ''] = (await idp.token()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const headers = [{ jku: `${stranger.url}/jwks` }, { x5u: `${stranger.url}/jwks` }, { jwk: mine.jwk }, { x5c: ['AAAA'] }];
    for (const header of headers) expect(await verdict(mine.token(claims, header))).toEqual([401, 'unauthenticated']);
    expect(stranger.keysAsked()).toBe(0);
    await stranger.close();
  });
});

it('neither the log nor a record holds a token, whole or in part, accepted or refused', async () => {
  const good = await idp.token();
  const bent = `${good.slice(0, -4)}AAAA`;
  expect([(await verdict(good))[0], (await verdict(bent))[0]]).toEqual([201, 401]);
  const lines = await eventually(async () => {
    const records = await world.admin.tail();
    return records.some((line) => line.includes('signature_invalid')) ? records : undefined;
  }, 'the refusal on record');
  const [, payload = '', signature = ''] = good.split('.');
  const written = [...lines, ...world.log].join('\n');
  for (const part of [good, bent, payload, signature]) expect(written.includes(part)).toBe(false);
});

describe('a token that was proven and is remembered', () => {
  it('is refused from the moment at which it is revoked', async () => {
    const token = await idp.token();
    expect(await verdict(token)).toEqual([201, undefined]);
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { readonly jti: string };
    await world.admin.revoke('token', jti);
    await eventually(async () => (await verdict(token))[1] === 'token_revoked', 'the revocation');
    expect(await verdict(await idp.token())).toEqual([201, undefined]);
  });

  it('[R2.26] is useless once the bundle says that this is another environment, and one for it is good', async () => {
    idp.wishes.claims['env'] = 'staging';
    const staging = await idp.token();
    idp.wishes.claims['env'] = 'production';
    const production = await idp.token();
    expect([await verdict(staging), await verdict(production)]).toEqual([
      [201, undefined],
      [201, undefined],
    ]);
    await publish('environment: production');
    expect([await verdict(staging), await verdict(production)]).toEqual([
      [401, 'unauthenticated'],
      [201, undefined],
    ]);
    delete idp.wishes.claims['env'];
    expect(await verdict(await idp.token())).toEqual([401, 'unauthenticated']);
  });

  it('[R2.27] is outdated once the bundle withdraws the scopes it was issued under', async () => {
    const tokenOf = (version: number): Promise<string> => {
      idp.wishes.claims['scope_version'] = version;
      return idp.token();
    };
    await publish('min_scope_version: 2');
    const [second, third] = [await tokenOf(2), await tokenOf(3)];
    expect([await verdict(second), await verdict(third)]).toEqual([
      [201, undefined],
      [201, undefined],
    ]);
    await publish('min_scope_version: 3');
    expect([await verdict(second), await verdict(third)]).toEqual([
      [401, 'token_outdated'],
      [201, undefined],
    ]);
  });

  it('stops with its issuer: a bundle that no longer names it takes back what was proven', async () => {
    await publish();
    const token = await idp.token();
    expect(await verdict(token)).toEqual([201, undefined]);
    const { releaseSeq } = await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    await eventually(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
    expect(await verdict(token)).toEqual([401, 'unauthenticated']);
    await publish();
    expect(await verdict(token)).toEqual([201, undefined]);
  });
});
