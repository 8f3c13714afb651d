/** A caller that is still being answered: what it proved is judged anew by every release, without being spent once more. */

import { newApiKey } from '@sallyport/credentials';
import { randomBytes } from '@sallyport/crypto/keys';
import type { Instant } from '@sallyport/model';
import { encodeApiKeyEntry } from '@sallyport/policy';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { hookHeaders, slackEvent, slackHeaders, type Headers } from '../../support/callers.ts';
import { ALICE_ALONE, codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const HOOK = 'hook-secret-Zp4t8Qx2Lm9v';
const CHAT = 'chat-secret-Hk7w3Rn5Bc1y';
const key = newApiKey(randomBytes, { issuedAt: (Date.now() - 60_000) as Instant, expiresAt: null });

const hooks = (id = 'shop-1', role = 'support-rep'): string => `kind: CallerMethod
name: shop
hmac:
  headers: { signature: x-shop-signature, timestamp: x-shop-time, key_id: x-shop-key }
  prefix: "v1="
  template: [{ take: timestamp }, { text: "." }, { take: body }]
  keys: [{ id: ${id}, secret: { file: hooks } }]
principals: [{ subject: ${id}, id: shop, kind: service, tenant: acme, roles: [${role}] }]
`;
const chat = (user = 'UALICE'): string => `kind: CallerMethod
name: chat
slack: { secret: { file: chat } }
principals: [{ subject: T0123ABCD/${user}, id: alice, tenant: acme, roles: [support-rep] }]
`;
const keys = `kind: CallerMethod
name: keys
api_key: { keys: [${JSON.stringify(encodeApiKeyEntry(key.entry))}] }
principals: [{ subject: "${key.entry.id}", id: partner, kind: service, tenant: acme, roles: [support-rep] }]
`;
const all = (...documents: readonly string[]): string => documents.join('---\n');

let side: InboundSide;
beforeAll(async () => {
  side = await startInbound({ documents: all(hooks(), chat(), keys), secrets: { hooks: HOOK, chat: CHAT } });
});
afterAll(async () => side?.close());

let releases = 0;
/** Publishes these methods, and waits until a release with them is in force. */
async function release(documents: string): Promise<void> {
  const marker = `UMARK${++releases}`;
  await side.world.admin.publish(inboundPolicy(side, ALICE_ALONE, undefined, all(documents, markerMethod(marker))));
  await eventually(async () => {
    const headers = { authorization: undefined, 'x-marker-key': releaseKeys.get(marker)?.text ?? '' };
    return codeOf(await side.ask(INVOKE, { json: {}, headers })) === '200';
  }, 'the next release');
}
const releaseKeys = new Map<string, ReturnType<typeof newApiKey>>();
/** A key that only this release knows. */
function markerMethod(marker: string): string {
  const made = newApiKey(randomBytes, { issuedAt: (Date.now() - 60_000) as Instant, expiresAt: null });
  releaseKeys.set(marker, made);
  return `kind: CallerMethod
name: marker
api_key: { header: x-marker-key, keys: [${JSON.stringify(encodeApiKeyEntry(made.entry))}] }
principals: [{ subject: "${made.entry.id}", id: marker, kind: service, tenant: acme, roles: [support-rep] }]
`;
}

interface Endless {
  readonly sessionId: () => string;
  readonly ended: () => string;
}

/** An answer that goes on until the test's end. */
async function endless(headers: Headers, body: string): Promise<Endless> {
  side.agent.answer({ kind: 'parts', parts: ['data: one\n\n', 'never'], between: onceOnly() });
  const seen = { sessionId: '', ended: '' };
  const asked = { host: '127.0.0.1', port: side.port, path: INVOKE, method: 'POST', ca: side.ca, agent: false };
  const sent = httpsRequest({ ...asked, headers: { 'content-type': 'application/json', ...headers } }, (response) => {
    seen.sessionId = String(response.headers['sallyport-session-id']);
    response.resume();
    response.on('end', () => (seen.ended = 'whole'));
    response.on('error', () => (seen.ended = 'cut'));
  });
  sent.on('error', () => (seen.ended = 'cut'));
  sent.end(body);
  await eventually(() => seen.sessionId !== '', 'the head of the answer');
  side.agent.answer({ kind: 'json', body: {} });
  return { sessionId: () => seen.sessionId, ended: () => seen.ended };
}

function onceOnly(): () => Promise<void> {
  let isFirst = true;
  return async () => {
    if (!isFirst) await new Promise<never>(() => {});
    isFirst = false;
  };
}

async function cutWith(answer: Endless): Promise<string | null | undefined> {
  await eventually(() => answer.ended() === 'cut', 'the cut');
  const onRecord = await eventually(
    async () => (await allCalls(side.world)).find((call) => call.session_id === answer.sessionId() && call.result === 'cut'),
    'the cut on record',
  );
  return onRecord.code;
}

let nth = 0;
const byHook = (): Promise<Endless> => {
  const body = `{"message":${++nth}}`;
  return endless(hookHeaders(HOOK, body, side.world.clock.wall()), body);
};
const byChat = (): Promise<Endless> => {
  const body = slackEvent('UALICE', `message ${++nth}`);
  return endless(slackHeaders(CHAT, body, side.world.clock.wall()), body);
};
const byKey = (): Promise<Endless> => endless({ authorization: `Bearer ${key.text}` }, '{}');

describe('while the agent answers', () => {
  it('a release that changes nothing for them cuts nobody, however often a signature may be spent', async () => {
    const answers = [await byHook(), await byChat(), await byKey()];
    await release(all(hooks(), chat(), keys));
    await release(all(hooks(), chat(), keys));
    // One look of the leases is past when somebody else's has been taken.
    const other = await byHook();
    await release(all(hooks('shop-2'), chat(), keys));
    expect(await cutWith(other)).toBe('unauthenticated');
    expect(answers.map(({ ended }) => ended())).toEqual(['cut', '', '']);
  });

  it.each<[what: string, ask: () => Promise<Endless>, next: string, code: string]>([
    ['a person loses the row of the mapping', byChat, all(hooks(), chat('UBOB'), keys), 'no_matching_policy'],
    ['a sender is somebody whom the agent does not act for', byHook, all(hooks('shop-1', 'finance'), chat(), keys), 'no_matching_policy'],
    ['a method is taken away', byKey, all(hooks(), chat()), 'unauthenticated'],
  ])('%s, and is cut', async (_what, ask, next, code) => {
    await release(all(hooks(), chat(), keys));
    const answer = await ask();
    await release(next);
    expect(await cutWith(answer)).toBe(code);
  });

  it('a key that is revoked by its name ends it', async () => {
    await release(all(hooks(), chat(), keys));
    const answer = await byKey();
    await side.world.admin.revoke('token', `keys:${key.entry.id}`);
    expect(await cutWith(answer)).toBe('token_revoked');
  });
});
