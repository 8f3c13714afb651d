import { request as httpsRequest } from 'node:https';
import { tokenIssuer } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { ALICE_ALONE, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const REQUEST = { request: 'hello' };

/** An answer that goes on until the test's end. */
interface Endless {
  readonly sessionId: () => string;
  readonly ended: () => string;
}

describe('a right that is lost while the agent answers', () => {
  let side: InboundSide;
  beforeAll(async () => {
    side = await startInbound();
  });
  afterAll(async () => side?.close());

  async function endless(headers: Record<string, string>): Promise<Endless> {
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
    sent.end(JSON.stringify(REQUEST));
    await eventually(() => seen.sessionId !== '', 'the head of the answer');
    side.agent.answer({ kind: 'json', body: {} });
    return { sessionId: () => seen.sessionId, ended: () => seen.ended };
  }

  /** The code of the OUTCOME of what was cut. */
  async function cutWith(session: string): Promise<string | null | undefined> {
    const cut = await eventually(
      async () => (await allCalls(side.world)).find((call) => call.session_id === session && call.result === 'cut'),
      'the cut on record',
    );
    return cut.code;
  }

  /** A session that one token opened, and an answer in it that another token asked for. */
  async function inSessionOf(openedBy: string): Promise<Endless> {
    const opened = await side.ask(INVOKE, { json: REQUEST, headers: { authorization: `Bearer ${side.token({ jti: openedBy })}` } });
    const token = String(opened.json()['session_token']);
    return endless({ authorization: `Bearer ${side.token({ jti: `${openedBy}-next` })}`, 'sallyport-session': token });
  }

  it('a session that is revoked', async () => {
    const answer = await inSessionOf('first');
    await side.world.admin.revoke('session', answer.sessionId());
    await eventually(() => answer.ended() === 'cut', 'the cut');
    expect(await cutWith(answer.sessionId())).toBe('token_revoked');
  });

  it('a session whose opening token is revoked, though it goes on with a newer one', async () => {
    const answer = await inSessionOf('stolen');
    await side.world.admin.revoke('token', 'stolen');
    await eventually(() => answer.ended() === 'cut', 'the cut');
    expect(await cutWith(answer.sessionId())).toBe('token_revoked');
  });

  it('an issuer that is trusted no longer', async () => {
    const answer = await endless({ authorization: `Bearer ${side.token()}` });
    const trusted = inboundPolicy(side, ALICE_ALONE);
    await side.world.admin.publish(trusted.replace(issuerDocument(side.world.idp), issuerDocument(tokenIssuer())));
    await eventually(() => answer.ended() === 'cut', 'the cut');
    expect(await cutWith(answer.sessionId())).toBe('signature_invalid');
    await side.world.admin.publish(trusted);
  });
});

/** Lets the first part out, and no other. */
function onceOnly(): () => Promise<void> {
  let isFirst = true;
  return async () => {
    if (!isFirst) await new Promise<never>(() => {});
    isFirst = false;
  };
}
