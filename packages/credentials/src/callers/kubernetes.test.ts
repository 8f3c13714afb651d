/** Tokens of a cluster: what the API server signs for us and a pod, and what it signs otherwise. */

import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { Instant, KubernetesMethod } from '@sallyport/model';
import { signJws } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { callerMethod } from './caller-methods.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const { x = '', y = '' } = ec.publicKey.export({ format: 'jwk' });
const { n = '', e = '' } = rsa.publicKey.export({ format: 'jwk' });
const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const POD = '0e1f2a3b-1111-2222-3333-444455556666';
const config: KubernetesMethod = {
  kind: 'kubernetes',
  name: 'cluster',
  issuer: ISSUER,
  audience: 'sallyport',
  tokenLifetimeMsMax: 3_600_000,
  keys: [
    { kid: 'ec', kty: 'EC', crv: 'P-256', x, y },
    { kid: 'rsa', kty: 'RSA', n, e },
  ],
  principals: [aliceIs('system:serviceaccount:support:triage')],
};
const method = methodOf(config);
const IAT = NOW / 1000;

const bound = {
  namespace: 'support',
  pod: { name: 'triage-7f3a', uid: POD },
  serviceaccount: { name: 'triage', uid: '9e1f2a3b-1111-2222-3333-444455556666' },
};

function claims(more: Readonly<Record<string, unknown>> = {}): string {
  const all = {
    aud: ['sallyport'],
    exp: IAT + 600,
    iat: IAT,
    nbf: IAT,
    iss: ISSUER,
    sub: 'system:serviceaccount:support:triage',
    'kubernetes.io': bound,
    ...more,
  };
  return JSON.stringify(all);
}

const mint = (more: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): string =>
  signJws({ alg: 'ES256', kid: 'ec', ...header }, claims(more), ec.privateKey);

