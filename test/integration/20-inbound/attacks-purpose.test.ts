import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE_ALONE, codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const CLAIMS = 'task: task, step: tool, customer_id: customer, purpose: purpose';

describe('a credential that is for one thing', () => {
  let side: InboundSide;
  beforeAll(async () => {
    side = await startInbound();
    await side.world.admin.publish(inboundPolicy(side, ALICE_ALONE).replace('case: ticket_id', `case: ticket_id, ${CLAIMS}`));
    // A claim of the new mapping that is no text refuses the token.
    await eventually(async () => (await asked({ tool: 7 })) === 'unauthenticated', 'the mapping of claims');
  });
  afterAll(async () => side?.close());

  async function asked(claims: Record<string, unknown>, session?: string): Promise<string> {
    const authorization = `Bearer ${side.token(claims)}`;
    const headers = { authorization, ...(session === undefined ? {} : { 'sallyport-session': session }) };
    return codeOf(await side.ask(INVOKE, { json: { request: 'go' }, headers }));
  }
  async function opened(claims: Record<string, unknown>): Promise<string> {
    const answer = await side.ask(INVOKE, { json: { request: 'go' }, headers: { authorization: `Bearer ${side.token(claims)}` } });
    return String(answer.json()['session_token']);
  }

  const FOR = { task: 'close-ticket', tool: 'orders/get_order', customer: 'C-1', purpose: 'support' };

  it.each(Object.keys(FOR))('gets no session that was opened without a %s: it would be good for everything there', async (claim) => {
    const wide = await opened({});
    expect(await asked({ [claim]: FOR[claim as keyof typeof FOR] }, wide)).toBe('session_binding_mismatch');
    expect(await asked({}, wide)).toBe('200');
  });

  it.each(Object.keys(FOR))('gets no session that was opened for another %s, and its own', async (claim) => {
    const held = await opened(FOR);
    expect(await asked({ ...FOR, [claim]: 'other' }, held)).toBe('session_binding_mismatch');
    expect(await asked(FOR, held)).toBe('200');
  });
});
