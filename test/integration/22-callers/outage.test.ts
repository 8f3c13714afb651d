/**
 * Nobody can tell who calls: the identity provider is away and its keys have grown old. What is marked for it goes on for
 * nobody in particular, and says so on record; everything else waits.
 */

import { issuerKeyPair, issuerServer, OPENID_PATH, type FakeClock, type IssuerServer } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallEvent } from '@sallyport/audit';
import { allCalls } from '../../support/audit.ts';
import { codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, pass, testClock, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const MINUTE_MS = 60_000;
const keys = issuerKeyPair('ES256', 'key-1');
const forger = issuerKeyPair('ES256', 'key-1');

const documents = (url: string): string => `kind: Issuer
issuer: ${url}
audience: sallyport
discovery: true
network: loopback
jwks_age_max: 2m
max_lifetime: 1h
claims: { tenant: tid, roles: groups }
---
kind: Tool
name: orders/opening_hours
effect: read
route: { method: GET, path: /hours }
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
route: { method: POST, path: /refund }
---
kind: Policy
agent: support-triage
rules:
  - { id: hours-for-anyone, allow: [orders/opening_hours], for: { principals: [anonymous] } }
  - { id: hours, allow: [orders/opening_hours], for: { roles: [support-rep] } }
  - { id: refund, allow: [orders/refund], for: { roles: [support-rep] } }
`;
const MARKED = 'callers: [{ roles: [support-rep] }, { principals: [anonymous] }]';
const UNMARKED = 'callers: [{ roles: [support-rep] }]';

let clock: FakeClock;
let idp: IssuerServer;
let side: InboundSide;

const tokenOf = (claims: Record<string, unknown> = {}, by = keys): string => {
  const iat = Math.floor(clock.wall() / 1000);
  return by.token({ iss: idp.url, aud: 'sallyport', sub: 'alice', tid: 'acme', groups: ['support-rep'], iat, exp: iat + 3_600, ...claims });
};
const ask = (token: string | undefined, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  side.ask(INVOKE, { json: { request: 'x' }, headers: { authorization: token === undefined ? undefined : `Bearer ${token}`, ...headers } });
const tool = (name: string, session: string, args: object = {}): Promise<HttpAnswer> => side.sidecar.call(`orders/${name}`, args, session);
/** The last call on record that fits; records travel on the clock. */
const record = (fits: (call: CallEvent) => boolean): Promise<CallEvent> =>
  eventually(async () => {
    await clock.advance(100);
    return (await allCalls(side.world)).findLast(fits);
  }, 'a record that fits');
const agents = (): string => side.agent.requests.at(-1)?.headers['sallyport-session'] as string;

beforeAll(async () => {
  clock = testClock();
  idp = await issuerServer();
  idp.publish([keys.jwk]);
  // Hours pass in a moment here; the policy does not grow old by them.
  side = await startInbound({ clock, freshnessTtlMs: 3_600_000, callers: MARKED, documents: documents(idp.url) });
});
afterAll(async () => {
  await side?.close();
  await idp?.close();
});

async function away(): Promise<void> {
  idp.answer(OPENID_PATH, (response) => response.destroy());
  await pass(clock, 2 * MINUTE_MS + 6_000, 5_000);
}
async function back(): Promise<void> {
  idp.publish([keys.jwk]);
  await pass(clock, 6_000, 2_000);
}

describe('while identity can be told', () => {
  it('nobody is served as nobody: wrong credentials and none at all are refused', async () => {
    const opened = await ask(tokenOf());
    expect(opened.status).toBe(200);
    expect((await tool('refund', agents())).status).toBe(200);
    const before = side.agent.requests.length;
    expect([codeOf(await ask(tokenOf({}, forger))), codeOf(await ask(undefined)), codeOf(await ask('nonsense'))]).toEqual([
      'signature_invalid',
      'unauthenticated',
      'unauthenticated',
    ]);
    expect(side.agent.requests.length).toBe(before);
  });
});

describe('while it cannot', () => {
  it('[R13.01] what is marked for it is served to nobody in particular, on record; refunds and whatever is not marked wait', async () => {
    await away();
    const answer = await ask(tokenOf());
    expect(answer.status).toBe(200);
    const session = answer.headers['sallyport-session-id'];
    const served = { decision: 'allow', operator: 'anonymous', principal_kind: 'anonymous', authn_method: 'none', degraded: true };
    expect(await record((call) => call.session_id === session && call.leg === 'inbound')).toMatchObject(served);
    const nobody = agents();
    expect((await tool('opening_hours', nobody)).status).toBe(200);
    expect(await record((call) => call.session_id === session && call.tool === 'orders/opening_hours')).toMatchObject({
      ...served,
      rule_id: 'hours-for-anyone',
    });
    const before = side.tool.requests.length;
    for (const [name, args] of [
      ['refund', {}],
      ['get_order', { order_id: 'O-000123' }],
      ['no_such_tool', {}],
    ] as const) {
      const refused = await tool(name, nobody, args);
      expect([name, refused.status, refused.json()['code']]).toEqual([name, 503, 'identity_unavailable']);
    }
    expect(side.tool.requests.length).toBe(before);
    expect(await record((call) => call.tool === 'orders/refund' && call.session_id === session)).toMatchObject({
      decision: 'deny',
      code: 'identity_unavailable',
      degraded: true,
    });
    await back();
  });

  it.each<[what: string, show: () => Promise<HttpAnswer>, code: string]>([
    ['no credential', () => ask(undefined), 'unauthenticated'],
    ['a token that has ended', () => ask(tokenOf({ iat: clock.wall() / 1000 - 7_000, exp: clock.wall() / 1000 - 3_500 })), 'token_expired'],
    ['a token for somebody else', () => ask(tokenOf({ aud: 'another' })), 'unauthenticated'],
    ['a token of nobody’s issuer', () => ask(tokenOf({ iss: 'https://evil.example' })), 'unauthenticated'],
    ['a token that lives too long', () => ask(tokenOf({ exp: clock.wall() / 1000 + 86_400 })), 'token_lifetime_exceeded'],
    ['no token', () => ask('nonsense'), 'unauthenticated'],
  ])('%s is refused as ever', async (_what, show, code) => {
    await away();
    expect(codeOf(await show())).toBe(code);
    await back();
  });

  it('a session of a person goes on for that person alone: it waits, and nobody gets into it', async () => {
    const opened = await ask(tokenOf());
    const client = String(opened.json()['session_token']);
    await away();
    expect(codeOf(await ask(tokenOf(), { 'sallyport-session': client }))).toBe('identity_unavailable');
    const nobodys = String((await ask(tokenOf())).json()['session_token']);
    expect(codeOf(await ask(tokenOf(), { 'sallyport-session': nobodys }))).toBe('identity_unavailable');
    await back();
    expect((await ask(tokenOf(), { 'sallyport-session': client })).status).toBe(200);
    expect(codeOf(await ask(tokenOf(), { 'sallyport-session': nobodys }))).toBe('session_binding_mismatch');
  });

  it('an agent that does not name them serves nobody, and its own port opens no session', async () => {
    await side.world.admin.publish(
      inboundPolicy(side, UNMARKED, undefined, documents(idp.url).replace(/ {2}- \{ id: hours-for-anyone.*\n/, '')),
    );
    await away();
    await eventually(async () => codeOf(await ask(tokenOf())) === 'identity_unavailable', 'the next bundle');
    const own = await side.sidecar.request('/session', { headers: { authorization: `Bearer ${tokenOf()}` } });
    expect([own.status, own.json()['code']]).toEqual([503, 'identity_unavailable']);
    await back();
  });
});
