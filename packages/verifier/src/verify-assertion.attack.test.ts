import { certificatePem } from '@sallyport/crypto/keys';
import { signJws, testAuthority, type TestAuthority } from '@sallyport/testkit';
import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AssertionFailure } from './failure.ts';
import { digestOfJsonArguments } from './json-arguments.ts';
import { replayMemory } from './replay-memory.ts';
import { verifyAssertion, type Verification, type VerifyOptions } from './verify-assertion.ts';

const NOW = Date.parse('2026-11-20T12:00:00.000Z');
const IAT = NOW / 1_000;
const AUDIENCE = 'sallyport:prod.example:server:orders';
const SIDECAR = '/sidecar/support/1';

type Json = Record<string, unknown>;
interface Signing {
  readonly privatePem: string;
  readonly header: Json;
}

let authority: TestAuthority;
let stranger: TestAuthority;
let signing: Signing;
beforeAll(async () => {
  authority = await testAuthority('prod.example');
  stranger = await testAuthority('prod.example');
  signing = await signerOf(authority, SIDECAR);
});

async function signerOf(
  of: TestAuthority,
  path: string,
  options: Parameters<TestAuthority['issue']>[1] = { usage: 'assertion' },
): Promise<Signing> {
  const { chain, privatePem } = await of.issue(path, options);
  const [leaf = new Uint8Array()] = chain;
  return {
    privatePem,
    header: { alg: 'ES256', kid: kidOf(privatePem), typ: 'sallyport-assertion+jwt', x5c: [Buffer.from(leaf).toString('base64')] },
  };
}

function kidOf(privatePem: string): string {
  const { x = '', y = '' } = createPublicKey(createPrivateKey(privatePem)).export({ format: 'jwk' });
  const raw = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return createHash('sha256').update(raw).digest('hex').slice(0, 32);
}

const claims = (over: Json = {}): Json => ({
  iss: `spiffe://prod.example${SIDECAR}`,
  sub: 'alice@company.com',
  act: { sub: 'support' },
  aud: AUDIENCE,
  tool: 'orders/get',
  session_id: '00112233aabbccdd.AAAAAAAAAAAAAAAAAAAAAA',
  tenant_id: 'company',
  scopes: ['orders.read'],
  txn: '00112233aabbccdd.AAAAAAAAAAAAAAAAAAAAAA',
  root_kind: 'human',
  jti: 'first',
  iat: IAT,
  exp: IAT + 60,
  ...over,
});

const sign = (over: Json = {}, header: Json = {}, by: Signing = signing): string =>
  signJws({ ...by.header, ...header }, JSON.stringify(claims(over)), createPrivateKey(by.privatePem));

const options = (over: Partial<VerifyOptions> = {}): VerifyOptions => ({
  trustDomain: 'prod.example',
  authorities: certificatePem(authority.ca.certificate),
  audience: AUDIENCE,
  tool: 'orders/get',
  now: NOW + 1_000,
  ...over,
});
const judge = (token: string | undefined, over: Partial<VerifyOptions> = {}): Verification => verifyAssertion(token, options(over));
const codeOf = (token: string | undefined, over: Partial<VerifyOptions> = {}): string => {
  const verified = judge(token, over);
  return verified.ok ? 'believed' : verified.code;
};

test('a good one is believed, and says who acts for whom', () => {
  expect(judge(sign())).toMatchObject({
    ok: true,
    assertion: { operator: 'alice@company.com', agent: 'support', tool: 'orders/get', keyId: kidOf(signing.privatePem) },
  });
});