function mintRsa(header: object = { alg: 'RS256', kid: 'rsa' }): string {
  const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${Buffer.from(claims()).toString('base64url')}`;
  return `${input}.${sign('sha256', Buffer.from(input), rsa.privateKey).toString('base64url')}`;
}

function mintHmac(key: string): string {
  const input = mintRsa({ alg: 'HS256', kid: 'rsa' }).split('.').slice(0, 2).join('.');
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

const bearer = (token: string) => callerRequest({ Authorization: `Bearer ${token}` }, { body: undefined });

describe('a service-account token', () => {
  it.each([
    ['ES256', mint()],
    ['RS256', mintRsa()],
    ['one audience that is no list', mint({ aud: 'sallyport' })],
  ])('with %s proves the service account that is mapped', async (_, token) => {
    expect(await method.verify(bearer(token), at())).toMatchObject({
      ok: true,
      value: {
        subject: 'system:serviceaccount:support:triage',
        credentialId: `cluster:${POD}`,
        authenticatedAt: NOW,
        expiresAt: NOW + 600_000,
      },
    });
  });

  it.each<[string, string, string]>([
    [
      'signed by another key',
      signJws({ alg: 'ES256', kid: 'ec' }, claims(), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      'signature_invalid',
    ],
    ['whose payload was changed', bendPayload(mint()), 'signature_invalid'],
    ['whose RSA key is used as an HMAC secret', mintHmac(n), 'unauthenticated'],
    ['that names the RSA key for ES256', mint({}, { kid: 'rsa' }), 'unauthenticated'],
    ['with PS256, which no cluster signs', mintRsa({ alg: 'PS256', kid: 'rsa' }), 'unauthenticated'],
    ['with alg none', mint({}, { alg: 'none' }), 'unauthenticated'],
    ['of an unknown key', mint({}, { kid: 'other' }), 'unauthenticated'],
    ['without a key id', mint({}, { kid: undefined }), 'unauthenticated'],
    ['that brings a key', mint({}, { jwk: { kty: 'EC', crv: 'P-256', x, y } }), 'unauthenticated'],
    ['that names where keys are', mint({}, { jku: 'https://127.0.0.1/keys' }), 'unauthenticated'],
    ['of the typ of a session', mint({}, { typ: 'sallyport-session+jwt' }), 'unauthenticated'],
    ['of another cluster', mint({ iss: 'https://other' }), 'unauthenticated'],
    ['for the API server', mint({ aud: [ISSUER] }), 'unauthenticated'],
    ['for us and somebody else, who could replay it', mint({ aud: ['sallyport', 'vault'] }), 'unauthenticated'],
    ['for nobody', mint({ aud: [] }), 'unauthenticated'],
    ['that is expired', mint({ iat: IAT - 700, nbf: IAT - 700, exp: IAT - 100 }), 'token_expired'],
    ['without an expiry', mint({ exp: undefined }), 'unauthenticated'],
    ['that is not yet valid', mint({ nbf: IAT + 120 }), 'unauthenticated'],
    ['that lives a year', mint({ exp: IAT + 31_536_000 }), 'token_lifetime_exceeded'],
    ['whose expiry the cluster extends', mint({ 'kubernetes.io': { ...bound, warnafter: IAT + 3607 } }), 'unauthenticated'],
    ['of the old kind, bound to nothing', mint({ 'kubernetes.io': undefined }), 'unauthenticated'],
    [
      'bound to a secret and no pod',
      mint({ 'kubernetes.io': { ...bound, pod: undefined, secret: { name: 's', uid: POD } } }),
      'unauthenticated',
    ],
    ['bound to a pod without uid', mint({ 'kubernetes.io': { ...bound, pod: { name: 'triage-7f3a' } } }), 'unauthenticated'],
    ['whose pod is a list', mint({ 'kubernetes.io': { ...bound, pod: [bound.pod] } }), 'unauthenticated'],
    ['whose subject is another account', mint({ sub: 'system:serviceaccount:support:admin' }), 'unauthenticated'],
    ['whose namespace is another', mint({ 'kubernetes.io': { ...bound, namespace: 'other' } }), 'unauthenticated'],
    [
      'whose name holds the separator',
      mint({
        sub: 'system:serviceaccount:a:b:c',
        'kubernetes.io': { ...bound, namespace: 'a', serviceaccount: { ...bound.serviceaccount, name: 'b:c' } },
      }),
      'unauthenticated',
    ],
    [
      'of an account that is not mapped',
      mint({
        sub: 'system:serviceaccount:support:other',
        'kubernetes.io': { ...bound, serviceaccount: { ...bound.serviceaccount, name: 'other' } },
      }),
      'no_matching_policy',
    ],
    [
      'with a claim twice',
      signJws({ alg: 'ES256', kid: 'ec' }, `${claims().slice(0, -1)},"sub":"system:serviceaccount:support:admin"}`, ec.privateKey),
      'unauthenticated',
    ],
    ['longer than any', mint({ filler: 'x'.repeat(9000) }), 'unauthenticated'],
    ['that is none', 'eyJ', 'unauthenticated'],
  ])('%s is refused', async (_, token, code) => {
    expect(await verdict(method, bearer(token))).toBe(code);
  });

  it('is told from tokens of other issuers', () => {
    expect(method.isPresented(bearer(mint()))).toBe(true);
    expect(method.isPresented(bearer(mint({ iss: 'https://idp.example' })))).toBe(false);
    expect(method.isPresented(bearer('sp_0123456789ab_x'))).toBe(false);
    expect(method.isPresented(callerRequest({}))).toBe(false);
  });

  it('twice in one request is none', async () => {
    expect(await verdict(method, callerRequest({ Authorization: `Bearer ${mint()}`, authorization: `Bearer ${mint()}` }))).toBe(
      'unauthenticated',
    );
  });

  it('stands in no detail of a refusal', async () => {
    const token = mint({ aud: ['vault'] });
    expect(JSON.stringify(await method.verify(bearer(token), at()))).not.toContain(token.slice(0, 24));
  });
});

describe('a configuration of a cluster', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  it.each<[string, Partial<KubernetesMethod>]>([
    ['an RSA key of 1024 bits', { keys: [{ kid: 'a', kty: 'RSA', n: small.n ?? '', e: small.e ?? '' }] }],
    ['one key id twice', { keys: [...config.keys, ...config.keys] }],
    ['no keys', { keys: [] }],
    ['the audience of the cluster itself', { audience: ISSUER }],
    ['no audience', { audience: '' }],
    ['tokens of more than a day', { tokenLifetimeMsMax: 86_400_001 }],
  ])('is refused with %s', (_, overrides) => {
    expect(
      callerMethod({ ...config, ...overrides }, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }) }).ok,
    ).toBe(false);
  });
});

function bendPayload(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const bent = Buffer.from(payload, 'base64url').toString().replace('triage-7f3a', 'triage-7f3b');
  return `${header}.${Buffer.from(bent).toString('base64url')}.${signature}`;
}
