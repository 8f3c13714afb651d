/**
 * Okta and Entra ID (Azure AD), as their documents, key sets and tokens look, each declared as docs/guides/identity-providers.md
 * says: the Issuers of the test are read from that page.
 */

import {
  issuerKeyPair,
  issuerServer,
  recordingUpstream,
  type FakeClock,
  type IssuerServer,
  type RecordingUpstream,
} from '@sallyport/testkit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const MINUTE_MS = 60_000;
const TENANT = '8f3a1c52-7d0e-4b1b-9a63-5c2f0e6d7b11';
const SUPPORT_GROUP = '2b6d9e40-1f7c-4c55-8a0d-93e1b7f4a6c2';
const GUIDE = readFileSync(join(import.meta.dirname, '../../../docs/guides/identity-providers.md'), 'utf8');

/** The Issuer that the page shows for a provider, at the address of the stub. */
function issuerOfGuide(host: string, url: string): string {
  const found = [...GUIDE.matchAll(/```yaml\n(kind: Issuer\n[\s\S]*?)```/g)]
    .map(([, text = '']) => text)
    .find((text) => text.includes(host));
  if (found === undefined) throw new Error(`the guide shows no Issuer at ${host}`);
  return found.replace(`https://${host}`, url).replace('discovery: true', 'discovery: true\nnetwork: loopback');
}

interface Provider {
  readonly name: string;
  readonly host: string;
  /** Publishes as the provider does. */
  readonly publish: (server: IssuerServer) => void;
  readonly token: (server: IssuerServer, iat: number, groups: readonly string[]) => string;
  readonly supportGroup: string;
}

const oktaKey = issuerKeyPair('RS256', 'uTqXn0kJZb-okta');
const entraKey = issuerKeyPair('RS256', 'nOo3ZDrODXEK1jKWhXslHR_KXEg');
const LIFETIME_S = 300;

const PROVIDERS: readonly Provider[] = [
  {
    name: 'Okta',
    host: 'example.okta.com',
    supportGroup: 'Support Team',
    publish(server) {
      const issuer = `${server.url}/oauth2/default`;
      server.answer('/oauth2/default/.well-known/openid-configuration', {
        issuer,
        jwks_uri: `${issuer}/v1/keys`,
        token_endpoint: `${issuer}/v1/token`,
        id_token_signing_alg_values_supported: ['RS256'],
      });
      server.answer('/oauth2/default/v1/keys', { keys: [oktaKey.jwk] });
    },
    token: (server, iat, groups) =>
      oktaKey.token(
        {
          ver: 1,
          jti: `AT.${iat}.${groups.length}`,
          iss: `${server.url}/oauth2/default`,
          aud: 'api://sallyport',
          iat,
          exp: iat + LIFETIME_S,
          cid: '0oa1b2c3',
          uid: '00u1b2c3',
          scp: ['orders:read'],
          auth_time: iat - 60,
          sub: 'alice@company.com',
          tenant: 'company',
          groups,
        },
        { typ: undefined },
      ),
  },
  {
    name: 'Entra ID',
    host: 'login.microsoftonline.com',
    supportGroup: SUPPORT_GROUP,
    publish(server) {
      const { alg: _, ...unnamed } = entraKey.jwk;
      server.answer(`/${TENANT}/v2.0/.well-known/openid-configuration`, {
        issuer: `${server.url}/${TENANT}/v2.0`,
        jwks_uri: `${server.url}/${TENANT}/discovery/v2.0/keys`,
        tenant_region_scope: 'EU',
        cloud_instance_name: 'microsoftonline.com',
      });
      server.answer(`/${TENANT}/discovery/v2.0/keys`, {
        keys: [{ ...unnamed, x5t: entraKey.kid, x5c: ['MIIC'], issuer: `${server.url}/${TENANT}/v2.0` }],
      });
    },
    token: (server, iat, groups) =>
      entraKey.token(
        {
          aud: '6731de76-14a6-49ae-97bc-6eba6914391e',
          iss: `${server.url}/${TENANT}/v2.0`,
          iat,
          nbf: iat,
          exp: iat + LIFETIME_S,
          azp: '0c1d2e3f-0000-4000-8000-000000000000',
          azpacr: '1',
          groups,
          name: 'Alice',
          oid: '11111111-2222-4333-8444-555555555555',
          preferred_username: 'alice@company.com',
          rh: '0.AX',
          scp: 'orders:read',
          sub: 'pairwise-subject',
          tid: TENANT,
          uti: `u${iat}${groups.length}`,
          ver: '2.0',
        },
        { typ: 'JWT', x5t: entraKey.kid },
      ),
  },
];

let clock: FakeClock;
let world: World;
let up: RecordingUpstream;
let sidecar: RunningSidecar;
const servers = new Map<string, IssuerServer>();

const serverOf = ({ name }: Provider): IssuerServer => {
  const server = servers.get(name);
  if (server === undefined) throw new Error(name);
  return server;
};
const tokenOf = (provider: Provider, groups: readonly string[]): string =>
  provider.token(serverOf(provider), Math.floor(clock.wall() / 1000), groups);
const open = (token: string): ReturnType<RunningSidecar['request']> =>
  sidecar.request('/session', { headers: { authorization: `Bearer ${token}` } });
const sessionOf = async (token: string): Promise<string> => {
  const opened = await open(token);
  if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
  return opened.json()['token'] as string;
};
const call = async (session: string): Promise<number> => (await sidecar.call('orders/get_order', { order_id: 'O-000123' }, session)).status;

beforeAll(async () => {
  clock = testClock();
  up = await recordingUpstream();
  world = await startWorld({ clock });
  const issuers: string[] = [];
  for (const provider of PROVIDERS) {
    const server = await issuerServer();
    servers.set(provider.name, server);
    provider.publish(server);
    issuers.push(`---\n${issuerOfGuide(provider.host, server.url)}`);
  }
  await world.admin.publish(`${ordersPolicy(up.url, READ_ORDERS, world.idp)}${issuers.join('')}`);
  sidecar = await world.startSidecar();
  await eventually(async () => {
    await clock.advance(100);
    return sidecar.ready();
  }, 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  for (const server of servers.values()) await server.close();
});

describe('[R16.05] Okta and Azure AD, found by discovery', () => {
  it.each(PROVIDERS)('$name: a group is a role where the bundle maps it, and nothing otherwise', async (provider) => {
    expect(await call(await sessionOf(tokenOf(provider, [provider.supportGroup, 'Everyone'])))).toBe(200);
    const others = [[], ['Everyone'], ['support-rep'], [`${provider.supportGroup} `]];
    for (const groups of others) expect(await call(await sessionOf(tokenOf(provider, groups)))).toBe(403);
  });

  it('a user disabled there is out within the life of a token and of a session’s token', async () => {
    const last = PROVIDERS.map((provider) => tokenOf(provider, [provider.supportGroup]));
    // From here on the provider issues nothing for her: what she has are these, and what they open while they are good.
    await pass(clock, LIFETIME_S * 1_000 - 10_000, 5_000);
    const sessions = await Promise.all(last.map(sessionOf));
    expect(await Promise.all(sessions.map(call))).toEqual([200, 200]);
    await pass(clock, 11_000, 5_000);
    expect((await Promise.all(last.map(open))).map((answer) => answer.json()['code'])).toEqual(['token_expired', 'token_expired']);
    await pass(clock, 15 * MINUTE_MS, 5_000);
    expect(await Promise.all(sessions.map(call))).toEqual([401, 401]);
  });
});