describe('the signature', () => {
  const unsigned = (token: string): string => token.slice(0, token.lastIndexOf('.'));
  const hmac = (key: string | Uint8Array): string => {
    const input = unsigned(sign({}, { alg: 'HS256' }));
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
  };
  test.each<[attack: string, token: () => string, code: AssertionFailure]>([
    ['alg none', () => `${unsigned(sign({}, { alg: 'none' }))}.`, 'algorithm_refused'],
    ['no signature', () => `${unsigned(sign())}.`, 'signature_invalid'],
    [
      'HS256 keyed with the public key',
      () => hmac(createPublicKey(signing.privatePem).export({ format: 'pem', type: 'spki' })),
      'algorithm_refused',
    ],
    ['alg in another case', () => sign({}, { alg: 'es256' }), 'algorithm_refused'],
    [
      'another key than the certificate’s',
      () =>
        sign(
          {},
          {},
          {
            ...signing,
            privatePem: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
          },
        ),
      'signature_invalid',
    ],
    ['a signature of zeros', () => `${unsigned(sign())}.${Buffer.alloc(64).toString('base64url')}`, 'signature_invalid'],
  ])('%s', (_, token, code) => expect(codeOf(token())).toBe(code));

  test('tampered: no claim can be changed after signing', () => {
    const [header = '', , signature = ''] = sign().split('.');
    for (const over of [
      { sub: 'mallory@company.com' },
      { tool: 'orders/delete' },
      { aud: 'elsewhere' },
      { exp: IAT + 59 },
      { scopes: ['admin'] },
    ]) {
      const payload = Buffer.from(JSON.stringify(claims(over))).toString('base64url');
      expect(codeOf(`${header}.${payload}.${signature}`)).toBe('signature_invalid');
    }
  });
});

describe('keys that the sender brings', () => {
  const mine = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  test.each<[member: string, value: unknown]>([
    ['jwk', mine.publicKey.export({ format: 'jwk' })],
    ['jku', 'https://attacker.example/keys'],
    ['x5u', 'https://attacker.example/cert'],
    ['x5t#S256', 'AAAA'],
    ['crit', ['exp']],
    ['b64', false],
    ['cty', 'JWT'],
    ['zip', 'DEF'],
  ])('%s in the header is refused, also under a good signature', (member, value) => {
    expect(codeOf(sign({}, { [member]: value }))).toBe('header_refused');
  });
  test.each<[what: string, x5c: unknown]>([
    ['missing', undefined],
    ['empty', []],
    ['a text', 'MIIB'],
    ['of four', ['AA==', 'AA==', 'AA==', 'AA==']],
    ['base64url', ['_-_-']],
    ['of numbers', [7]],
  ])('x5c that is %s', (_, x5c) => expect(codeOf(sign({}, { x5c }))).toBe('header_refused'));
  test('x5c of bytes that are no certificate', () => expect(codeOf(sign({}, { x5c: ['AAAA'] }))).toBe('certificate_untrusted'));
  test('a kid that is not the certificate’s key', () => {
    expect(codeOf(sign({}, { kid: '0'.repeat(32) }))).toBe('key_mismatch');
    expect(codeOf(sign({}, { kid: undefined }))).toBe('key_mismatch');
  });
});

describe('who signed', () => {
  test('a certificate of another authority, also where it is of the same name and comes with its CA', async () => {
    const by = await signerOf(stranger, SIDECAR);
    expect(codeOf(sign({}, {}, by))).toBe('certificate_untrusted');
    const x5c = [...(by.header['x5c'] as string[]), Buffer.from(stranger.ca.certificate).toString('base64')];
    expect(codeOf(sign({}, { x5c }, by))).toBe('certificate_untrusted');
  });
  test.each(['tls-client', 'tls-server', 'tls-both'] as const)('a key that is certified for %s', async (usage) => {
    expect(codeOf(sign({}, {}, await signerOf(authority, SIDECAR, { usage })))).toBe('certificate_usage');
  });
  test('a key that is certified for audit', async () => {
    expect(codeOf(sign({}, {}, await signerOf(authority, SIDECAR, { usage: 'audit' })))).toBe('certificate_usage');
  });
  test('the control plane: by its TLS certificate, and by one for assertions', async () => {
    expect(codeOf(sign({}, {}, await signerOf(authority, '/control-plane', { usage: 'tls-server' })))).toBe('certificate_usage');
    const by = await signerOf(authority, '/control-plane');
    expect(codeOf(sign({}, {}, by))).toBe('issuer_mismatch');
    expect(codeOf(sign({ iss: 'spiffe://prod.example/control-plane' }, {}, by))).toBe('claims_invalid');
  });
  test('the sidecar of agent B, saying that agent A acts', async () => {
    const by = await signerOf(authority, '/sidecar/billing/1');
    expect(codeOf(sign({ iss: 'spiffe://prod.example/sidecar/billing/1' }, {}, by))).toBe('actor_mismatch');
    expect(codeOf(sign({}, {}, by))).toBe('issuer_mismatch');
  });
  test('a sidecar of another trust domain, under an authority that is pinned', async () => {
    const other = await testAuthority('other.example');
    const authorities = [authority, other].map(({ ca }) => certificatePem(ca.certificate));
    const by = await signerOf(other, SIDECAR);
    expect(codeOf(sign({ iss: `spiffe://other.example${SIDECAR}` }, {}, by), { authorities })).toBe('issuer_mismatch');
  });
  test('a certificate that had ended when it signed, or had not begun', async () => {
    const ended = await signerOf(authority, SIDECAR, { usage: 'assertion', notBefore: NOW - 7_200_000, notAfter: NOW - 1_000 });
    expect(codeOf(sign({}, {}, ended))).toBe('certificate_untrusted');
    const later = await signerOf(authority, SIDECAR, { usage: 'assertion', notBefore: NOW + 1_000, notAfter: NOW + 7_200_000 });
    expect(codeOf(sign({}, {}, later))).toBe('certificate_untrusted');
  });
  test('renewal: what was signed while the old certificate lived is good until it expires', async () => {
    const ending = await signerOf(authority, SIDECAR, { usage: 'assertion', notBefore: NOW - 7_200_000, notAfter: NOW });
    expect(codeOf(sign({}, {}, ending), { now: NOW + 59_000 })).toBe('believed');
  });
});

