/** What an identity provider, or somebody in its place, can publish; and what strangers can make us ask it. Real sockets, a clock in the test's hands. */

import type { Digest, Instant, Issuer, KeySource } from '@sallyport/model';
import { createUpstreams, type Resolve } from '@sallyport/net';
import {
  type FakeClock,
  type IssuerAnswer,
  type IssuerKeyPair,
  type IssuerServer,
  JWKS_PATH,
  OAUTH_PATH,
  OPENID_PATH,
  fakeClock,
  hmacToken,
  issuerKeyPair,
  issuerServer,
} from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KEY_SET_LIMITS, type KeySets, keySets } from './key-sets.ts';
import { type OperatorTokens, operatorTokens } from './operator-token.ts';

const NOW = 1_800_000_000_000 as Instant;
const HOUR_MS = 3_600_000;
const BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;

const key = issuerKeyPair('ES256', 'key-1');
const next = issuerKeyPair('ES256', 'key-2');
const rsa = issuerKeyPair('RS256', 'rsa-1');

let idp: IssuerServer;
let clock: FakeClock;
let sets: KeySets;
let tokens: OperatorTokens;
let failures: string[];
let close: () => void;

function startVerifier(resolve?: Resolve): void {
  clock = fakeClock({ wall: NOW });
  failures = [];
  const upstreams = createUpstreams({ clock, ...(resolve === undefined ? {} : { resolve }) });
  sets = keySets({ upstreams, clock, onFailure: (_, detail) => failures.push(detail) });
  tokens = operatorTokens({}, { keySets: sets });
  close = () => {
    sets.close();
    upstreams.close();
  };
}

beforeEach(async () => {
  idp = await issuerServer();
  startVerifier();
});
afterEach(async () => {
  close();
  await idp.close();
});

const trusted = (source: Partial<KeySource> = {}, over: Partial<Issuer> = {}): Issuer => ({
  issuer: idp.url,
  audience: 'sallyport',
  keys: [],
  keySource: { network: 'loopback', ageMsMax: HOUR_MS, ...source },
  tokenLifetimeMsMax: 24 * HOUR_MS,
  claims: { subject: 'sub', tenant: 'tid', roles: 'roles', scopes: 'scope', case: 'case', attributes: {} },
  ...over,
});

const claims = (over: object = {}): object => {
  const iat = Math.floor(clock.wall() / 1000);
  return { iss: idp.url, aud: 'sallyport', sub: 'alice', tid: 'acme', iat, exp: iat + 10 * 3_600, ...over };
};

async function verdict(token: string, issuer: Issuer = trusted()): Promise<string> {
  const result = await tokens.verify(token, { issuers: [issuer], bundle: BUNDLE, now: clock.wall() });
  return result.ok ? 'accepted' : result.error.code;
}

/** A verdict that only comes when time passes. */
async function verdictInTime(token: string, issuer: Issuer = trusted()): Promise<string> {
  const over = new AbortController();
  const pending = verdict(token, issuer).finally(() => over.abort());
  while (!over.signal.aborted) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(50);
  }
  return pending;
}

const text =
  (body: string, status = 200, headers: Record<string, string> = {}): IssuerAnswer =>
  (response) =>
    void response.writeHead(status, headers).end(body);

describe('a key set that is fetched', () => {
  it.each<[string, IssuerKeyPair]>([
    ['ES256', key],
    ['RS256', rsa],
    ['ES384', issuerKeyPair('ES384', 'k')],
    ['PS256', issuerKeyPair('PS256', 'k')],
    ['EdDSA', issuerKeyPair('EdDSA', 'k')],
  ])('verifies tokens of %s', async (alg, pair) => {
    idp.publish([pair.jwk]);
    expect(await verdict(pair.token(claims()), trusted({}, { algorithms: [pair.alg] }))).toBe('accepted');
    expect(idp.asked).toEqual([OPENID_PATH, JWKS_PATH]);
    expect(alg).toBe(pair.alg);
  });

  it('is fetched once for many tokens at once, and not again for the next', async () => {
    idp.publish([key.jwk]);
    const many = Array.from({ length: 20 }, (_, at) => verdict(key.token(claims({ jti: String(at) }))));
    expect(new Set(await Promise.all(many))).toEqual(new Set(['accepted']));
    expect(await verdict(key.token(claims()))).toBe('accepted');
    expect(idp.asked).toEqual([OPENID_PATH, JWKS_PATH]);
  });

  it('is found by RFC 8414 where there is no OpenID document, and by its URL without discovery', async () => {
    idp.publish([key.jwk]);
    idp.answer(OPENID_PATH, undefined);
    idp.answer(OAUTH_PATH, { issuer: idp.url, jwks_uri: `${idp.url}${JWKS_PATH}` });
    expect(await verdict(key.token(claims()))).toBe('accepted');
    expect(await verdict(key.token(claims()), trusted({ jwksUri: `${idp.url}${JWKS_PATH}` }))).toBe('accepted');
    expect(idp.asked).toEqual([OPENID_PATH, OAUTH_PATH, JWKS_PATH, JWKS_PATH]);
  });

  it('leaves out keys for encryption and of unknown kinds, and takes those that remain', async () => {
    const unusable = [
      { ...rsa.jwk, kid: 'enc', use: 'enc', alg: 'RSA-OAEP' },
      { kty: 'AKP', kid: 'pq' },
      { ...key.jwk, kid: undefined },
    ];
    idp.publish([...unusable, key.jwk]);
    expect(await verdict(key.token(claims()))).toBe('accepted');
  });
});

