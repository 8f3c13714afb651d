/**
 * A test identity provider: one ES256 key, tokens that are right, and tokens each bent in one way. It signs what it is
 * told, also what no honest issuer would.
 */

import { type KeyObject, createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { Instant, Issuer, JsonObject, PinnedJwk } from '@sallyport/model';

/** What differs from a good token. Claims and header members given as `undefined` are left out. */
export interface TokenOverrides {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Replaces the payload's text, for what `JSON.stringify` cannot write: duplicate members, bad JSON. */
  readonly payload?: string;
}

export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwk: PinnedJwk;
  readonly privateKey: KeyObject;
  /** How a bundle pins this issuer. */
  trusted(overrides?: Partial<Issuer>): Issuer;
  /** A token that is good at `now` for five minutes: alice of tenant acme, a support-rep, unless overridden. */
  mint(now: Instant, overrides?: TokenOverrides): string;
}

const LIFETIME_S = 300;

/** An issuer with a fresh key. */
export function tokenIssuer(options: { issuer?: string; audience?: string; kid?: string } = {}): TokenIssuer {
  const { issuer = 'https://idp.test', audience = 'sallyport', kid = 'key-1' } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk: PinnedJwk = { kid, kty: 'EC', crv: 'P-256', x, y };
  return {
    issuer,
    audience,
    jwk,
    privateKey,
    trusted: (overrides = {}) => ({
      issuer,
      audience,
      keys: [jwk],
      tokenLifetimeMsMax: 3_600_000,
      claims: { subject: 'sub', tenant: 'tenant_id', roles: 'roles', scopes: 'scope', case: 'ticket_id', attributes: {} },
      ...overrides,
    }),
    mint: (now, overrides = {}) => {
      const iat = Math.floor(now / 1000);
      const claims = {
        iss: issuer,
        aud: audience,
        sub: 'alice@company.com',
        tenant_id: 'acme',
        roles: ['support-rep'],
        scope: 'orders:read',
        jti: randomUUID(),
        iat,
        exp: iat + LIFETIME_S,
        ...overrides.claims,
      };
      return signJws({ alg: 'ES256', typ: 'at+jwt', kid, ...overrides.header }, overrides.payload ?? JSON.stringify(claims), privateKey);
    },
  };
}

