import type { Digest, Instant, Issuer } from '@sallyport/model';
import { createUpstreams } from '@sallyport/net';
import { systemClock } from '@sallyport/runtime';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tokenIntrospection } from './introspection.ts';
import { operatorTokens, type OperatorTokens } from './operator-token.ts';

const TOKEN = 'opaque-token-of-alice';
const NOW = 1_800_000_000_000;
const SECONDS = NOW / 1000;
const ALICE = {
  active: true,
  iss: 'https://idp.example',
  aud: 'us',
  sub: 'alice',
  tenant: 'acme',
  roles: ['clerk'],
  scope: 'a b',
  iat: SECONDS - 10,
  exp: SECONDS + 600,
};

let server: Server;
let asked: { readonly authorization: string; readonly body: string }[];
let answer: RequestListener;
let clock: FakeClock;
let secret: string | undefined;
beforeEach(async () => {
  asked = [];
  secret = 's3cret & more';
  clock = fakeClock({ wall: NOW as Instant });
  answer = (_request, response) => response.end(JSON.stringify(ALICE));
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push({ authorization: request.headers.authorization ?? '', body });
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const issuerOf = (more: Partial<Issuer> = {}): Issuer => ({
  issuer: 'https://idp.example',
  audience: 'us',
  keys: [],
  introspection: {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`,
    network: 'loopback',
    clientId: 'gate:1',
    secret: { name: 'file s', source: { kind: 'file', path: 's' } },
    cacheMsMax: 30_000,
  },
  tokenLifetimeMsMax: 3_600_000,
  claims: { subject: 'sub', tenant: 'tenant', roles: 'roles', scopes: 'scope', case: 'case', attributes: {} },
  ...more,
});

function verifier(): OperatorTokens {
  const upstreams = createUpstreams({ clock: systemClock() });
  const introspection = tokenIntrospection({ upstreams, clock, askMsMax: 5_000, secretOf: async () => secret });
  return operatorTokens({}, { introspection });
}
const verdict = async (tokens: OperatorTokens, token = TOKEN, issuers: readonly Issuer[] = [issuerOf()]): Promise<string> => {
  const verified = await tokens.verify(token, { issuers, bundle: 'sha256:0' as Digest, now: clock.wall() });
  return verified.ok ? verified.value.principal.id : verified.error.code;
};

describe('a token that says nothing by itself', () => {
  it('is whom its issuer says, asked by a client that proves itself', async () => {
    expect(await verdict(verifier())).toBe('alice');
    const basic = Buffer.from('gate%3A1:s3cret+%26+more').toString('base64');
    expect(asked).toEqual([{ authorization: `Basic ${basic}`, body: `token=${TOKEN}&token_type_hint=access_token` }]);
  });

  it.each<[attack: string, said: object, code: string]>([
    ['it is not active', { active: false }, 'unauthenticated'],
    ['it is only said to be', { ...ALICE, active: 'true' }, 'unauthenticated'],
    ['nothing is said', {}, 'unauthenticated'],
    ['it is another issuer’s', { ...ALICE, iss: 'https://evil.example' }, 'unauthenticated'],
    ['it is for somebody else', { ...ALICE, aud: ['them'] }, 'unauthenticated'],
    ['it is for nobody in particular', { ...ALICE, aud: undefined }, 'unauthenticated'],
    ['it has no end', { ...ALICE, exp: undefined }, 'unauthenticated'],
    ['it has ended', { ...ALICE, exp: SECONDS - 1 }, 'token_expired'],
    ['it lives too long', { ...ALICE, exp: SECONDS + 7_200 }, 'token_lifetime_exceeded'],
    ['it is nobody’s', { ...ALICE, sub: undefined }, 'unauthenticated'],
    ['it is bound to a key that nobody proves', { ...ALICE, cnf: { jkt: 'A'.repeat(43) } }, 'unauthenticated'],
  ])('is refused where %s', async (_attack, said, code) => {
    answer = (_request, response) => response.end(JSON.stringify(said));
    expect(await verdict(verifier())).toBe(code);
  });

  it.each<[outage: string, by: RequestListener]>([
    ['refuses us', (_request, response) => response.writeHead(401).end()],
    ['fails', (_request, response) => response.writeHead(500).end('{"active":true}')],
    ['sends us elsewhere', (_request, response) => response.writeHead(307, { location: '/other' }).end()],
    ['says what is no JSON', (_request, response) => response.end('active')],
    ['says two things', (_request, response) => response.end(JSON.stringify(ALICE).replace('{', '{"active":false,'))],
    ['says too much', (_request, response) => response.end(JSON.stringify({ ...ALICE, more: 'x'.repeat(70_000) }))],
    ['breaks off', (_request, response) => response.destroy()],
  ])('is nobody’s to judge while its issuer %s', async (_outage, by) => {
    answer = by;
    expect(await verdict(verifier())).toBe('identity_unavailable');
  });

  it('is nobody’s to judge without the secret, and is not sent then', async () => {
    secret = undefined;
    expect(await verdict(verifier())).toBe('identity_unavailable');
    expect(asked).toEqual([]);
  });

  it('is asked about once for a while, and never believed past its end', async () => {
    const tokens = verifier();
    expect([await verdict(tokens), await verdict(tokens)]).toEqual(['alice', 'alice']);
    expect(asked.length).toBe(1);
    answer = (_request, response) => response.end('{"active":false}');
    await clock.advance(29_999);
    expect(await verdict(tokens)).toBe('alice');
    await clock.advance(1);
    expect(await verdict(tokens)).toBe('unauthenticated');
    expect(asked.length).toBe(2);
    answer = (_request, response) => response.end(JSON.stringify({ ...ALICE, exp: SECONDS + 40 }));
    expect(await verdict(tokens)).toBe('alice');
    await clock.advance(10_000);
    expect(await verdict(tokens)).toBe('token_expired');
  });

  it.each<[what: string, token: string]>([
    ['a JWT, whoever’s', 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0.AAAA'],
    ['an API key', `sp_00000000_${'A'.repeat(43)}`],
    ['what is too short to be a secret', 'short'],
    ['what is too long', 'x'.repeat(5_000)],
  ])('%s is never sent to anybody', async (_what, token) => {
    expect(await verdict(verifier(), token)).toBe('unauthenticated');
    expect(asked).toEqual([]);
  });

  it('is refused where no issuer is asked, and where nobody can ask', async () => {
    const { introspection: _, ...signing } = issuerOf();
    expect(await verdict(verifier(), TOKEN, [signing])).toBe('unauthenticated');
    expect(await verdict(operatorTokens())).toBe('identity_unavailable');
  });
});