describe('rotation', () => {
  it('finds a new key without failing tokens of the one before', async () => {
    idp.publish([key.jwk]);
    expect(await verdict(key.token(claims()))).toBe('accepted');
    await clock.advance(KEY_SET_LIMITS.pauseMs);
    idp.publish([key.jwk, next.jwk]);
    const [old, fresh] = await Promise.all([verdict(key.token(claims())), verdict(next.token(claims()))]);
    expect([old, fresh]).toEqual(['accepted', 'accepted']);
  });

  it('a withdrawn key stops within the age of the set, also for a token that was proven before', async () => {
    idp.publish([key.jwk, next.jwk]);
    const proven = key.token(claims());
    expect(await verdict(proven)).toBe('accepted');
    idp.publish([next.jwk]);
    expect(await verdict(proven)).toBe('accepted');
    await clock.advance(HOUR_MS);
    expect(await verdict(proven)).toBe('unauthenticated');
    expect(await verdict(next.token(claims()))).toBe('accepted');
  });

  it('at half its age a set is renewed behind the back of calls that it still serves', async () => {
    idp.publish([key.jwk]);
    const proven = key.token(claims());
    expect(await verdict(proven)).toBe('accepted');
    idp.publish([next.jwk]);
    await clock.advance(HOUR_MS / 2);
    expect(await verdict(proven)).toBe('accepted');
    while (idp.asked.length < 4) await new Promise((resolve) => setImmediate(resolve));
    while ((await verdict(proven)) === 'accepted') await new Promise((resolve) => setImmediate(resolve));
    expect(await verdict(proven)).toBe('unauthenticated');
  });

  it('past its greatest age a key verifies nothing while the issuer is away: unavailable, and never accepted', async () => {
    idp.publish([key.jwk]);
    const proven = key.token(claims());
    expect(await verdict(proven)).toBe('accepted');
    idp.answer(OPENID_PATH, text('', 500));
    await clock.advance(HOUR_MS - 1);
    expect(await verdict(proven)).toBe('accepted');
    await clock.advance(1);
    expect(await verdictInTime(proven)).toBe('identity_unavailable');
    await clock.advance(KEY_SET_LIMITS.pauseAfterFailureMs);
    idp.publish([key.jwk]);
    expect(await verdict(proven)).toBe('accepted');
  });
});

describe('strangers with tokens of unknown keys', () => {
  it('make us ask once in a pause, whatever they send', async () => {
    idp.publish([key.jwk]);
    expect(await verdict(key.token(claims()))).toBe('accepted');
    await clock.advance(KEY_SET_LIMITS.pauseMs);
    for (let at = 0; at < 50; at += 1) expect(await verdict(key.token(claims(), { kid: `guess-${at}` }))).toBe('unauthenticated');
    expect(idp.asked.length).toBe(4);
  });

  it('do not make us ask at all with an algorithm that the issuer does not use, or as an unknown issuer', async () => {
    idp.publish([key.jwk]);
    expect(await verdict(issuerKeyPair('EdDSA', 'x').token(claims()))).toBe('unauthenticated');
    expect(await verdict(key.token(claims({ iss: 'https://evil.test' })))).toBe('unauthenticated');
    expect(idp.asked).toEqual([]);
  });

  it('cannot keep an absent issuer busy: a failure is remembered for a while', async () => {
    idp.answer(OPENID_PATH, text('', 503));
    for (let at = 0; at < 20; at += 1) expect(await verdict(key.token(claims({ jti: String(at) })))).toBe('identity_unavailable');
    expect(idp.asked.length).toBe(1);
    expect(failures).toEqual(['upstream_protocol: the answer is 503']);
  });
});

