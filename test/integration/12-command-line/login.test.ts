import { statSync } from 'node:fs';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { terminal, type Ran, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { identityProvider, type IdentityProvider } from '../../support/identity-provider.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

describe('signing in', () => {
  let idp: IdentityProvider;
  let up: RecordingUpstream;
  let world: World;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    [idp, up, world] = await Promise.all([identityProvider(), recordingUpstream(), startWorld()]);
    const pinned = `
kind: Issuer
issuer: ${idp.issuer}
audience: ${idp.audience}
keys: [{ kid: ${idp.jwk.kid}, kty: EC, crv: P-256, x: ${idp.jwk.x}, y: ${idp.jwk.y} }]
max_lifetime: 15m
claims: { subject: sub, tenant: tenant_id, roles: roles, scopes: scope, case: ticket_id }
`;
    await world.admin.publish(ordersPolicy(up.url, `${READ_ORDERS}---${pinned}`, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    await idp?.close();
  });

  /** Types the command; `person` does what it says, once it says it. */
  async function typed(argv: readonly string[], person: (said: string, at: Terminal) => Promise<unknown>): Promise<Ran & { at: Terminal }> {
    let done: Promise<unknown> | undefined;
    const at: Terminal = terminal({
      onNote: (said) => {
        if (said.includes('http://')) done ??= person(said, at);
      },
    });
    const ran = await at.type('login', '--issuer', idp.issuer, '--client-id', idp.clientId, ...argv);
    await done;
    return { ...ran, at };
  }
  const address = (said: string): string => /http:\/\/\S+/.exec(said)?.[0] ?? '';
  const outbound = (): string => `http://127.0.0.1:${sidecar.port}`;
  const call = (session: string): ReturnType<RunningSidecar['call']> => sidecar.call('orders/get_order', { order_id: 'O-000123' }, session);

  it('[R1.05] with the authorization code and PKCE gives a session; without the verifier there is no token, and so none', async () => {
    const { exit, out, err, at } = await typed(['--sidecar', outbound()], (said) => idp.sign(address(said), 'alice'));
    expect([exit, err]).toEqual([0, expect.stringContaining('open this address')]);
    expect((await call(out.trim())).status).toBe(200);
    at.close();

    // The same flow by hand, up to the code; then the token request of somebody who has the code and not the verifier.
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
    const redirect = 'http://127.0.0.1:1/callback';
    const asked = new URLSearchParams({
      client_id: idp.clientId,
      response_type: 'code',
      scope: 'openid',
      redirect_uri: redirect,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const came = await idp.sentBack(`${idp.issuer}/auth?${asked}`, 'alice');
    const code = came.searchParams.get('code') ?? '';
    const body = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: redirect, client_id: idp.clientId });
    const refused = await fetch(`${idp.issuer}/token`, { method: 'POST', body });
    expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([400, 'invalid_grant']);
  });

  it('on another device needs a code, and gives the same', async () => {
    const { exit, out, at } = await typed(['--device', '--sidecar', outbound()], (said) =>
      idp.sign(address(said), 'bob', /type (\S+)/.exec(said)?.[1]),
    );
    expect(exit).toBe(0);
    expect((await call(out.trim())).status).toBe(200);
    at.close();
  });

  it('keeps a token for its owner alone, and says nothing of it', async () => {
    const { exit, out, err, at } = await typed(['--out', 'token', '--json'], (said) => idp.sign(address(said), 'alice'));
    expect([exit, JSON.parse(out)]).toEqual([
      0,
      { kind: 'access_token', issuer: `${idp.issuer}/`, expires_at: expect.any(String), file: 'token' },
    ]);
    expect(statSync(at.path('token')).mode & 0o777).toBe(0o600);
    const token = at.read('token').trim();
    expect(token.split('.')).toHaveLength(3);
    expect(`${out}${err}`).not.toContain(token);
    at.close();
  });

  it('takes no answer but its own: a page that calls back with another state, host or path changes nothing', async () => {
    const statuses: number[] = [];
    const { exit, at } = await typed([], async (said) => {
      const asked = new URL(address(said));
      const back = new URL(asked.searchParams.get('redirect_uri') ?? '');
      const state = asked.searchParams.get('state') ?? '';
      const attempts: [string, RequestInit][] = [
        [`${back.href}?code=stolen&state=other`, {}],
        [`${back.href}?code=stolen`, {}],
        [`${back.href}?code=stolen&state=${state}&state=${state}`, {}],
        [`${back.origin}/elsewhere?code=stolen&state=${state}`, {}],
        [`${back.href}?code=stolen&state=${state}`, { method: 'POST' }],
        [`http://localhost:${back.port}/callback?code=stolen&state=${state}`, {}],
      ];
      for (const [url, how] of attempts) statuses.push((await fetch(url, how)).status);
      await idp.sign(address(said), 'alice');
    });
    expect([exit, statuses]).toEqual([0, statuses.map(() => 400)]);
    at.close();
  });

  it.each<[what: string, argv: readonly string[], exit: number, says: string]>([
    ['a person who says no', [], 1, 'access_denied'],
    ['nobody at all', ['--timeout', '1s'], 1, 'nobody signed in'],
  ])('ends with %s', async (what, argv, exit, says) => {
    const ran = await typed(argv, async (said) => {
      if (!what.includes('no')) return;
      const asked = new URL(address(said));
      if (argv.length > 0) return;
      const state = asked.searchParams.get('state') ?? '';
      await fetch(`${asked.searchParams.get('redirect_uri')}?error=access_denied&state=${state}&iss=${encodeURIComponent(idp.issuer)}`);
    });
    expect([ran.exit, ran.out]).toEqual([exit, '']);
    expect(ran.err).toContain(says);
    ran.at.close();
  });

  it.each<[what: string, argv: readonly string[], says: string]>([
    ['an issuer without TLS that is not this machine', ['--issuer', 'http://login.example', '--client-id', 'x'], 'https://'],
    ['an issuer that is no address', ['--issuer', 'login', '--client-id', 'x'], 'https://'],
    [
      'a sidecar on another machine',
      ['--issuer', 'https://login.example', '--client-id', 'x', '--sidecar', 'http://10.0.0.1:15001'],
      '127.0.0.1',
    ],
  ])('asks nobody for %s', async (_what, argv, says) => {
    const at = terminal();
    const { exit, err } = await at.type('login', ...argv);
    expect([exit, err]).toEqual([2, expect.stringContaining(says)]);
    at.close();
  });

  it.each([
    ['a port at which nobody listens', () => 'http://127.0.0.1:9999', 'nothing listens there'],
    ['a server that is no provider', () => up.url, '"issuer" property must be a string'],
  ])('says where it got no answer: %s', async (_what, issuer, says) => {
    const at = terminal();
    const { exit, err } = await at.type('login', '--issuer', issuer(), '--client-id', 'x');
    expect([exit, err]).toEqual([1, expect.stringContaining(says)]);
    expect(err).toContain(`the identity provider at ${issuer()}`);
    at.close();
  });

  it('says which sidecar’s refusal it was, and its decision', async () => {
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    await eventually(async () => {
      const { exit, err, at } = await typed(['--sidecar', outbound()], (said) => idp.sign(address(said), 'alice'));
      at.close();
      return exit === 1 && /opened no session \(401: unauthenticated\).*sallyport explain/.test(err);
    }, 'the refusal');
  });
});
