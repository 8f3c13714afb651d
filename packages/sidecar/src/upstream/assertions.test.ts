import { signerFromPem, randomBytes } from '@sallyport/crypto/keys';
import type { AgentName, DecisionId, Denial, PrincipalId, RootKind, ServerName, SessionId, TenantId, ToolName } from '@sallyport/model';
import type { SessionFacts } from '@sallyport/policy';
import { argumentDigest, type TypedArguments } from '@sallyport/strict';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Permitted } from '../pipeline/permit.ts';
import type { OpenSession } from '../pipeline/ports.ts';
import { assertions, type AssertingIdentity, type Assertions } from './assertions.ts';

let authority: TestAuthority;
let one: AssertingIdentity;
let two: AssertingIdentity;
beforeAll(async () => {
  authority = await testAuthority();
  [one, two] = [await identity(), await identity()];
});

async function identity(): Promise<AssertingIdentity> {
  const { chain, privatePem } = await authority.issue('/sidecar/support/one', { usage: 'assertion' });
  const spiffeId = `spiffe://${authority.trustDomain}/sidecar/support/one`;
  return { spiffeId, assertionChain: chain, assertionSigner: signerFromPem(privatePem) };
}

let clock: FakeClock;
let held: Assertions;
beforeEach(() => {
  clock = fakeClock();
  held = assertions({ clock, random: randomBytes, keptMax: 3 });
  held.use(one);
});

/** As much of a permit and of a session as an assertion is made of. */
const permitted = (tool = 'orders/get'): Permitted =>
  ({ agent: 'support' as AgentName, server: { name: 'orders' as ServerName }, tool: { name: tool as ToolName } }) as Permitted;
const session = (id = 's.1', over: { scopes?: readonly string[]; rootKind?: RootKind; purpose?: string } = {}): OpenSession =>
  ({
    id: id as SessionId,
    principal: { id: 'alice' as PrincipalId, tenant: 'company' as TenantId, scopes: over.scopes ?? [] },
    origin: {
      rootKind: over.rootKind ?? 'human',
      method: 'access_token',
      hops: [],
      ...(over.purpose === undefined ? {} : { purpose: over.purpose }),
    },
    facts: () => ({ root: 'operator' }) as SessionFacts,
  }) as unknown as OpenSession;

async function tokenOf(tool?: string, of = session()): Promise<string> {
  const made = await held.of(permitted(tool), of);
  if (typeof made !== 'string') throw new Error(made.code);
  return made;
}
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

describe('an assertion', () => {
  it('is used for half of its life and not a moment longer, whatever the wall clock does', async () => {
    const first = await tokenOf();
    await clock.advance(29_999);
    clock.setWall((clock.wall() - 3_600_000) as never);
    expect(held.of(permitted(), session())).toBe(first);
    await clock.advance(1);
    const next = await tokenOf();
    expect(claimsOf(next)['jti']).not.toBe(claimsOf(first)['jti']);
  });

  it('is of one tool and one session', async () => {
    const tokens = [await tokenOf(), await tokenOf('orders/list'), await tokenOf('orders/get', session('s.2'))];
    expect(new Set(tokens).size).toBe(3);
    expect(tokens.map((token) => [claimsOf(token)['tool'], claimsOf(token)['session_id']])).toEqual([
      ['orders/get', 's.1'],
      ['orders/list', 's.1'],
      ['orders/get', 's.2'],
    ]);
  });

  it('is gone with its session', async () => {
    const first = await tokenOf();
    held.forgetSession('s.1' as SessionId);
    expect(await tokenOf()).not.toBe(first);
  });

  it('is gone with the identity that signed it', async () => {
    const first = await tokenOf();
    held.use(two);
    const next = await tokenOf();
    const kidOf = (token: string): unknown =>
      (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: unknown }).kid;
    expect([kidOf(first), kidOf(next)]).toEqual([one.assertionSigner.keyId, two.assertionSigner.keyId]);
  });

  it('that was being signed when the identity changed is not kept for later', async () => {
    const late = held.of(permitted(), session());
    held.use(two);
    const first = await late;
    expect(await tokenOf()).not.toBe(first);
  });

  it('beyond the bound those of the oldest session are made anew', async () => {
    const first = await tokenOf('orders/get', session('s.1'));
    for (const id of ['s.2', 's.3']) await tokenOf('orders/get', session(id));
    expect(await tokenOf('orders/get', session('s.1'))).toBe(first);
    await tokenOf('orders/get', session('s.4'));
    expect(await tokenOf('orders/get', session('s.1'))).not.toBe(first);
  });

  it('brings its certificate without the CA, and says what the session is for', async () => {
    const token = await tokenOf('orders/get', session('s.1', { rootKind: 'schedule', purpose: 'month-end' }));
    const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
    expect(Object.keys(header)).toEqual(['alg', 'kid', 'typ', 'x5c']);
    expect(header['x5c']).toEqual([Buffer.from(one.assertionChain[0] ?? []).toString('base64')]);
    expect(claimsOf(token)).toMatchObject({ root_kind: 'schedule', purpose: 'month-end' });
  });
});