describe('key confusion', () => {
  beforeEach(() => idp.publish([key.jwk, rsa.jwk]));

  it.each<[string, () => string]>([
    ['alg none', () => `${rsa.token(claims(), { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
    [
      'HS256 keyed with the public RSA key as PEM',
      () => hmacToken(rsa.publicKey.export({ type: 'spki', format: 'pem' }), { kid: rsa.kid }, claims()),
    ],
    ['HS256 keyed with the public RSA key as JWK', () => hmacToken(JSON.stringify(rsa.jwk), { kid: rsa.kid }, claims())],
    ['RS256 that names the EC key', () => rsa.token(claims(), { kid: key.kid })],
    ['ES256 that names the RSA key', () => key.token(claims(), { kid: rsa.kid })],
    ['an RSA key used with PS256 although its entry says RS256', () => rsa.token(claims(), { alg: 'PS256' })],
    ['a jku', () => rsa.token(claims(), { jku: `${idp.url}/evil` })],
    ['a jwk', () => rsa.token(claims(), { jwk: next.jwk })],
    ['an x5u', () => rsa.token(claims(), { x5u: `${idp.url}/evil` })],
    ['an x5c', () => rsa.token(claims(), { x5c: ['AAAA'] })],
    ['a kid that is a path', () => rsa.token(claims(), { kid: '../../dev/null' })],
    ['a kid that is a prototype member', () => rsa.token(claims(), { kid: '__proto__' })],
    ['a kid that is no text', () => rsa.token(claims(), { kid: [rsa.kid] })],
    ['the typ of an ID token’s proof', () => rsa.token(claims(), { typ: 'dpop+jwt' })],
    ['a token inside a token', () => rsa.token(claims(), { cty: 'JWT' })],
    ['a token that is bound to a key that nobody shows', () => rsa.token(claims({ cnf: { jkt: 'A'.repeat(43) } }))],
  ])('%s is refused', async (_, token) => {
    const issuer = trusted({}, { algorithms: ['ES256', 'RS256', 'PS256'] });
    expect(await verdict(rsa.token(claims()), issuer)).toBe('accepted');
    expect(await verdict(token(), issuer)).toBe('unauthenticated');
    expect(idp.asked.filter((path) => path === '/evil')).toEqual([]);
  });
});

describe('a poisoned key set is refused whole', () => {
  const small = issuerKeyPair('RS256', 'small');
  it.each<[string, () => object]>([
    ['a symmetric key beside a good one', () => ({ keys: [key.jwk, { kty: 'oct', kid: 'k', k: 'AAAA' }] })],
    ['a symmetric key without its value', () => ({ keys: [key.jwk, { kty: 'oct', kid: 'k' }] })],
    ['a private key', () => ({ keys: [{ ...key.jwk, ...key.privateKey.export({ format: 'jwk' }) }] })],
    ['two keys of one kid', () => ({ keys: [key.jwk, { ...next.jwk, kid: key.kid }] })],
    ['no key', () => ({ keys: [] })],
    ['no list', () => ({ keys: key.jwk })],
    ['a list of texts', () => ({ keys: ['x'] })],
    ['more keys than anybody has', () => ({ keys: Array.from({ length: 65 }, (_, at) => ({ ...key.jwk, kid: String(at) })) })],
    ['a weak RSA key alone', () => ({ keys: [{ ...small.jwk, n: 'AQAB' }] })],
    ['the key under `__proto__`', () => JSON.parse(`{"__proto__":{"keys":[]}}`) as object],
  ])('%s', async (_, document) => {
    idp.publish([key.jwk]);
    idp.answer(JWKS_PATH, document());
    expect(await verdict(key.token(claims()))).toBe('identity_unavailable');
  });

  it('what was held before stays good as long as it is, and no longer', async () => {
    idp.publish([key.jwk]);
    expect(await verdict(key.token(claims()))).toBe('accepted');
    idp.publish([next.jwk, { kty: 'oct', kid: 'k', k: 'AAAA' }]);
    await clock.advance(KEY_SET_LIMITS.pauseMs);
    expect(await verdict(next.token(claims()))).toBe('unauthenticated');
    expect(await verdict(key.token(claims()))).toBe('accepted');
    await clock.advance(HOUR_MS);
    expect(await verdict(key.token(claims()))).toBe('identity_unavailable');
  });
});

describe('a hostile document', () => {
  it.each<[string, string, IssuerAnswer]>([
    [
      'discovery of another issuer',
      OPENID_PATH,
      (response) => void response.end(JSON.stringify({ issuer: `${idp.url}/`, jwks_uri: `${idp.url}${JWKS_PATH}` })),
    ],
    ['discovery without an issuer', OPENID_PATH, (response) => void response.end(JSON.stringify({ jwks_uri: `${idp.url}${JWKS_PATH}` }))],
    [
      'discovery with two issuers',
      OPENID_PATH,
      (response) => void response.end(`{"issuer":"${idp.url}","issuer":"https://evil.test","jwks_uri":"${idp.url}${JWKS_PATH}"}`),
    ],
    ['a redirect of discovery', OPENID_PATH, text('', 302, { location: '/elsewhere' })],
    ['a redirect of the keys', JWKS_PATH, text('', 307, { location: '/elsewhere' })],
    ['no JSON', JWKS_PATH, text('<html>')],
    ['JSON of two meanings', JWKS_PATH, text('{"keys":[],"keys":[]}')],
    ['deep nesting', JWKS_PATH, text(`{"keys":${'['.repeat(5000)}${']'.repeat(5000)}}`)],
    ['a compressed body', JWKS_PATH, text('x', 200, { 'content-encoding': 'gzip' })],
    ['a huge body by its length', JWKS_PATH, text('x'.repeat(300_000))],
    [
      'an endless body',
      JWKS_PATH,
      (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write('{"keys":['.repeat(1_000)));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      },
    ],
    [
      'a body that breaks off',
      JWKS_PATH,
      (response) => void response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy()),
    ],
    ['a connection that is closed unanswered', OPENID_PATH, (response) => response.destroy()],
  ])('%s: nobody can be verified, and nothing else is asked for', async (_, path, how) => {
    idp.publish([key.jwk]);
    idp.answer(path, how);
    expect(await verdict(key.token(claims()))).toBe('identity_unavailable');
    expect(idp.asked.includes('/elsewhere')).toBe(false);
    expect(failures.length).toBe(1);
  });

  it.each<[string, IssuerAnswer]>([
    ['that never begins', () => undefined],
    [
      'that drips for ever',
      (response, request) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write(' '), 5);
        request.socket.once('close', () => clearInterval(drip));
      },
    ],
  ])('one %s is given up after the time for both documents, and the caller is told', async (_, how) => {
    idp.publish([key.jwk]);
    idp.answer(JWKS_PATH, how);
    const began = clock.boot();
    expect(await verdictInTime(key.token(claims()))).toBe('identity_unavailable');
    expect(clock.boot() - began).toBeLessThan(KEY_SET_LIMITS.fetchMsMax + 1_000);
    expect(failures).toEqual([`upstream_timeout: the keys took more than ${KEY_SET_LIMITS.fetchMsMax} ms`]);
  });
});

describe('SSRF by discovery', () => {
  it.each([
    ['an instance metadata address', 'http://169.254.169.254/latest/meta-data'],
    ['another port of the same host', 'http://127.0.0.1:1/keys'],
    ['another scheme', 'https://127.0.0.1/keys'],
    ['a file', 'file:///etc/passwd'],
    ['a user in the URL', 'http://a@127.0.0.1/keys'],
    ['no text', 7],
  ])('`jwks_uri` that leads to %s is not followed', async (_, jwksUri) => {
    idp.answer(OPENID_PATH, { issuer: idp.url, jwks_uri: jwksUri });
    expect(await verdict(key.token(claims()))).toBe('identity_unavailable');
    expect(failures[0]).toContain('`jwks_uri` of the discovery document');
    expect(idp.asked).toEqual([OPENID_PATH]);
  });

  it.each([
    ['loopback', '127.0.0.1', 'public'],
    ['loopback, for an issuer that is private', '127.0.0.1', 'private'],
    ['metadata', '169.254.169.254', 'private'],
    ['a private address', '10.0.0.1', 'public'],
    ['loopback inside an IPv6 address', '::ffff:127.0.0.1', 'public'],
  ] as const)('a public name that resolves to %s is not dialled', async (_, address, network) => {
    close();
    startVerifier(async () => [address]);
    const name = `https://login.example:${new URL(idp.url).port}`;
    const issuer = trusted({ network }, { issuer: name });
    expect(await verdict(key.token(claims({ iss: name })), issuer)).toBe('identity_unavailable');
    expect(failures[0]).toContain('upstream_untrusted');
    expect(idp.asked).toEqual([]);
  });

  it('keys of an issuer that is not on this machine are never fetched without TLS', async () => {
    const issuer = trusted({ network: 'public' }, { issuer: 'http://login.example' });
    expect(await verdict(key.token(claims({ iss: 'http://login.example' })), issuer)).toBe('identity_unavailable');
    expect(failures[0]).toContain('without TLS');
  });
});

it('a verifier that fetches nothing refuses such an issuer, and does not take it for one without keys', async () => {
  tokens = operatorTokens();
  idp.publish([key.jwk]);
  expect(await verdict(key.token(claims()))).toBe('identity_unavailable');
});
