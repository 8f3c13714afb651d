/** An identity provider that is not ours (`oidc-provider`), on loopback: discovery, key set, signed access tokens, rotation. */

import { type Configuration, type JWK, Provider } from 'oidc-provider';
import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the next tokens are to be. */
export interface TokenWishes {
  audience: string;
  lifetimeSeconds: number;
  alg: 'RS256' | 'ES256' | 'PS256';
  claims: Record<string, unknown>;
}

export interface RealIssuer {
  readonly url: string;
  readonly wishes: TokenWishes;
  /** How often its key set was asked for. */
  readonly keysAsked: () => number;
  /** From now on it signs with new keys under new names and publishes no others, unless told to keep the old ones beside them. */
  rotate(options?: { readonly keepOld: boolean }): void;
  /** A token for a client of its own, as that client gets it from the token endpoint; bound to the key of the proof, where it gives one. */
  token(proof?: (url: string) => string): Promise<string>;
  /** Refuses connections, or takes them again. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function realIssuer(): Promise<RealIssuer> {
  let listener: RequestListener = (_, response) => void response.writeHead(503).end();
  let asked = 0;
  const open = (port: number): Promise<ReturnType<typeof createServer>> =>
    new Promise((resolve) => {
      const server = createServer((request, response) => {
        if (request.url === '/jwks') asked += 1;
        listener(request, response);
      });
      server.listen(port, '127.0.0.1', () => resolve(server));
    });
  let server = await open(0);
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const wishes: TokenWishes = { audience: 'sallyport', lifetimeSeconds: 600, alg: 'RS256', claims: {} };
  let generation = 0;
  let keys: readonly JWK[] = [];
  const shut = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const self: RealIssuer = {
    url,
    wishes,
    keysAsked: () => asked,
    rotate({ keepOld } = { keepOld: false }) {
      generation += 1;
      const fresh = [keyOf('rsa', `rsa-${generation}`), keyOf('ec', `ec-${generation}`)];
      // The first key that fits signs.
      keys = keepOld ? [...fresh, ...keys] : fresh;
      const answer = new Provider(url, configuration(keys, wishes)).callback();
      listener = (request, response) => void answer(request, response);
    },
    async token(proof) {
      const body = new URLSearchParams({ grant_type: 'client_credentials', resource: 'urn:sallyport', scope: 'orders:read' });
      const dpop: Record<string, string> = proof === undefined ? {} : { dpop: proof(`${url}/token`) };
      const headers = { authorization: `Basic ${Buffer.from('alice:alice-secret').toString('base64')}`, ...dpop };
      const answer = await fetch(`${url}/token`, { method: 'POST', body, headers });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${text}`);
      return (JSON.parse(text) as { readonly access_token: string }).access_token;
    },
    stop: shut,
    async start() {
      server = await open(port);
    },
    close: shut,
  };
  self.rotate();
  return self;
}

function keyOf(kind: 'rsa' | 'ec', kid: string): JWK {
  const { privateKey }: { privateKey: KeyObject } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig' } as JWK;
}

function configuration(keys: readonly JWK[], wishes: TokenWishes): Configuration {
  return {
    jwks: { keys: [...keys] },
    cookies: { keys: ['of-a-test'] },
    clients: [
      { client_id: 'alice', client_secret: 'alice-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    ],
    scopes: ['orders:read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'orders:read',
          audience: wishes.audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: wishes.lifetimeSeconds,
          jwt: { sign: { alg: wishes.alg } },
        }),
      },
    },
    extraTokenClaims: () => wishes.claims,
  };
}
