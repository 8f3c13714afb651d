import { certificatePem } from '@sallyport/crypto/keys';
import type { Destination, ServerName } from '@sallyport/model';
import { createUpstreams, type Upstreams } from '@sallyport/net';
import { systemClock } from '@sallyport/runtime';
import { testAuthority, tokenEndpoint, vaultServer, type ScriptedAnswer, type TokenEndpoint, type VaultServer } from '@sallyport/testkit';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchToken } from './secret-oauth.ts';
import type { Sourced } from './secret-source.ts';
import { vaultReader, type ReadVault } from './secret-vault.ts';

let folder: string;
let upstreams: Upstreams;
const shown = (sourced: Sourced): unknown => ('failure' in sourced ? sourced.failure : sourced);
const ANSWERS = (body: unknown, status = 200, headers = {}): ScriptedAnswer => ({ kind: 'json', body, status, headers });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-remote-'));
  upstreams = createUpstreams({ clock: systemClock() });
});
afterAll(() => {
  upstreams.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What either of the two places may do to whoever asks. */
const FAULTS: readonly (readonly [string, ScriptedAnswer, string])[] = [
  ['an outage', ANSWERS({ errors: ['sealed'] }, 503), 'unreachable'],
  ['a defect', ANSWERS({}, 500), 'unreachable'],
  ['a refusal', ANSWERS({}, 403), 'refused'],
  ['nothing there', ANSWERS({}, 404), 'missing'],
  ['a redirect, which is not followed', { kind: 'redirect', location: 'http://127.0.0.1:1/', status: 307 }, 'refused'],
  ['a connection that ends', { kind: 'close' }, 'unreachable'],
  ['an answer that ends in the middle', { kind: 'close_mid_body' }, 'malformed'],
  ['an answer without end', { kind: 'oversize', bytes: 200_000 }, 'too_large'],
  ['no JSON', { kind: 'bytes', body: Buffer.from('<html>'), headers: { 'content-type': 'text/html' } }, 'malformed'],
  ['JSON with a name twice', { kind: 'bytes', body: Buffer.from('{"data":{},"data":{}}') }, 'malformed'],
  ['an encoded answer', { kind: 'bytes', body: Buffer.from('{}'), headers: { 'content-encoding': 'gzip' } }, 'malformed'],
  ['a list', ANSWERS([]), 'missing or malformed'],
];

describe('a secret of Vault', () => {
  let vault: VaultServer;
  let read: ReadVault;
  const tokenFile = (): string => join(folder, 'vault-token');
  const SOURCE = { kind: 'vault', mount: 'kv', path: 'teams/orders', field: 'api_key' } as const;
  const asked = async (source: typeof SOURCE = SOURCE): Promise<unknown> => shown(await read(source, new AbortController().signal));

  beforeAll(async () => {
    vault = await vaultServer();
    read = vaultReader({
      address: vault.url,
      network: 'loopback',
      tokenFile: tokenFile(),
      authoritiesFile: undefined,
      dial: () => upstreams,
    });
  });
  beforeEach(() => {
    writeFileSync(tokenFile(), `${vault.token}\n`, { mode: 0o600 });
    chmodSync(tokenFile(), 0o600);
    vault.heal();
    vault.put('kv/teams/orders', { api_key: 'one', other: 'x' });
  });
  afterAll(() => vault.close());

  it('is the field of its newest version, with the moment when that was made', async () => {
    expect(await asked()).toEqual({ value: 'one', madeAt: Date.parse('2026-11-20T07:31:23.123Z') });
    vault.put('kv/teams/orders', { api_key: 'two' }, '2026-11-20T08:00:00Z');
    expect(await asked()).toEqual({ value: 'two', madeAt: Date.parse('2026-11-20T08:00:00.000Z') });
  });

  it('is asked for with the token that the file holds now, and with nothing where it holds none', async () => {
    writeFileSync(tokenFile(), 'another');
    expect(await asked()).toBe('refused');
    const before = vault.requests.length;
    rmSync(tokenFile());
    expect(await asked()).toBe('missing');
    writeFileSync(tokenFile(), vault.token);
    chmodSync(tokenFile(), 0o644);
    expect([await asked(), vault.requests.length]).toEqual(['exposed', before]);
  });

  it.each([
    ['no such secret', { ...SOURCE, path: 'teams/other' }, 'missing'],
    ['no such field', { ...SOURCE, field: 'nothing' }, 'missing'],
    ['a name that every object has', { ...SOURCE, field: 'constructor' }, 'missing'],
  ])('is %s', async (_what, source, expected) => expect(await asked(source as typeof SOURCE)).toBe(expected));

  it.each([[7], [{ a: 1 }], [''], ['a\r\nX-Evil: 1'], ['a'.repeat(9_000)]])('is not a value such as %j', async (value) => {
    vault.put('kv/teams/orders', { api_key: value });
    expect(['malformed', 'empty', 'too_large']).toContain(await asked());
  });

  it.each(FAULTS)('is not there after %s', async (_what, answer, failure) => {
    vault.answer(answer);
    expect(failure.split(' or ')).toContain(await asked());
  });

  it('is given up when the time of one look is over', async () => {
    vault.answer({ kind: 'hang' });
    const over = new AbortController();
    const arrived = vault.arrived(vault.requests.length + 1);
    const asking = read(SOURCE, over.signal);
    await arrived;
    over.abort();
    expect(shown(await asking)).toBe('unreachable');
  });

  it('is not asked of an address that is not where the configuration says', async () => {
    const elsewhere = vaultReader({
      address: vault.url,
      network: 'public',
      tokenFile: tokenFile(),
      authoritiesFile: undefined,
      dial: () => createUpstreams({ clock: systemClock() }),
    });
    const before = vault.requests.length;
    expect([shown(await elsewhere(SOURCE, new AbortController().signal)), vault.requests.length]).toEqual(['untrusted', before]);
  });
});

describe('the Vault that is asked', () => {
  const KV = JSON.stringify({ data: { data: { api_key: 'one' }, metadata: { created_time: '2026-11-20T07:31:23Z' } } });
  const SOURCE = { kind: 'vault', mount: 'kv', path: 'a', field: 'api_key' } as const;

  it.each<[string, { readonly ip: string; readonly isBelieved: boolean }, unknown]>([
    ['is believed by the authorities of the configuration', { ip: '127.0.0.1', isBelieved: true }, 'one'],
    ['is not believed without', { ip: '127.0.0.1', isBelieved: false }, 'untrusted'],
    ['is not believed under another address', { ip: '127.0.0.2', isBelieved: true }, 'untrusted'],
  ])('%s; who is not believed hears no token', async (_what, { ip, isBelieved }, expected) => {
    const authority = await testAuthority();
    const material = await authority.issue('/control-plane', { usage: 'tls-server', ipAddresses: [ip] });
    const tokens: unknown[] = [];
    const server = createServer({ cert: material.chain.map(certificatePem).join(''), key: material.privatePem }, (request, response) => {
      tokens.push(request.headers['x-vault-token']);
      response.end(KV);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const files = { token: join(folder, 'tls-token'), authorities: join(folder, 'ca.pem') };
    writeFileSync(files.token, 'the-token', { mode: 0o600 });
    writeFileSync(files.authorities, certificatePem(authority.ca.certificate));
    const dialled: Upstreams[] = [];
    const read = vaultReader({
      address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
      network: 'loopback',
      tokenFile: files.token,
      authoritiesFile: isBelieved ? files.authorities : undefined,
      dial: (authorities) => {
        const made = createUpstreams({ clock: systemClock(), authorities });
        dialled.push(made);
        return made;
      },
    });
    try {
      const sourced = await read(SOURCE, new AbortController().signal);
      expect(['failure' in sourced ? sourced.failure : sourced.value, tokens]).toEqual([expected, expected === 'one' ? ['the-token'] : []]);
    } finally {
      for (const one of dialled) one.close();
      server.close();
    }
  });

  it('is not asked where the authorities cannot be read', async () => {
    const token = join(folder, 'other-token');
    writeFileSync(token, 'the-token', { mode: 0o600 });
    const options = {
      address: 'https://127.0.0.1:1',
      network: 'loopback',
      tokenFile: token,
      authoritiesFile: join(folder, 'none.pem'),
    } as const;
    const read = vaultReader({ ...options, dial: () => upstreams });
    expect(shown(await read(SOURCE, new AbortController().signal))).toBe('unreadable');
  });
});

describe('an access token of its own', () => {
  const CLIENT = { id: 'triage', secret: 'client secret+1' };
  const SOURCE = {
    kind: 'oauth_client_credentials',
    server: 'idp' as ServerName,
    path: '/token',
    clientId: CLIENT.id,
    clientSecretFile: 'x',
    scopes: ['orders.read', 'orders.write'],
  } as const;
  let idp: TokenEndpoint;
  let secret: Sourced;
  const asked = async (): Promise<unknown> => {
    const destination: Destination = {
      server: 'idp' as ServerName,
      scheme: 'http',
      host: '127.0.0.1',
      port: idp.port,
      network: 'loopback',
    };
    const endpoint = { destination, path: '/oauth2/token' };
    return shown(await fetchToken(SOURCE, { endpoint, upstreams, secret: async () => secret, signal: new AbortController().signal }));
  };

  beforeAll(async () => {
    // Both halves are form-encoded before they are joined.
    idp = await tokenEndpoint({ id: CLIENT.id, secret: 'client+secret%2B1' }, 600);
  });
  beforeEach(() => {
    idp.heal();
    secret = { value: CLIENT.secret, madeAt: undefined };
  });
  afterAll(() => idp.close());

  it('is fetched with the client’s secret in the head, and lives as long as the server says', async () => {
    expect(await asked()).toEqual({ value: 'token-1', madeAt: undefined, lifetimeMs: 600_000 });
    const [request] = idp.requests;
    expect([request?.method, request?.target, request?.body]).toEqual([
      'POST',
      '/oauth2/token',
      'grant_type=client_credentials&scope=orders.read+orders.write',
    ]);
  });

  it('is not asked for without a secret, and refused with a wrong one', async () => {
    const before = idp.requests.length;
    secret = { failure: 'exposed' };
    expect([await asked(), idp.requests.length]).toEqual(['exposed', before]);
    secret = { value: 'wrong', madeAt: undefined };
    expect(await asked()).toBe('refused');
  });

  it.each<[string, object, unknown]>([
    ['of another type', { access_token: 'a', token_type: 'DPoP', expires_in: 60 }, 'malformed'],
    ['without a type', { access_token: 'a' }, 'malformed'],
    ['that is none', { token_type: 'Bearer' }, 'malformed'],
    ['that is two lines', { access_token: 'a\r\nb', token_type: 'Bearer' }, 'malformed'],
    ['that has ended', { access_token: 'a', token_type: 'Bearer', expires_in: 0 }, 'malformed'],
    ['that ends in words', { access_token: 'a', token_type: 'Bearer', expires_in: '60' }, 'malformed'],
    ['without an end, which gets one', { access_token: 'a', token_type: 'bearer' }, { value: 'a', madeAt: undefined, lifetimeMs: 60_000 }],
    [
      'that never ends',
      { access_token: 'a', token_type: 'Bearer', expires_in: 1e12 },
      { value: 'a', madeAt: undefined, lifetimeMs: 3_600_000 },
    ],
  ])('%s', async (_what, body, expected) => {
    idp.answer(ANSWERS(body));
    expect(await asked()).toEqual(expected);
  });

  it.each(FAULTS)('is not there after %s', async (_what, answer, failure) => {
    idp.answer(answer);
    expect(failure.split(' or ')).toContain(await asked());
  });
});