/** A compact JWS over any header and payload text, signed ES256 whatever the header says. */
export function signJws(header: object, payload: string, privateKey: KeyObject): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** The ways to bend a good token that no verifier may overlook; each takes the issuer and the instant at which the rest would be good. */
export const BENT_TOKENS: Readonly<Record<string, (idp: TokenIssuer, now: Instant) => string>> = {
  'one bit of the payload flipped': (idp, now) => {
    const [header = '', payload = '', signature = ''] = idp.mint(now).split('.');
    const bytes = Buffer.from(payload, 'base64url');
    const at = bytes.indexOf('alice');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return `${header}.${bytes.toString('base64url')}.${signature}`;
  },
  'a signature flipped in one bit': (idp, now) => {
    const [header = '', payload = '', signature = ''] = idp.mint(now).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    return `${header}.${payload}.${bytes.toString('base64url')}`;
  },
  'a signature of zeros': (idp, now) => `${withoutSignature(idp.mint(now))}.${Buffer.alloc(64).toString('base64url')}`,
  'no signature': (idp, now) => `${withoutSignature(idp.mint(now))}.`,
  'alg none without a signature': (idp, now) => `${withoutSignature(idp.mint(now, { header: { alg: 'none' } }))}.`,
  'alg none with a signature': (idp, now) => idp.mint(now, { header: { alg: 'none' } }),
  'alg in another case': (idp, now) => idp.mint(now, { header: { alg: 'es256' } }),
  'HS256 keyed with the public key': (idp, now) => {
    const input = withoutSignature(idp.mint(now, { header: { alg: 'HS256' } }));
    return `${input}.${createHmac('sha256', JSON.stringify(idp.jwk)).update(input).digest('base64url')}`;
  },
  'another key under the same kid': (idp, now) => tokenIssuer({ issuer: idp.issuer, audience: idp.audience, kid: idp.jwk.kid }).mint(now),
  'an unknown kid': (idp, now) => idp.mint(now, { header: { kid: 'key-2' } }),
  'no kid': (idp, now) => idp.mint(now, { header: { kid: undefined } }),
  'a kid that is a prototype member': (idp, now) => idp.mint(now, { header: { kid: '__proto__' } }),
  'another audience': (idp, now) => idp.mint(now, { claims: { aud: 'another' } }),
  'no audience': (idp, now) => idp.mint(now, { claims: { aud: undefined } }),
  'a list of audiences without ours': (idp, now) => idp.mint(now, { claims: { aud: ['one', 'two'] } }),
  'another issuer': (idp, now) => idp.mint(now, { claims: { iss: 'https://evil.test' } }),
  'an issuer with a slash more': (idp, now) => idp.mint(now, { claims: { iss: `${idp.issuer}/` } }),
  'no issuer': (idp, now) => idp.mint(now, { claims: { iss: undefined } }),
  expired: (idp, now) => idp.mint((now - 600_000) as Instant),
  'no expiry': (idp, now) => idp.mint(now, { claims: { exp: undefined } }),
  'an expiry that is text': (idp, now) => idp.mint(now, { claims: { exp: String(now) } }),
  'not yet valid': (idp, now) => idp.mint(now, { claims: { nbf: now / 1000 + 120 } }),
  'issued in the future': (idp, now) => idp.mint((now + 120_000) as Instant),
  'no time of issue': (idp, now) => idp.mint(now, { claims: { iat: undefined } }),
  'a life longer than accepted': (idp, now) => idp.mint(now, { claims: { exp: Math.floor(now / 1000) + 86_400 } }),
  'a jku header': (idp, now) => idp.mint(now, { header: { jku: 'http://127.0.0.1:9/keys' } }),
  'an x5u header': (idp, now) => idp.mint(now, { header: { x5u: 'http://127.0.0.1:9/cert' } }),
  'a jwk header': (idp, now) => idp.mint(now, { header: { jwk: idp.jwk } }),
  'an x5c header': (idp, now) => idp.mint(now, { header: { x5c: ['AAAA'] } }),
  'a crit header': (idp, now) => idp.mint(now, { header: { crit: ['exp'] } }),
  'a detached payload by b64 false': (idp, now) => idp.mint(now, { header: { b64: false, crit: ['b64'] } }),
  'a compressed payload by zip': (idp, now) => idp.mint(now, { header: { zip: 'DEF' } }),
  'the typ of a session token': (idp, now) => idp.mint(now, { header: { typ: 'sallyport-session+jwt' } }),
  'the typ of an assertion, with its media type prefix': (idp, now) =>
    idp.mint(now, { header: { typ: 'application/Sallyport-Assertion+JWT' } }),
  'the same claim twice': (idp, now) => idp.mint(now, { payload: twice(goodClaims(idp, now), 'sub', 'bob@company.com') }),
  'claims that differ by case alone': (idp, now) => idp.mint(now, { claims: { Sub: 'bob@company.com' } }),
  'a payload that is no object': (idp, now) => idp.mint(now, { payload: '[]' }),
  'a payload that is no JSON': (idp, now) => idp.mint(now, { payload: '{' }),
  'no subject': (idp, now) => idp.mint(now, { claims: { sub: undefined } }),
  'no tenant': (idp, now) => idp.mint(now, { claims: { tenant_id: undefined } }),
  'a trailing dot': (idp, now) => `${idp.mint(now)}.`,
  'two parts': (idp, now) => withoutSignature(idp.mint(now)),
  'five parts': (idp, now) => `${idp.mint(now)}.AA.AA`,
  'padding in the payload': (idp, now) => idp.mint(now).replace(/\.([^.]*)\./, '.$1=.'),
  'white space around it': (idp, now) => ` ${idp.mint(now)}`,
  'more bytes than accepted': (idp, now) => idp.mint(now, { claims: { filler: 'x'.repeat(20_000) } }),
};

function withoutSignature(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}

function goodClaims(idp: TokenIssuer, now: Instant): JsonObject {
  const [, payload = ''] = idp.mint(now).split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as JsonObject;
}

function twice(claims: JsonObject, name: string, value: string): string {
  return `${JSON.stringify(claims).slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value)}}`;
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
