/** The tokens of a session as somebody else sees them, who has only the published key; and their end. */

import { createPublicKey, verify, type JsonWebKeyInput } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startInbound, type InboundSide } from '../../support/inbound.ts';
import { pass, request, testClock, type HttpAnswer } from '../../support/world.ts';

type JsonWebKey = JsonWebKeyInput['key'];

const clock = testClock();
const MINUTES_15_MS = 900_000;

let side: InboundSide;
beforeAll(async () => {
  side = await startInbound({ clock, freshnessTtlMs: 60_000 });
});
afterAll(() => side?.close());

const partsOf = (token: string): { head: Record<string, unknown>; claims: Record<string, number>; input: string; signature: Buffer } => {
  const [head = '', claims = '', signature = ''] = token.split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, never>;
  return { head: read(head), claims: read(claims), input: `${head}.${claims}`, signature: Buffer.from(signature, 'base64url') };
};

const published = async (path: string): Promise<readonly (JsonWebKey & { kid: string })[]> => {
  const answer = await request(side.sidecar.healthPort, path, { method: 'GET' });
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/jwk-set+json']);
  return answer.json()['keys'] as (JsonWebKey & { kid: string })[];
};

const agentsCall = (token: string): Promise<HttpAnswer> => side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, token);
const clientsCall = (token: string): Promise<HttpAnswer> =>
  side.ask('/agents/support-triage/invoke', { json: { input: 'x' }, headers: { 'sallyport-session': token } });

describe('a session’s token', () => {
  it('[R2.01] lives 15 minutes, is signed by a published key of its own, and a second after its end is `token_expired`', async () => {
    const opened = await side.ask('/agents/support-triage/invoke', { json: { input: 'x' } });
    const tokens = {
      client: String(opened.json()['session_token']),
      agent: String(side.agent.requests.at(-1)?.headers['sallyport-session']),
    };
    const keys = await published('/.well-known/session-jwks.json');
    const others = await published('/.well-known/jwks.json');
    for (const token of Object.values(tokens)) {
      const { head, claims, input, signature } = partsOf(token);
      expect((claims['exp'] ?? 0) - (claims['iat'] ?? 0)).toBe(900);
      const key = keys.find(({ kid }) => kid === head['kid']);
      expect(verify(null, Buffer.from(input), createPublicKey({ key: key as JsonWebKey, format: 'jwk' }), signature)).toBe(true);
      expect(verify(null, Buffer.from(`${input}x`), createPublicKey({ key: key as JsonWebKey, format: 'jwk' }), signature)).toBe(false);
      // Whoever looks up who signs assertions must not be led to this key.
      expect(others.map(({ kid }) => kid)).not.toContain(head['kid']);
    }
    expect(keys.some((key) => 'd' in key)).toBe(false);

    expect([(await agentsCall(tokens.agent)).status, (await clientsCall(tokens.client)).status]).toEqual([200, 200]);
    const { claims } = partsOf(tokens.agent);
    await pass(clock, (claims['iat'] ?? 0) * 1_000 + MINUTES_15_MS + 1_000 - clock.wall(), 2_000);
    for (const answer of [await agentsCall(tokens.agent), await clientsCall(tokens.client)])
      expect([answer.status, answer.json()['code']]).toEqual([401, 'token_expired']);
  });
});