describe('for a tool that has its arguments asserted', () => {
  const asserting = (decision: string, args: object): Permitted =>
    ({
      decisionId: decision as DecisionId,
      agent: 'support' as AgentName,
      server: { name: 'orders' as ServerName, audience: 'https://orders.example' },
      tool: { name: 'orders/refund' as ToolName, assertsArguments: true },
      arguments: args as TypedArguments,
    }) as Permitted;

  it('each call has its own, for its arguments alone, also where they are the same', async () => {
    const made = [await held.of(asserting('d.1', { n: 1 }), session()), await held.of(asserting('d.2', { n: 1 }), session())];
    const claims = made.map((token) => claimsOf(token as string));
    expect(claims.map(({ txn }) => txn)).toEqual(['d.1', 'd.2']);
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(2);
    expect(claims[0]?.['args_sha256']).toBe(argumentDigest({ n: 1 } as unknown as TypedArguments));
    expect(claims[0]?.['aud']).toBe('https://orders.example');
  });

  it('a kept one of before, when it did not, is not used for it', async () => {
    await tokenOf('orders/refund');
    const made = await held.of(asserting('d.1', {}), session());
    expect(claimsOf(made as string)['args_sha256']).toMatch(/^sha256:/);
  });
});

it('a server whose audience the policy has changed gets one for the new audience', async () => {
  const first = await tokenOf();
  const moved = { ...permitted(), server: { name: 'orders' as ServerName, audience: 'https://orders.example' } } as Permitted;
  const made = await held.of(moved, session());
  expect([claimsOf(first)['aud'], claimsOf(made as string)['aud']]).toEqual([
    `sallyport:${authority.trustDomain}:server:orders`,
    'https://orders.example',
  ]);
});

describe('no call goes out without one', () => {
  const codeOf = (made: string | Denial): string => (typeof made === 'string' ? 'a token' : made.code);

  it('before there is an identity, or with one that was certified without assertions', async () => {
    const none = assertions({ clock, random: randomBytes, keptMax: 3 });
    expect(codeOf(await none.of(permitted(), session()))).toBe('identity_unavailable');
    held.use({ ...one, assertionChain: [] });
    expect(codeOf(await held.of(permitted(), session()))).toBe('identity_unavailable');
  });

  it('where it would be longer than tools take', async () => {
    const scopes = Array.from({ length: 200 }, (_, n) => `${'x'.repeat(60)}${n}`);
    expect(codeOf(await held.of(permitted(), session('s.1', { scopes })))).toBe('obligation_unsupported');
  });
});

describe('a key that another one has replaced', () => {
  const kidsOf = (): readonly string[] => (held.keySet() as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);

  it('signs what goes with an assertion of its own, and never what goes with one of the other', async () => {
    const before = await tokenOf();
    held.use(two);
    const after = await tokenOf();
    expect([held.signerOf(before)?.keyId, held.signerOf(after)?.keyId]).toEqual([one.assertionSigner.keyId, two.assertionSigner.keyId]);
    expect(held.signerOf('x.y.z')).toBeUndefined();
    held.use(await identity());
    expect(held.signerOf(before)).toBeUndefined();
  });

  it('is in the key set for as long as what it signed can live, and once where it has not changed', async () => {
    held.use(two);
    expect(kidsOf()).toEqual([two.assertionSigner.keyId, one.assertionSigner.keyId]);
    await clock.advance(59_999);
    expect(kidsOf()).toHaveLength(2);
    await clock.advance(1);
    expect(kidsOf()).toEqual([two.assertionSigner.keyId]);
    held.use(two);
    expect(kidsOf()).toEqual([two.assertionSigner.keyId]);
  });
});
