/** Secrets that lie elsewhere: in a Vault, and behind an OAuth token endpoint. Both change, and both go away. */

import {
  projectedVolume,
  recordingUpstream,
  tokenEndpoint,
  vaultServer,
  type FakeClock,
  type ProjectedVolume,
  type RecordingUpstream,
  type TokenEndpoint,
  type VaultServer,
} from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const CLIENT = { id: 'triage', secret: 'client-secret-1' };
const SECOND_MS = 1_000;

const policyOf = (orders: string, idp: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "${orders}" }
network: loopback
---
kind: ToolServer
name: idp
http: { url: "${idp}/realm" }
network: loopback
---
kind: Tool
name: orders/from_vault
effect: read
route: { method: GET, path: /vault }
---
kind: Tool
name: orders/with_token
effect: read
route: { method: GET, path: /token }
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [orders/*], for: { roles: [support-rep] } }
---
kind: Credential
name: from-vault
source: { vault: { mount: kv, path: teams/support/orders, field: api_key } }
header: X-Api-Key
destinations: [orders]
agents: [${AGENT}]
tools: [orders/from_vault]
---
kind: Credential
name: own-token
source: { oauth_client_credentials: { server: idp, path: /oauth2/token, client_id: ${CLIENT.id}, client_secret_file: idp-secret, scopes: [orders] } }
header: Authorization
scheme: Bearer
destinations: [orders]
agents: [${AGENT}]
tools: [orders/with_token]
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/from_vault, expect: allow }
  - { call: orders/with_token, expect: allow }
`;

let clock: FakeClock;
let volume: ProjectedVolume;
let up: RecordingUpstream;
let vault: VaultServer;
let idp: TokenEndpoint;
let world: World;
let sidecar: RunningSidecar;
let before = 0;

/** Status, code, and what reached the tool. */
const called = async (tool: string, header: string): Promise<readonly unknown[]> => {
  before = up.requests.length;
  const answer = await sidecar.call(`orders/${tool}`, {}, await sidecar.session());
  return [
    answer.status,
    answer.status === 200 ? 'ok' : answer.json()['code'],
    up.requests.slice(before).map(({ headers }) => headers[header]),
  ];
};

beforeAll(async () => {
  clock = testClock();
  volume = projectedVolume({ 'idp-secret': CLIENT.secret });
  [up, vault, idp] = [await recordingUpstream(), await vaultServer(), await tokenEndpoint(CLIENT, 40)];
  vault.put('kv/teams/support/orders', { api_key: 'vault-key-1' });
  world = await startWorld({ clock });
  await world.admin.publish(policyOf(up.url, idp.url) + issuerDocument(world.idp));
  const tokenFile = join(world.dir, 'vault-token');
  writeFileSync(tokenFile, `${vault.token}\n`, { mode: 0o600 });
  sidecar = await world.startSidecar({
    config: {
      secrets: {
        folder: volume.folder,
        vault: { address: vault.url, network: 'loopback', token_file: tokenFile },
        last_good_ms_max: 30_000,
      },
    },
  });
  await eventually(async () => {
    await pass(clock, 100);
    return sidecar.ready();
  }, 'readiness');
});
beforeEach(async () => {
  vault.heal();
  idp.heal();
  up.answer({ kind: 'json', body: { ok: true } });
  await pass(clock, 11 * SECOND_MS);
});
afterAll(async () => {
  await world?.close();
  await Promise.all([up, vault, idp].map((one) => one?.close()));
  volume?.close();
});

describe('a secret of Vault', () => {
  it('[R14.01] is the new one within the interval after it was changed there, and nobody does anything', async () => {
    expect(await called('from_vault', 'x-api-key')).toEqual([200, 'ok', ['vault-key-1']]);
    vault.put('kv/teams/support/orders', { api_key: 'vault-key-2' });
    await pass(clock, 10 * SECOND_MS);
    expect(await called('from_vault', 'x-api-key')).toEqual([200, 'ok', ['vault-key-2']]);
  });

  it('[R13.10] is used on while Vault is sealed, for a while; then no call goes out, and nothing tells where it lies', async () => {
    vault.put('kv/teams/support/orders', { api_key: 'vault-key-3' });
    await pass(clock, 10 * SECOND_MS);
    await called('from_vault', 'x-api-key');
    vault.answer({ kind: 'json', status: 503, body: { errors: ['Vault is sealed'] } });
    await pass(clock, 19 * SECOND_MS);
    expect(await called('from_vault', 'x-api-key')).toEqual([200, 'ok', ['vault-key-3']]);
    await pass(clock, 12 * SECOND_MS);
    expect(await called('from_vault', 'x-api-key')).toEqual([503, 'credential_unavailable', []]);
    const answer = await sidecar.call('orders/from_vault', {}, await sidecar.session());
    const record = await eventually(async () => {
      await pass(clock, 100);
      return (await allCalls(world)).find((one) => one.decision_id === answer.json()['decision_id']);
    }, 'the record');
    for (const told of [answer.text, JSON.stringify(record), world.log.join('\n')]) {
      for (const secret of ['vault-key', 'teams/support', vault.url, vault.token]) expect(told).not.toContain(secret);
    }
    vault.heal();
    await pass(clock, 1 * SECOND_MS);
    expect(await called('from_vault', 'x-api-key')).toEqual([200, 'ok', ['vault-key-3']]);
  });
});

describe('an access token that the sidecar fetches', () => {
  it('is fetched once for many calls, anew at half of its life, and used no longer than that when the provider is away', async () => {
    expect(await called('with_token', 'authorization')).toEqual([200, 'ok', ['Bearer token-1']]);
    await pass(clock, 19 * SECOND_MS);
    expect(await called('with_token', 'authorization')).toEqual([200, 'ok', ['Bearer token-1']]);
    await pass(clock, 1 * SECOND_MS);
    expect(await called('with_token', 'authorization')).toEqual([200, 'ok', ['Bearer token-2']]);
    expect(idp.requests.map(({ target }) => target)).toEqual(['/realm/oauth2/token', '/realm/oauth2/token']);
    idp.answer({ kind: 'json', status: 500, body: {} });
    await pass(clock, 39 * SECOND_MS);
    expect(await called('with_token', 'authorization')).toEqual([200, 'ok', ['Bearer token-2']]);
    await pass(clock, 2 * SECOND_MS);
    expect(await called('with_token', 'authorization')).toEqual([503, 'credential_unavailable', []]);
  });

  it('that the tool refuses is fetched anew, and a read goes out once more with it', async () => {
    await called('with_token', 'authorization');
    const held = `Bearer token-${idp.issued()}`;
    up.answer(({ headers }) =>
      headers['authorization'] === held ? { kind: 'json', status: 401, body: {} } : { kind: 'json', body: { ok: true } },
    );
    expect(await called('with_token', 'authorization')).toEqual([200, 'ok', [held, `Bearer token-${idp.issued()}`]]);
  });

  it('needs the client’s secret as it lies in its file now', async () => {
    idp.secret = 'client-secret-2';
    await pass(clock, 41 * SECOND_MS);
    expect(await called('with_token', 'authorization')).toEqual([503, 'credential_unavailable', []]);
    volume.write({ 'idp-secret': 'client-secret-2' });
    await pass(clock, 1 * SECOND_MS);
    expect((await called('with_token', 'authorization'))[0]).toBe(200);
  });
});