/** `support` acts; the first of the names handed on last. */
function behind(...names: readonly string[]): Json {
  const act = names.reduceRight<Json | undefined>(
    (inner, sub) => ({ sub, authority: 'retained', ...(inner === undefined ? {} : { act: inner }) }),
    undefined,
  );
  return { sub: 'support', ...(act === undefined ? {} : { act }) };
}

describe('who handed the call on', () => {
  test('is told first to last, to a tool that serves so many', () => {
    const act = {
      sub: 'support',
      act: { sub: 'billing', authority: 'retained', act: { sub: 'partner.example/desk', authority: 'transferred' } },
    };
    expect(judge(sign({ act }), { hopsMax: 2 })).toMatchObject({
      ok: true,
      assertion: {
        agent: 'support',
        chain: [
          { agent: 'partner.example/desk', authority: 'transferred' },
          { agent: 'billing', authority: 'retained' },
        ],
      },
    });
    expect(judge(sign())).toMatchObject({ ok: true, assertion: { chain: [] } });
  });

  const eight = Array.from({ length: 8 }, (_, nth) => `agent-${nth}`);
  test.each<[what: string, act: Json, hopsMax: number, code: AssertionFailure | 'believed']>([
    ['one more than the tool serves', behind('billing', 'desk'), 1, 'delegation_refused'],
    ['any, where the bound is no number', behind('billing'), Number.NaN, 'delegation_refused'],
    ['as many as there may be', behind(...eight), 8, 'believed'],
    ['more than there may be', behind(...eight, 'agent-8'), 99, 'claims_invalid'],
    ['the acting agent itself', behind('support'), 8, 'claims_invalid'],
    ['an agent twice', behind('billing', 'desk', 'billing'), 8, 'claims_invalid'],
    ['authority that expands', { sub: 'support', act: { sub: 'billing', authority: 'expanded' } }, 8, 'claims_invalid'],
    ['an authority of the acting agent', { sub: 'support', authority: 'retained' }, 8, 'claims_invalid'],
    ['another member', { sub: 'support', act: { sub: 'billing', authority: 'retained', iss: 'x' } }, 8, 'claims_invalid'],
    ['an agent of no name', behind(''), 8, 'claims_invalid'],
    ['an agent of no domain', behind('/billing'), 8, 'claims_invalid'],
    ['a path', behind('partner.example/sidecar/billing'), 8, 'claims_invalid'],
    ['a list', { sub: 'support', act: [{ sub: 'billing', authority: 'retained' }] }, 8, 'claims_invalid'],
    ['null', { sub: 'support', act: null }, 8, 'claims_invalid'],
    ['a text', { sub: 'support', act: 'billing' }, 8, 'claims_invalid'],
  ])('%s', (_, act, hopsMax, code) => expect(codeOf(sign({ act }), { hopsMax })).toBe(code));

  test('is no way to sign for another agent: the signer is the sidecar of the outermost', () => {
    expect(codeOf(sign({ act: { sub: 'billing', act: { sub: 'support', authority: 'retained' } } }), { hopsMax: 8 })).toBe(
      'actor_mismatch',
    );
  });
});

