/**
 * Senders of webhooks, services with keys of ours, signers and pods: each proves itself in its own way, one way at a time, and
 * what one of them has spent stays spent.
 */

import { newApiKey } from '@sallyport/credentials';
import { randomBytes } from '@sallyport/crypto/keys';
import type { Instant } from '@sallyport/model';
import { encodeApiKeyEntry } from '@sallyport/policy';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastCall, recordOf } from '../../support/audit.ts';
import { hookHeaders, podToken, signatureHeaders, type Headers } from '../../support/callers.ts';
import { codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const BODY = '{"request":"Where is order O-000123?"}';
const HOOK = 'hook-secret-Zp4t8Qx2Lm9v';

const now = Date.now();
const [alive, ended, unmapped] = [null, (now - 1_000) as Instant, null].map((expiresAt) =>
  newApiKey(randomBytes, { issuedAt: (now - 60_000) as Instant, expiresAt }),
);
const signer = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const cluster = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const forger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwkOf = (key: KeyObject): Record<string, string> => key.export({ format: 'jwk' }) as Record<string, string>;

const row = (subject: string, id: string): string =>
  `{ subject: "${subject}", id: ${id}, kind: service, tenant: acme, roles: [support-rep] }`;
const documents = (keys = [alive, ended, unmapped]): string => `kind: CallerMethod
name: shop
hmac:
  headers: { signature: x-shop-signature, timestamp: x-shop-time, key_id: x-shop-key }
  prefix: "v1="
  template: [{ take: timestamp }, { text: "." }, { take: body }]
  window: 2m
  keys: [{ id: shop-1, secret: { file: hooks/shop } }, { id: shop-2, secret: { file: hooks/none } }]
principals: [${row('shop-1', 'shop')}, ${row('shop-2', 'shop')}]
---
kind: CallerMethod
name: keys
api_key: { keys: ${JSON.stringify(keys.flatMap((key) => (key === undefined ? [] : [encodeApiKeyEntry(key.entry)])))} }
principals: [${row(alive?.entry.id ?? '', 'partner')}, ${row(ended?.entry.id ?? '', 'partner')}]
---
kind: CallerMethod
name: signers
http_signature: { tag: acme-agents, max_lifetime: 2m, keys: [{ id: desk-1, ed25519: ${jwkOf(signer.publicKey)['x'] ?? ''} }] }
principals: [${row('desk-1', 'desk')}]
---
kind: CallerMethod
name: cluster
kubernetes:
  issuer: https://cluster.example
  audience: sallyport
  max_lifetime: 15m
  keys: [${JSON.stringify({ kid: 'cluster-1', kty: 'EC', crv: 'P-256', x: jwkOf(cluster.publicKey)['x'], y: jwkOf(cluster.publicKey)['y'] })}]
principals: [${row('system:serviceaccount:shop:worker', 'worker')}]
`;

let side: InboundSide;
beforeAll(async () => {
  side = await startInbound({ documents: documents(), secrets: { 'hooks/shop': HOOK } });
});
afterAll(async () => side?.close());

const wall = (): number => side.world.clock.wall();
const ask = (headers: Headers, body = BODY, path = INVOKE): Promise<HttpAnswer> =>
  side.ask(path, { body, headers: { authorization: undefined, 'content-type': 'application/json', ...headers } });

/** The same id, and a secret that differs in its first letter. */
function withAnotherSecret(key: string): string {
  const at = key.lastIndexOf(key.slice(-43));
  return `${key.slice(0, at)}${key[at] === 'A' ? 'B' : 'A'}${key.slice(at + 1)}`;
}

let nth = 0;
/** Every message is another. */
const message = (): string => `{"request":"message ${++nth}"}`;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const signed = (body: string, more: Partial<Parameters<typeof signatureHeaders>[1]> = {}): Headers =>
  signatureHeaders(body, {
    key: signer.privateKey,
    authority: `127.0.0.1:${side.port}`,
    path: INVOKE,
    nonce: `n-${++nth}`,
    now: wall(),
    ...more,
  });
const pod = (more: Partial<Parameters<typeof podToken>[0]> = {}): Headers =>
  bearer(podToken({ key: cluster.privateKey, now: wall(), ...more }));

describe('a caller that proves itself', () => {
  it.each<[method: string, id: string, by: string, prove: (body: string) => Headers]>([
    ['a webhook’s signature', 'shop', 'hmac', (body) => hookHeaders(HOOK, body, wall())],
    ['a key of ours', 'partner', 'api_key', () => bearer(alive?.text ?? '')],
    ['a signature over the request', 'desk', 'http_signature', (body) => signed(body)],
    ['a token of its pod', 'worker', 'kubernetes', () => pod()],
  ])('by %s is who the policy says, and the record says how', async (_how, id, by, prove) => {
    const body = message();
    const shown = prove(body);
    const answer = await ask(shown, body);
    expect(answer.status).toBe(200);
    const session = answer.headers['sallyport-session-id'];
    expect(await lastCall(side.world, (call) => call.session_id === session)).toMatchObject({
      decision: 'allow',
      operator: id,
      tenant_id: 'acme',
      principal_kind: 'service',
      authn_method: by,
    });
    const headers = side.agent.requests.at(-1)?.headers ?? {};
    expect(Object.keys(headers).filter((name) => /^(?:authorization|x-shop)/.test(name))).toEqual([]);
    // What the agent gets is signed by its sidecar; of what the caller has shown it sees nothing.
    for (const name of ['signature', 'signature-input']) expect(shown[name] ?? 'nothing shown').not.toBe(headers[name]);
    const input = headers['signature-input'];
    expect(input).toMatch(/^sallyport=.*tag="sallyport-request"$/);
  });

  it.each<[attack: string, code: string, prove: (body: string) => Headers]>([
    ['another webhook secret', 'signature_invalid', (body) => hookHeaders('another-secret-of-24-chars', body, wall())],
    ['a signature over another body', 'signature_invalid', () => hookHeaders(HOOK, '{}', wall())],
    ['a webhook of yesterday', 'token_expired', (body) => hookHeaders(HOOK, body, wall() - 121_000)],
    ['a webhook of tomorrow', 'unauthenticated', (body) => hookHeaders(HOOK, body, wall() + 121_000)],
    ['an unknown webhook key', 'unauthenticated', (body) => hookHeaders(HOOK, body, wall(), 'shop-9')],
    ['a webhook key whose secret is not there', 'identity_unavailable', (body) => hookHeaders(HOOK, body, wall(), 'shop-2')],
    ['a key with one letter changed', 'unauthenticated', () => bearer(withAnotherSecret(alive?.text ?? ''))],
    ['a key of an id that nobody has', 'unauthenticated', () => bearer(`sp_00000000_${'A'.repeat(43)}`)],
    ['a key that has ended', 'token_expired', () => bearer(ended?.text ?? '')],
    ['a key that nobody is mapped to', 'no_matching_policy', () => bearer(unmapped?.text ?? '')],
    ['a signature by another key', 'signature_invalid', (body) => signed(body, { key: stranger.privateKey })],
    ['a signature for another path', 'signature_invalid', (body) => signed(body, { path: '/agents/support-triage/other' })],
    ['a signature for another gateway', 'signature_invalid', (body) => signed(body, { authority: 'gate.example' })],
    ['a signature over another body’s digest', 'signature_invalid', () => signed('{"request":"another"}')],
    ['a signature that has ended', 'token_expired', (body) => signed(body, { now: wall() - 300_000 })],
    ['a signature that lives too long', 'token_lifetime_exceeded', (body) => signed(body, { lifetimeMs: 180_000 })],
    ['a pod token of another key', 'signature_invalid', () => pod({ key: forger.privateKey })],
    ['a pod token for somebody else', 'unauthenticated', () => pod({ audience: 'vault' })],
    ['a pod token that has ended', 'token_expired', () => pod({ now: wall() - 700_000 })],
    ['a pod token that lives too long', 'token_lifetime_exceeded', () => pod({ lifetimeMs: 3_600_000 })],
    ['a pod token of an account that nobody is mapped to', 'no_matching_policy', () => pod({ account: 'other' })],
    ['a pod token of another cluster', 'unauthenticated', () => pod({ issuer: 'https://evil.example' })],
    [
      'a key and a webhook’s signature',
      'unauthenticated',
      (body) => ({ ...hookHeaders(HOOK, body, wall()), ...bearer(alive?.text ?? '') }),
    ],
    ['a webhook’s and a request’s signature', 'unauthenticated', (body) => ({ ...hookHeaders(HOOK, body, wall()), ...signed(body) })],
    ['a token of an issuer and a signature', 'unauthenticated', (body) => ({ ...signed(body), ...bearer(side.token()) })],
    ['a key and a proof of possession', 'unauthenticated', () => ({ ...bearer(alive?.text ?? ''), dpop: 'x' })],
    ['nothing', 'unauthenticated', () => ({})],
  ])('with %s is refused: %s', async (_attack, code, prove) => {
    const before = side.agent.requests.length;
    const body = message();
    expect(codeOf(await ask(prove(body), body))).toBe(code);
    expect(side.agent.requests.length).toBe(before);
  });

  it.each<[what: string, prove: (body: string) => Headers]>([
    ['a webhook', (body) => hookHeaders(HOOK, body, wall())],
    ['a signed request', (body) => signed(body)],
  ])('replay: %s is taken once', async (_what, prove) => {
    const body = message();
    const headers = prove(body);
    expect(codeOf(await ask(headers, body))).toBe('200');
    expect(codeOf(await ask(headers, body))).toBe('replay_detected');
  });

  it.each<[what: string, prove: (body: string) => Headers]>([
    ['a webhook’s signature', (body) => hookHeaders(HOOK, body, wall())],
    ['a signed request', (body) => signed(body)],
  ])('%s beside a delegation is two credentials, and the list is not looked at', async (_what, prove) => {
    const body = message();
    const answer = await ask({ ...prove(body), 'sallyport-delegation': 'a.b.c' }, body);
    expect(codeOf(answer)).toBe('unauthenticated');
    expect(await recordOf(side.world, answer)).toMatchObject({ detail: 'a delegation beside another credential' });
  });

  it('signs the bytes that it sends: an encoded body is proven as it came, and the agent gets what it says', async () => {
    const said = message();
    const sent = gzipSync(said);
    const headers = { ...hookHeaders(HOOK, sent, wall()), 'content-encoding': 'gzip' };
    const answer = await side.ask(INVOKE, { body: sent, headers: { authorization: undefined, ...headers } });
    expect(answer.status).toBe(200);
    expect(side.agent.requests.at(-1)?.body).toBe(said);
    const decoded = { ...hookHeaders(HOOK, said, wall()), 'content-encoding': 'gzip' };
    const refused = await side.ask(INVOKE, { body: sent, headers: { authorization: undefined, ...decoded } });
    expect(codeOf(refused)).toBe('signature_invalid');
  });

  it('with a token of an issuer goes on as before', async () => {
    expect((await ask(bearer(side.token()))).status).toBe(200);
  });
});

describe('a session of such a caller', () => {
  it('is its own, goes on by the client’s token, and ends at its wish', async () => {
    const opened = await ask(bearer(alive?.text ?? ''));
    const client = { 'sallyport-session': String(opened.json()['session_token']) };
    const again = await ask({ ...bearer(alive?.text ?? ''), ...client });
    expect(again.headers['sallyport-session-id']).toBe(opened.headers['sallyport-session-id']);
    expect(codeOf(await ask({ ...pod(), ...client }))).toBe('session_binding_mismatch');
    expect(codeOf(await ask(client))).toBe('unauthenticated');
    const close = (headers: Headers): Promise<HttpAnswer> =>
      side.ask('/session', { method: 'DELETE', headers: { authorization: undefined, ...headers } });
    expect(codeOf(await close({ ...pod(), ...client }))).toBe('session_binding_mismatch');
    expect((await close({ ...bearer(alive?.text ?? ''), ...client })).status).toBe(204);
    expect(codeOf(await ask({ ...bearer(alive?.text ?? ''), ...client }))).toBe('session_expired');
  });
});

describe('what is taken back', () => {
  it('one key is revoked by its name, and all that was issued to a caller by a moment', async () => {
    const opened = await ask(bearer(alive?.text ?? ''));
    const agents = side.agent.requests.at(-1)?.headers['sallyport-session'] as string;
    await side.world.admin.revoke('token', `keys:${alive?.entry.id ?? ''}`);
    await eventually(async () => codeOf(await ask(bearer(alive?.text ?? ''))) === 'token_revoked', 'the revocation of a key');
    expect(opened.status).toBe(200);
    const out = await side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, agents);
    expect(out.json()['code']).toBe('token_revoked');
    await side.world.admin.revoke('principal', 'worker', (wall() + 1_000) as Instant);
    await eventually(async () => codeOf(await ask(pod())) === 'token_revoked', 'the revocation of a principal');
  });

  it('a secret that is exchanged counts from its next look, and one that is gone proves nobody', async () => {
    const file = join(side.world.dir, 'secrets', 'hooks/shop');
    const by = async (secret: string): Promise<string> => {
      const body = message();
      return codeOf(await ask(hookHeaders(secret, body, wall()), body));
    };
    writeFileSync(file, 'next-secret-Hk7w3Rn5Bc1y', { mode: 0o600 });
    await eventually(async () => (await by('next-secret-Hk7w3Rn5Bc1y')) === '200', 'the next secret', 20_000);
    expect(await by(HOOK)).toBe('signature_invalid');
    unlinkSync(file);
    expect(['200', 'identity_unavailable']).toContain(await by('next-secret-Hk7w3Rn5Bc1y'));
  });

  it('replay: a new bundle forgets nothing that was spent, and a key that it leaves out proves nobody', async () => {
    const body = message();
    const headers = signed(body);
    expect(codeOf(await ask(headers, body))).toBe('200');
    await side.world.admin.publish(inboundPolicy(side, 'callers: [{ roles: [support-rep] }]', undefined, documents([ended])));
    await eventually(async () => codeOf(await ask(bearer(unmapped?.text ?? ''))) === 'unauthenticated', 'the next bundle');
    expect(codeOf(await ask(headers, body))).toBe('replay_detected');
  });
});
