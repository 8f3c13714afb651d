/** HTTP signatures under policy: what must be signed, once, by a key of the bundle, over the bytes that came. */

import { createHash, createHmac } from 'node:crypto';
import { encodeBase64, encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { HttpSignatureMethod, Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { CallerRequest } from './caller-method.ts';
import { callerMethod } from './caller-methods.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const [edwards, p256] = [generateKey('ed25519'), generateKey('es256')];
const SECRET = 'a shared secret, long enough to be one';
const config: HttpSignatureMethod = {
  kind: 'http_signature',
  name: 'signed',
  tag: 'sallyport',
  lifetimeMsMax: 60_000,
  clockSkewMsMax: 5000,
  fields: ['x-case'],
  keys: [
    { id: 'ed', alg: 'ed25519', publicKey: encodeBase64Url(edwards.publicRaw) },
    { id: 'ec', alg: 'ecdsa-p256-sha256', publicKey: encodeBase64Url(p256.publicRaw) },
    { id: 'mac', alg: 'hmac-sha256', secret: 'partner' },
  ],
  principals: ['ed', 'ec', 'mac'].map(aliceIs),
};
const method = (overrides: Partial<HttpSignatureMethod> = {}) => methodOf({ ...config, ...overrides }, { secretOf: () => utf8(SECRET) });

const SIGNERS: Readonly<Record<string, (base: string) => Uint8Array>> = {
  ed: (base) => signerFromPem(edwards.privatePem).sign(utf8(base)),
  ec: (base) => signerFromPem(p256.privatePem).sign(utf8(base)),
  mac: (base) => createHmac('sha256', SECRET).update(base).digest(),
};
const BODY = '{"order":7}';
const COMPONENTS = ['@method', '@authority', '@path', '@query', 'content-digest', 'x-case'];
const digestOf = (text: string): string => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`;

interface Bend {
  readonly key?: string;
  readonly components?: readonly string[];
  /** After the inner list; by default all parameters, good at `NOW`. */
  readonly parameters?: string;
  /** Replaces one of them. */
  readonly replace?: readonly [from: string, to: string];
  readonly signed?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly more?: Partial<CallerRequest>;
}

const PARAMETERS = `;created=${NOW / 1000};expires=${NOW / 1000 + 60};nonce="n1";keyid="ed";tag="sallyport"`;

/** A request signed by hand, independent of the code under test, and then bent. */
function signedRequest({
  key = 'ed',
  components = COMPONENTS,
  parameters = PARAMETERS,
  replace,
  signed = {},
  headers = {},
  body = BODY,
  more = {},
}: Bend = {}): CallerRequest {
  const values: Readonly<Record<string, string>> = {
    '@method': 'POST',
    '@authority': 'gate.example',
    '@path': '/agents/support/invoke',
    '@query': '?a=1',
    'content-digest': digestOf(BODY),
    'x-case': 'T-7',
    ...signed,
  };
  const ending = parameters.replace('keyid="ed"', `keyid="${key}"`).replace(...(replace ?? ['', '']));
  const input = `(${components.map((name) => (name.includes('"') ? name : `"${name}"`)).join(' ')})${ending}`;
  const base = `${components.map((name) => `"${name}": ${values[name]}\n`).join('')}"@signature-params": ${input}`;
  const signature = (SIGNERS[key] ?? SIGNERS['ed'])?.(base) ?? new Uint8Array();
  const fields = {
    'Content-Digest': values['content-digest'] as string,
    'X-Case': 'T-7',
    'Signature-Input': `sig=${input}`,
    Signature: `sig=:${encodeBase64(signature)}:`,
  };
  return callerRequest({ ...fields, ...headers }, { target: '/agents/support/invoke?a=1', text: body, ...more });
}

const without = (name: string): readonly string[] => COMPONENTS.filter((component) => component !== name);
const good = signedRequest();
const field = (name: string): string => good.rawHeaders[good.rawHeaders.indexOf(name) + 1] as string;

describe('an HTTP signature', () => {
  it.each(['ed', 'ec', 'mac'])('by the key %s proves whom it stands for', async (key) => {
    const result = await method().verify(signedRequest({ key }), at());
    expect(result).toMatchObject({ ok: true, value: { subject: key, credentialId: `signed:${key}`, authenticatedAt: NOW } });
  });

  it('may have its request come without a query, and without a body', async () => {
    const request = signedRequest({
      signed: { '@query': '?', 'content-digest': digestOf('') },
      body: '',
      more: { target: '/agents/support/invoke' },
    });
    expect(await verdict(method(), request)).toBe('alice@company.com');
  });

  it.each<[string, CallerRequest, string]>([
    ['another method', signedRequest({ more: { method: 'PUT' } }), 'signature_invalid'],
    ['another path', signedRequest({ more: { target: '/agents/other/invoke?a=1' } }), 'signature_invalid'],
    ['another spelling of the path', signedRequest({ more: { target: '/agents/%73upport/invoke?a=1' } }), 'signature_invalid'],
    ['another query', signedRequest({ more: { target: '/agents/support/invoke?a=2' } }), 'signature_invalid'],
    ['the query taken off', signedRequest({ more: { target: '/agents/support/invoke' } }), 'signature_invalid'],
    ['another authority', signedRequest({ more: { authority: 'other.example' } }), 'signature_invalid'],
    ['another port', signedRequest({ more: { authority: 'gate.example:8443' } }), 'signature_invalid'],
    ['another body', signedRequest({ body: '{"order":8}' }), 'signature_invalid'],
    [
      'another body and its digest',
      signedRequest({ body: '{"order":8}', headers: { 'Content-Digest': digestOf('{"order":8}') } }),
      'signature_invalid',
    ],
    ['another value of a signed field', signedRequest({ headers: { 'X-Case': 'T-8' } }), 'signature_invalid'],
    ['a second value of a signed field', signedRequest({ headers: { 'x-case': 'T-8' } }), 'signature_invalid'],
    ['a digest of an algorithm that nobody trusts', signedRequest({ signed: { 'content-digest': 'md5=:AAAA:' } }), 'signature_invalid'],
    [
      'a true digest beside a false one',
      signedRequest({ signed: { 'content-digest': `${digestOf(BODY)}, sha-512=:AAAA:` } }),
      'signature_invalid',
    ],
    ['one digest twice', signedRequest({ signed: { 'content-digest': `${digestOf(BODY)}, ${digestOf('x')}` } }), 'signature_invalid'],
    ['two digest fields', signedRequest({ headers: { 'content-digest': digestOf(BODY) } }), 'unauthenticated'],
    ['the signature of another key', signedRequest({ key: 'ed', replace: ['keyid="ed"', 'keyid="ec"'] }), 'signature_invalid'],
    ['an unknown key', signedRequest({ replace: ['keyid="ed"', 'keyid="eve"'] }), 'unauthenticated'],
    ['an algorithm that is not the key’s', signedRequest({ replace: [';tag=', ';alg="hmac-sha256";tag='] }), 'unauthenticated'],
    ['another tag', signedRequest({ replace: ['tag="sallyport"', 'tag="web-bot-auth"'] }), 'unauthenticated'],
    ['a tag that is a token', signedRequest({ replace: ['tag="sallyport"', 'tag=sallyport'] }), 'unauthenticated'],
    ['no tag', signedRequest({ replace: [';tag="sallyport"', ''] }), 'unauthenticated'],
    ['no nonce', signedRequest({ replace: [';nonce="n1"', ''] }), 'unauthenticated'],
    ['an empty nonce', signedRequest({ replace: ['"n1"', '""'] }), 'unauthenticated'],
    ['no time of creation', signedRequest({ replace: [`created=${NOW / 1000};`, ''] }), 'unauthenticated'],
    ['no expiry', signedRequest({ replace: [`expires=${NOW / 1000 + 60};`, ''] }), 'unauthenticated'],
    [
      'an expiry that is text',
      signedRequest({ replace: [`expires=${NOW / 1000 + 60}`, `expires="${NOW / 1000 + 60}"`] }),
      'unauthenticated',
    ],
    [
      'an expiry before its creation',
      signedRequest({ replace: [`expires=${NOW / 1000 + 60}`, `expires=${NOW / 1000 - 1}`] }),
      'unauthenticated',
    ],
    [
      'a life longer than accepted',
      signedRequest({ replace: [`expires=${NOW / 1000 + 60}`, `expires=${NOW / 1000 + 61}`] }),
      'token_lifetime_exceeded',
    ],
    ['a creation too far ahead', signedRequest({ replace: [`created=${NOW / 1000}`, `created=${NOW / 1000 + 6}`] }), 'unauthenticated'],
    ['an unknown parameter', signedRequest({ replace: [';tag=', ';context="x";tag='] }), 'unauthenticated'],
    ['a parameter twice', signedRequest({ replace: [';tag=', ';nonce="n2";tag='] }), 'unauthenticated'],
    ['a component twice', signedRequest({ components: [...COMPONENTS, 'x-case'] }), 'unauthenticated'],
    ['a component with a parameter', signedRequest({ components: [...COMPONENTS, '"x-case";bs'] }), 'unauthenticated'],
    [
      'a component read in another way than as a field',
      signedRequest({ components: [...COMPONENTS, '"x-note";bs'], headers: { 'X-Note': 'x' } }),
      'unauthenticated',
    ],
    ['a component of the response', signedRequest({ components: [...COMPONENTS, '@status'] }), 'unauthenticated'],
    ['a component that the request lacks', signedRequest({ components: [...COMPONENTS, 'x-none'] }), 'unauthenticated'],
    ['its own field as a component', signedRequest({ components: [...COMPONENTS, 'signature'] }), 'unauthenticated'],
    ...COMPONENTS.map((name): [string, CallerRequest, string] => [
      `\`${name}\` not signed`,
      signedRequest({ components: without(name) }),
      'unauthenticated',
    ]),
    ['the method of a client that signs it in lower case', signedRequest({ signed: { '@method': 'post' } }), 'signature_invalid'],
    ['the same label twice', signedRequest({ headers: { Signature: `${field('Signature')}, ${field('Signature')}` } }), 'unauthenticated'],
    [
      'two inputs under one label',
      signedRequest({ headers: { 'Signature-Input': `${field('Signature-Input')}, ${field('Signature-Input')}` } }),
      'unauthenticated',
    ],
    [
      'two signatures with our tag',
      signedRequest({
        headers: {
          'Signature-Input': `${field('Signature-Input')}, b${field('Signature-Input')}`,
          Signature: `${field('Signature')}, b${field('Signature')}`,
        },
      }),
      'unauthenticated',
    ],
    ['a signature without an input', signedRequest({ headers: { Signature: `${field('Signature')}, other=:AAAA:` } }), 'unauthenticated'],
    [
      'an input without a signature',
      signedRequest({ headers: { 'Signature-Input': `${field('Signature-Input')}, other=("@method")` } }),
      'unauthenticated',
    ],
    ['labels exchanged between the fields', signedRequest({ headers: { Signature: `x${field('Signature')}` } }), 'unauthenticated'],
    ['two signature fields', signedRequest({ headers: { signature: field('Signature') } }), 'unauthenticated'],
    ['a signature that is text', signedRequest({ headers: { Signature: 'sig="AAAA"' } }), 'unauthenticated'],
    ['a signature with a parameter', signedRequest({ headers: { Signature: `${field('Signature')};x=1` } }), 'unauthenticated'],
    ['a signature cut short', signedRequest({ headers: { Signature: 'sig=:AAAA:' } }), 'signature_invalid'],
    ['an input and no signature', callerRequest({ 'signature-input': field('Signature-Input') }), 'unauthenticated'],
    ['a target in absolute form', signedRequest({ more: { target: 'https://gate.example/agents/support/invoke?a=1' } }), 'unauthenticated'],
  ])('is refused with %s', async (_, request, code) => {
    expect(await verdict(method(), request)).toBe(code);
  });

  it('stands beside signatures of others', async () => {
    const headers = {
      'Signature-Input': `proxy=("@method");tag="other", ${field('Signature-Input')}`,
      Signature: `proxy=:AAAA:, ${field('Signature')}`,
    };
    expect(await verdict(method(), signedRequest({ headers }))).toBe('alice@company.com');
  });

  it('ends when it says so', async () => {
    expect(await verdict(method(), good, at(NOW + 59_999))).toBe('alice@company.com');
    expect(await verdict(method(), good, at(NOW + 60_000))).toBe('token_expired');
  });

  it('spends its nonce, also under another valid signature with the same nonce', async () => {
    const signed = method();
    expect(await verdict(signed, good)).toBe('alice@company.com');
    expect(await verdict(signed, good)).toBe('replay_detected');
    const again = signedRequest({ replace: [`created=${NOW / 1000}`, `created=${NOW / 1000 + 1}`] });
    expect(await verdict(signed, again, at(NOW + 1000))).toBe('replay_detected');
    expect(await verdict(signed, signedRequest({ replace: ['"n1"', '"n2"'] }))).toBe('alice@company.com');
  });

  it('of ECDSA is spent also when its bytes are altered, which needs no key', async () => {
    const signed = method();
    const request = signedRequest({ key: 'ec' });
    const headers = [...request.rawHeaders];
    const index = headers.indexOf('Signature') + 1;
    const raw = Buffer.from((headers[index] as string).slice(5, -1), 'base64');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = order - BigInt(`0x${raw.subarray(32).toString('hex')}`);
    const altered = Buffer.concat([raw.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    headers[index] = `sig=:${altered.toString('base64')}:`;
    expect(await verdict(signed, request)).toBe('alice@company.com');
    expect(await verdict(signed, { ...request, rawHeaders: headers })).toBe('replay_detected');
  });

  it('spends nothing on a request that is refused, or of which the head alone is judged', async () => {
    const signed = method();
    expect(await verdict(signed, { ...good, body: utf8('altered') })).toBe('signature_invalid');
    expect(signed.judgeHead({ ...good, body: undefined }, at())).toBeUndefined();
    expect(await verdict(signed, good)).toBe('alice@company.com');
  });

  it('that does not verify is refused before the body is read', () => {
    expect(method().judgeHead({ ...good, method: 'PUT', body: undefined }, at())?.code).toBe('signature_invalid');
  });

  it('by a key that nobody is mapped to opens nothing', async () => {
    expect(await verdict(method({ principals: [] }), good)).toBe('no_matching_policy');
  });
});

describe('a configuration of HTTP signatures', () => {
  it.each<[string, Partial<HttpSignatureMethod>]>([
    [
      'an Ed25519 point of small order, under which one signature fits all',
      { keys: [{ id: 'ed', alg: 'ed25519', publicKey: encodeBase64Url(new Uint8Array(32)) }] },
    ],
    ['a P-256 key called Ed25519', { keys: [{ id: 'ed', alg: 'ed25519', publicKey: encodeBase64Url(p256.publicRaw) }] }],
    ['one key id twice', { keys: [...config.keys, ...config.keys] }],
    ['a life of more than five minutes', { lifetimeMsMax: 300_001 }],
    ['no tag', { tag: '' }],
    ['a skew that is no number', { clockSkewMsMax: Number.NaN }],
    ['a field in capitals, which no signer could sign', { fields: ['X-Case'] }],
  ])('is refused with %s', (_, overrides) => {
    expect(
      callerMethod({ ...config, ...overrides }, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }) }).ok,
    ).toBe(false);
  });
});