describe('for whom, for what and until when', () => {
  test.each<[attack: string, over: Json, code: AssertionFailure]>([
    ['another audience', { aud: 'sallyport:prod.example:server:accounting' }, 'audience_mismatch'],
    ['an audience in another case', { aud: AUDIENCE.toUpperCase() }, 'audience_mismatch'],
    ['two audiences', { aud: [AUDIENCE, 'sallyport:prod.example:server:accounting'] }, 'claims_invalid'],
    ['a list of one audience', { aud: [AUDIENCE] }, 'claims_invalid'],
    ['another tool', { tool: 'orders/delete' }, 'tool_mismatch'],
    ['from the future', { iat: IAT + 7, exp: IAT + 60 }, 'not_yet_valid'],
    ['a life of 61 seconds', { exp: IAT + 61 }, 'lifetime_exceeded'],
    ['no expiry', { exp: undefined }, 'claims_invalid'],
    ['an expiry as text', { exp: String(IAT + 60) }, 'claims_invalid'],
    ['no operator', { sub: undefined }, 'claims_invalid'],
    ['an empty operator', { sub: '' }, 'claims_invalid'],
    ['no id', { jti: undefined }, 'claims_invalid'],
    ['an actor behind the actor, without its authority', { act: { sub: 'support', act: { sub: 'billing' } } }, 'claims_invalid'],
    ['an actor behind the actor', { act: behind('billing') }, 'delegation_refused'],
    ['an actor as text', { act: 'support' }, 'claims_invalid'],
    ['a sidecar’s path as actor', { act: { sub: 'support/1' } }, 'claims_invalid'],
    ['an issuer that is no sidecar', { iss: 'https://login.example' }, 'claims_invalid'],
    ['scopes as text', { scopes: 'orders.read' }, 'claims_invalid'],
    ['an unknown kind of root', { root_kind: 'operator' }, 'claims_invalid'],
    ['a digest of another form', { args_sha256: 'AAAA' }, 'claims_invalid'],
  ])('%s', (_, over, code) => expect(codeOf(sign(over))).toBe(code));

  test('expired: by one second, and in the very second', () => {
    expect(codeOf(sign(), { now: NOW + 59_999 })).toBe('believed');
    expect(codeOf(sign(), { now: NOW + 60_000 })).toBe('expired');
    expect(codeOf(sign(), { now: NOW + 61_000 })).toBe('expired');
  });
  test('a tool whose clock is a little behind believes; one far behind does not', () => {
    expect(codeOf(sign(), { now: NOW - 5_000 })).toBe('believed');
    expect(codeOf(sign(), { now: NOW - 5_001 })).toBe('not_yet_valid');
  });
  test('a claim that is not known is passed over', () => expect(codeOf(sign({ later: { anything: 1 } }))).toBe('believed'));
});

describe('form', () => {
  const raw = (header: string, payload: string): string => {
    const input = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
    return signJws({}, '', createPrivateKey(signing.privatePem)).replace(/^[^.]*\.[^.]*/, input);
  };
  const header = (): string => JSON.stringify(signing.header);
  test.each<[what: string, token: () => string | undefined, code: AssertionFailure]>([
    ['nothing', () => undefined, 'assertion_missing'],
    ['an empty text', () => '', 'assertion_missing'],
    ['oversized', () => sign({ scopes: ['x'.repeat(2_000), 'y'.repeat(2_000), 'z'.repeat(2_000)] }), 'too_large'],
    ['text', () => 'hello', 'malformed'],
    ['four parts', () => `${sign()}.x`, 'malformed'],
    ['padding', () => `${sign()}=`, 'malformed'],
    ['two tokens in one field', () => `${sign()}, ${sign()}`, 'malformed'],
    ['a claim twice', () => raw(header(), JSON.stringify(claims()).replace('{', '{"sub":"mallory@company.com",')), 'malformed'],
    ['a header member twice', () => raw(header().replace('{', '{"alg":"none",'), JSON.stringify(claims())), 'malformed'],
    ['claims that differ by case alone', () => raw(header(), JSON.stringify({ ...claims(), Sub: 'mallory@company.com' })), 'malformed'],
    ['nested deeper than a token is', () => sign({ later: [[[[[[[[[[[[1]]]]]]]]]]]] }), 'malformed'],
    ['a list', () => raw(header(), '[]'), 'malformed'],
    ['a session token', () => sign({}, { typ: 'sallyport-session+jwt' }), 'wrong_type'],
    ['an operator’s token', () => sign({}, { typ: 'at+jwt' }), 'wrong_type'],
    ['a token without a type', () => sign({}, { typ: undefined }), 'wrong_type'],
  ])('%s', (_, token, code) => expect(codeOf(token())).toBe(code));
});

