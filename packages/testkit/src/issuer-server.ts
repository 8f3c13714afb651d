/**
 * An identity provider on loopback that publishes what a test tells it, also what no honest one would, and counts who asks.
 * Keys of every algorithm that an issuer may use, and tokens signed with them as told.
 */

import { type KeyObject, constants, createHash, createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TokenAlgorithm } from '@sallyport/model';

/** A key pair of an issuer. */
export interface IssuerKeyPair {
  readonly kid: string;
  readonly alg: TokenAlgorithm;
  /** As it stands in a key set. */
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** A compact token; members of `header` that are `undefined` are left out. */
  token(claims: object, header?: Readonly<Record<string, unknown>>): string;
}

/** A fresh key. */
export function issuerKeyPair(alg: TokenAlgorithm, kid: string): IssuerKeyPair {
  const { privateKey, publicKey } = generate(alg);
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg };
  return {
    kid,
    alg,
    jwk,
    privateKey,
    publicKey,
    token: (claims, header = {}) => {
      const input = signingInput({ alg, typ: 'at+jwt', kid, ...header }, claims);
      return `${input}.${sign(DIGESTS[alg], Buffer.from(input), { key: privateKey, ...SIGNING[alg] }).toString('base64url')}`;
    },
  };
}

/** The thumbprint of a public key (RFC 7638). */
export function thumbprintOf({ jwk }: IssuerKeyPair): string {
  const { crv, e, kty, n, x, y } = jwk;
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** What a DPoP proof says, unless told otherwise; a member that is `undefined` is left out. */
export interface ProofOf {
  readonly method: string;
  readonly url: string;
  /** In milliseconds since 1970. */
  readonly madeAt: number;
  /** The access token that it goes with. */
  readonly token?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** A DPoP proof (RFC 9449, section 4.2) by the key. */
export function dpopProof(key: IssuerKeyPair, { method, url, madeAt, token, claims = {}, header = {} }: ProofOf): string {
  const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') };
  const said = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(madeAt / 1_000), ...ath, ...claims };
  return key.token(said, { typ: 'dpop+jwt', kid: undefined, jwk: key.publicKey.export({ format: 'jwk' }), ...header });
}

/** A token whose HMAC is keyed with a text that everybody knows: a public key as it is published. */
export function hmacToken(secret: string, header: object, claims: object): string {
  const input = signingInput({ alg: 'HS256', ...header }, claims);
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

function signingInput(header: object, claims: object): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

const DIGESTS: Readonly<Record<TokenAlgorithm, string | null>> = {
  ES256: 'sha256',
  ES384: 'sha384',
  RS256: 'sha256',
  PS256: 'sha256',
  EdDSA: null,
};
const SIGNING: Readonly<Record<TokenAlgorithm, object>> = {
  ES256: { dsaEncoding: 'ieee-p1363' },
  ES384: { dsaEncoding: 'ieee-p1363' },
  RS256: {},
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  EdDSA: {},
};

function generate(alg: TokenAlgorithm): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  if (alg === 'RS256' || alg === 'PS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' });
}

/** What answers at a path. */
export type IssuerAnswer = (response: ServerResponse, request: IncomingMessage) => void;

export interface IssuerServer {
  /** The issuer's name, without a slash at its end. */
  readonly url: string;
  /** Paths in the order in which they were asked for. */
  readonly asked: readonly string[];
  /** Discovery and key set of an honest issuer with these keys. */
  publish(keys: readonly object[]): void;
  /** Another answer at a path; 404 where there is none. */
  answer(path: string, how: IssuerAnswer | object | undefined): void;
  close(): Promise<void>;
}

export const OPENID_PATH = '/.well-known/openid-configuration';
export const OAUTH_PATH = '/.well-known/oauth-authorization-server';
export const JWKS_PATH = '/jwks';

/** Opens it with nothing published; `port` to come back where it was. */
export async function issuerServer({ port = 0 }: { port?: number } = {}): Promise<IssuerServer> {
  const answers = new Map<string, IssuerAnswer>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const how = answers.get(path);
    if (how !== undefined) how(response, request);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer: IssuerServer['answer'] = (path, how) => {
    if (how === undefined) answers.delete(path);
    else if (typeof how === 'function') answers.set(path, how as IssuerAnswer);
    else answers.set(path, (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(how)));
  };
  return {
    url,
    asked,
    publish(keys) {
      answer(OPENID_PATH, { issuer: url, jwks_uri: `${url}${JWKS_PATH}` });
      answer(JWKS_PATH, { keys });
    },
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
