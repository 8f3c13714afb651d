/** A real OpenID provider on loopback (`oidc-provider`) whose access tokens say nothing by themselves. */

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

export interface OpaqueProvider {
  readonly issuer: string;
  readonly audience: string;
  /** With which the gateway asks. */
  readonly secret: string;
  /** How often it was asked. */
  readonly asked: () => number;
  /** A token of the service for a resource; for the gateway unless told otherwise. */
  token(resource?: string): Promise<string>;
  revoke(token: string): Promise<void>;
  close(): Promise<void>;
}

const SERVICE = { client_id: 'worker', client_secret: 'worker-secret-Zp4t8Qx2Lm9v' };
const GATE = { client_id: 'sallyport', client_secret: 'gate-secret-Hk7w3Rn5Bc1y' };
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };

export async function opaqueProvider(): Promise<OpaqueProvider> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const audience = 'urn:sallyport:test';
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [
      { ...SERVICE, ...machine },
      { ...GATE, ...machine },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'provider-1', use: 'sig' }] as never },
    cookies: { keys: ['only for tests'] },
    extraTokenClaims: () => ({ tenant_id: 'acme', roles: ['support-rep'] }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'support.use',
          audience: resource,
          accessTokenFormat: 'opaque',
          accessTokenTTL: 300,
        }),
      },
    },
  });
  let asked = 0;
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.endsWith('/introspection') === true) asked += 1;
    void answer(request, response);
  });
  const post = async (path: string, form: Record<string, string>): Promise<Record<string, unknown>> => {
    const authorization = `Basic ${Buffer.from(`${SERVICE.client_id}:${SERVICE.client_secret}`).toString('base64')}`;
    const response = await fetch(`${issuer}${path}`, { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  return {
    issuer,
    audience,
    secret: GATE.client_secret,
    asked: () => asked,
    token: async (resource = audience) =>
      String((await post('/token', { grant_type: 'client_credentials', scope: 'support.use', resource }))['access_token']),
    revoke: async (token) => void (await post('/token/revocation', { token })),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
