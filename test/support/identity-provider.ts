/**
 * A real OpenID provider on loopback (`oidc-provider`), which a company's stands for: people sign in by name, tokens are
 * JWTs for one resource. `sign` is the person at the browser: opens an address, types a name, agrees.
 */

import { createServer, type Server } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

export interface IdentityProvider {
  readonly issuer: string;
  readonly clientId: string;
  /** Whom its access tokens are for. */
  readonly audience: string;
  /** The public half of the key that signs them. */
  readonly jwk: { readonly kid: string; readonly x: string; readonly y: string };
  /** Signs `person` in at an address that was printed, as a browser would; gives where it ended. */
  sign(address: string, person: string, userCode?: string): Promise<void>;
  /** The same, up to where the provider sends the browser back to, which is not opened. */
  sentBack(address: string, person: string): Promise<URL>;
  close(): Promise<void>;
}

const CLIENT = 'sallyport-cli';
const STEPS_MAX = 12;

export async function identityProvider(): Promise<IdentityProvider> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const audience = 'urn:sallyport:test';
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '', d = '' } = privateKey.export({ format: 'jwk' });
  const key = { kty: 'EC', crv: 'P-256', kid: 'provider-1', use: 'sig', alg: 'ES256', x, y, d } as const;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'],
        response_types: ['code'],
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => true },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    extraTokenClaims: () => ({ tenant_id: 'acme', roles: ['support-rep'] }),
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid',
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  const answer = provider.callback();
  server.on('request', (request, response) => void answer(request, response));
  return {
    issuer,
    clientId: CLIENT,
    audience,
    jwk: { kid: key.kid, x, y },
    sign: async (address, person, userCode) => void (await browse(address, { person, userCode })),
    sentBack: async (address, person) => new URL(await browse(address, { person, within: issuer })),
    close: () => closed(server),
  };
}

interface Browsing {
  readonly person: string;
  readonly userCode?: string | undefined;
  /** The origin that is not left. */
  readonly within?: string;
}

/** Follows redirects with cookies, and answers every form on the way as the person would; gives where it ended. */
async function browse(address: string, { person, userCode, within }: Browsing): Promise<string> {
  const cookies = new Map<string, string>();
  let [url, body]: [string, URLSearchParams | undefined] = [address, undefined];
  for (let step = 0; step < STEPS_MAX; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, {
      redirect: 'manual',
      method: body === undefined ? 'GET' : 'POST',
      headers: { cookie },
      body: body ?? null,
    });
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    const text = await answer.text();
    const location = answer.headers.get('location');
    body = undefined;
    if (location !== null) {
      url = new URL(location, url).href;
      if (within !== undefined && new URL(url).origin !== within) return url;
      continue;
    }
    const form = formOf(text);
    if (form === undefined) return url;
    url = new URL(form.action, url).href;
    body = new URLSearchParams({ ...form.hidden, ...filled(text, { person, userCode }) });
  }
  throw new Error(`the provider never came to an end: ${url}`);
}

function filled(page: string, { person, userCode }: Browsing): Record<string, string> {
  if (page.includes('name="login"')) return { login: person, password: 'any' };
  return page.includes('name="user_code"') && userCode !== undefined ? { user_code: userCode } : {};
}

function formOf(page: string): { action: string; hidden: Record<string, string> } | undefined {
  const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
  if (action === undefined) return undefined;
  const inputs = [...page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([input]) => [
    /name="([^"]+)"/.exec(input)?.[1] ?? '',
    /value="([^"]*)"/.exec(input)?.[1] ?? '',
  ]);
  return { action, hidden: Object.fromEntries(inputs.filter(([name]) => name !== '')) as Record<string, string> };
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