describe('arguments', () => {
  const digest = digestOfJsonArguments('{"amount":12.50,"id":"O-1"}');
  test('the same arguments in another spelling and order are the same', () => {
    const token = sign({ args_sha256: digest });
    for (const same of [
      '{"id":"O-1","amount":12.5}',
      '{ "amount": 12.500, "id": "\\u004f-1" }',
      { amount: 12.5, id: 'O-1' },
      Buffer.from('{"amount":12.5,"id":"O-1"}'),
    ])
      expect(codeOf(token, { arguments: same })).toBe('believed');
  });
  test.each<[attack: string, args: string]>([
    ['another amount', '{"amount":1250,"id":"O-1"}'],
    ['one argument more', '{"amount":12.5,"id":"O-1","to":"mallory"}'],
    ['one less', '{"amount":12.5}'],
    ['a number as text', '{"amount":"12.5","id":"O-1"}'],
    ['a difference below a double', '{"amount":12.500000000000000001,"id":"O-1"}'],
    ['one named twice', '{"amount":12.5,"amount":12.5,"id":"O-1"}'],
    ['a list', '[]'],
    ['no JSON', 'amount=12.5'],
  ])('%s is refused', (_, args) => expect(codeOf(sign({ args_sha256: digest }), { arguments: args })).toBe('arguments_mismatch'));
  test('an assertion that names no arguments proves none', () => expect(codeOf(sign(), { arguments: '{}' })).toBe('arguments_mismatch'));
});

describe('replay', () => {
  test('shown twice to a tool that takes each once', () => {
    const replay = replayMemory();
    expect([codeOf(sign(), { replay }), codeOf(sign(), { replay }), codeOf(sign({ jti: 'second' }), { replay })]).toEqual([
      'believed',
      'replayed',
      'believed',
    ]);
  });
  test('a refused assertion uses nothing up', () => {
    const replay = replayMemory();
    expect(codeOf(sign(), { replay, tool: 'orders/delete' })).toBe('tool_mismatch');
    expect(codeOf(sign(), { replay })).toBe('believed');
  });
  test('a memory that is full of living ones believes no more, and goes on when they have expired', () => {
    const replay = replayMemory({ entriesMax: 2 });
    const shown = (jti: string, now: number): boolean => replay.isFirst(jti, now + 60_000, now);
    expect([shown('a', 0), shown('b', 1), shown('c', 2), shown('c', 60_001)]).toEqual([true, true, false, true]);
  });
});

describe('a memory of somebody’s own', () => {
  test.each<[what: string, answer: unknown]>([
    ['answers later, as one over a network would', Promise.resolve(false)],
    ['answers later that it is the first', Promise.resolve(true)],
    ['says nothing', undefined],
    ['says something else', 'yes'],
  ])('that %s has not said yes', (_, answer) => {
    expect(codeOf(sign(), { replay: { isFirst: () => answer as boolean } })).toBe('replayed');
  });
});

describe('options that would believe nobody or everybody', () => {
  test('a tool that was forgotten is not any tool', () => {
    const { tool: _, ...rest } = options();
    expect(() => verifyAssertion(sign(), rest as VerifyOptions)).toThrow('`tool` is missing');
  });
  test.each<[what: string, over: Partial<VerifyOptions>]>([
    ['no authority', { authorities: '' }],
    ['an authority that is no PEM', { authorities: 'AAAA' }],
    ['an empty audience', { audience: '' }],
    ['an empty trust domain', { trustDomain: '' }],
    ['no instant', { now: Number.NaN }],
  ])('%s throw', (_, over) => expect(() => judge(sign(), over)).toThrow(TypeError));
});
