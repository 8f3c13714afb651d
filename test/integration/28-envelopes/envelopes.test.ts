/** Calls of sensitive tools come sealed by the agent: who has its place and its session's token, and not its key, calls none. */

import { recordingMcpUpstream, recordingUpstream, type RecordingMcpUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { toolCall } from '../../support/mcp-clients.ts';
import { issuerDocument } from '../../support/policies.ts';
import { sealed, type Sealing } from '../../support/sealed-call.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const [own, next, stranger] = [pair(), pair(), pair()];

function pair(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}
function jwk(kid: string, key: KeyObject): string {
  const { x, y } = key.export({ format: 'jwk' }) as { x: string; y: string };
  return `{ kid: ${kid}, kty: EC, crv: P-256, x: ${x}, y: ${y} }`;
}

const policyOf = (bank: string, desk: string, keys: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [bank, desk]
${keys}
---
kind: ToolServer
name: bank
http: { url: "${bank}" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${desk}" }
network: loopback
---
kind: Tool
name: bank/transfer
effect: write
route: { method: POST, path: /transfers }
arguments: { required: [to, amount], properties: { to: { type: string }, amount: { type: integer } } }
envelope: { headers: [x-request-purpose] }
---
kind: Tool
name: bank/rates
effect: read
route: { method: GET, path: /rates }
---
kind: Tool
name: desk/close
effect: write
envelope: {}
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [bank/*, desk/*], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bank/rates, expect: allow }
`;

const KEYS = `signing_keys: [${jwk('triage-1', own.publicKey)}, ${jwk('triage-2', next.publicKey)}]`;
const BODY = '{"to":"DE1","amount":5}';
const TARGET = '/tools/bank/transfer';

let world: World;
let sidecar: RunningSidecar;
let session: string;
let bank: RecordingUpstream;
let desk: RecordingMcpUpstream;

beforeAll(async () => {
  world = await startWorld();
  [bank, desk] = [await recordingUpstream(), await recordingMcpUpstream()];
  await world.admin.publish(policyOf(bank.url, desk.mcpUrl, KEYS) + issuerDocument(world.idp));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
afterAll(async () => {
  await world?.close();
  await bank?.close();
  await desk?.close();
});

const plain = (): Record<string, string> => ({
  'content-type': 'application/json',
  'sallyport-session': session,
  'x-request-purpose': 'refund of T-1',
});
const by = (more: Partial<Sealing> = {}): Sealing => ({
  key: own.privateKey,
  keyId: 'triage-1',
  authority: `127.0.0.1:${sidecar.port}`,
  target: TARGET,
  now: world.clock.wall(),
  ...more,
});
const seal = (more: Partial<Sealing> = {}, body = BODY): Record<string, string> => sealed(body, plain(), by(more));
const send = (headers: Record<string, string>, body: string | Uint8Array = BODY): Promise<HttpAnswer> =>
  sidecar.request(TARGET, { headers, body });

const without = (headers: Record<string, string>, name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([own]) => own !== name));

describe('a sensitive tool', () => {
  it('is called in an envelope of the agent, by each of its keys', async () => {
    for (const more of [{}, { key: next.privateKey, keyId: 'triage-2' }]) {
      const answer = await send(seal(more));
      expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
    }
    expect(JSON.parse(bank.requests.at(-1)?.body ?? '')).toEqual({ to: 'DE1', amount: 5 });
    // What it was sealed with was for the gateway.
    expect(bank.requests.at(-1)?.headers['signature']).toBeUndefined();
  });

  it('also in a compressed one: what is sealed is what was sent', async () => {
    const body = gzipSync(BODY);
    const headers = { ...plain(), 'content-encoding': 'gzip' };
    expect((await send(sealed(BODY, headers, by()), body)).status).toBe(401);
    expect((await send(sealed(body, headers, by()), body)).status).toBe(200);
  });

  it.each<[string, (good: Record<string, string>) => { headers: Record<string, string>; body?: string }]>([
    ['without an envelope', () => ({ headers: plain() })],
    ['with one header changed', (good) => ({ headers: { ...good, 'x-request-purpose': 'refund of T-2' } })],
    ['with a header taken away', (good) => ({ headers: without(good, 'x-request-purpose') })],
    ['with another body', (good) => ({ headers: good, body: '{"to":"DE1","amount":6}' })],
    ['with the same body in another spelling', (good) => ({ headers: good, body: '{"to": "DE1","amount":5}' })],
    ['without its signature', (good) => ({ headers: without(good, 'signature') })],
    ['without its digest', (good) => ({ headers: without(good, 'content-digest') })],
    ['of another tool', () => ({ headers: seal({ target: '/tools/bank/rates' }) })],
    ['of another host', () => ({ headers: seal({ authority: 'localhost:15001' }) })],
    ['by another method', () => ({ headers: seal({ method: 'PUT' }) })],
    ['by a key that is not the agent’s, in its name', () => ({ headers: seal({ key: stranger.privateKey }) })],
    ['by a key that nobody registered', () => ({ headers: seal({ key: stranger.privateKey, keyId: 'x' }) })],
    ['that does not cover the session', () => ({ headers: seal({ uncovered: ['sallyport-session'] }) })],
    ['that does not cover the body', () => ({ headers: seal({ uncovered: ['content-digest'] }) })],
    ['that does not cover what the tool demands', () => ({ headers: seal({ uncovered: ['x-request-purpose'] }) })],
    ['that does not cover the path', () => ({ headers: seal({ uncovered: ['@path'] }) })],
    ['with a key of idempotency that it does not cover', (good) => ({ headers: { ...good, 'idempotency-key': 'a-1' } })],
    ['of another application', () => ({ headers: seal({ tag: 'sallyport-request' }) })],
    ['that has ended', () => ({ headers: seal({ now: world.clock.wall() - 61_000 }) })],
    ['of tomorrow', () => ({ headers: seal({ now: world.clock.wall() + 3_600_000 }) })],
    ['that lives for an hour', () => ({ headers: seal({ lifetimeMs: 3_600_000 }) })],
  ])('[R7.22] is not called %s: 401 signature_invalid', async (_, bend) => {
    const before = bank.requests.length;
    const { headers, body } = bend(seal());
    const answer = await send(headers, body);
    expect([answer.status, answer.json()['code'], answer.json()['effect']]).toEqual([401, 'signature_invalid', 'none']);
    expect(bank.requests).toHaveLength(before);
    expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', gate: 'envelope', tool: 'bank/transfer' });
  });

  it('takes an envelope once', async () => {
    const headers = seal();
    expect((await send(headers)).status).toBe(200);
    const before = bank.requests.length;
    const again = await send(headers);
    expect([again.status, again.json()['code'], bank.requests.length]).toEqual([401, 'replay_detected', before]);
  });

  it('takes no envelope for another session than it was made in', async () => {
    const headers = seal();
    const other = await sidecar.session({ sub: 'bob@company.com' });
    expect((await send({ ...headers, 'sallyport-session': other })).json()['code']).toBe('signature_invalid');
  });

  it('is not called by a bad envelope that spends the nonce of a good one', async () => {
    const headers = seal({ nonce: 'n-1' });
    expect((await send(headers, '{"to":"DE1","amount":9}')).status).toBe(401);
    expect((await send(headers)).status).toBe(200);
  });

  it('over MCP wants the same', async () => {
    const body = JSON.stringify(toolCall('close', {}));
    const headers = { ...plain(), accept: 'application/json, text/event-stream' };
    const target = '/mcp/desk';
    const call = (how: Record<string, string>): Promise<HttpAnswer> => sidecar.request(target, { headers: how, body });
    const before = desk.calls.length;
    const bare = await call(headers);
    expect([bare.status, desk.calls.length]).toEqual([401, before]);
    expect(bare.text).toContain('signature_invalid');
    const good = await call(sealed(body, headers, by({ target })));
    expect([good.status, desk.calls.length]).toEqual([200, before + 1]);
  });

  it('leaves other tools as they are', async () => {
    const answer = await sidecar.call('bank/rates', {}, session);
    expect(answer.status).toBe(200);
  });

  it('is not called at all by an agent without a key, nor by a key that was taken out', async () => {
    const one = `signing_keys: [${jwk('triage-2', next.publicKey)}]`;
    await world.admin.publish(policyOf(bank.url, desk.mcpUrl, one) + issuerDocument(world.idp));
    await eventually(async () => (await send(seal())).status === 401, 'the release without the first key');
    expect((await send(seal({ key: next.privateKey, keyId: 'triage-2' }))).status).toBe(200);
    await world.admin.publish(policyOf(bank.url, desk.mcpUrl, '') + issuerDocument(world.idp));
    await eventually(
      async () => (await send(seal({ key: next.privateKey, keyId: 'triage-2' }))).status === 401,
      'the release without keys',
    );
  });
});
