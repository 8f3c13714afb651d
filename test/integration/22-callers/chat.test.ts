/** People write to an agent in their chat: the platform signs, the policy says who of them is who, and nobody else gets in. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastCall, recordOf } from '../../support/audit.ts';
import { slackEvent, slackHeaders, type Headers } from '../../support/callers.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import type { HttpAnswer } from '../../support/world.ts';

const SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
const PATH = '/agents/support-triage/slack/events';
const DOCUMENTS = `kind: CallerMethod
name: support-slack
slack: { secret: { file: slack/signing-secret } }
principals:
  - { subject: T0123ABCD/UALICE, id: alice@company.com, tenant: acme, roles: [support-rep] }
  - { subject: T0123ABCD/UCAROL, id: carol@company.com, tenant: acme, roles: [finance] }
`;

let side: InboundSide;
beforeAll(async () => {
  side = await startInbound({ documents: DOCUMENTS, secrets: { 'slack/signing-secret': SECRET } });
});
afterAll(async () => side?.close());

interface Sent {
  readonly user?: string;
  readonly text?: string;
  readonly secret?: string;
  readonly at?: number;
  readonly bent?: string;
  readonly headers?: Headers;
  readonly path?: string;
}

/** Every message is another: two equal ones would be one that was sent twice. */
let nth = 0;
function send({
  user = 'UALICE',
  text = `message ${++nth}`,
  secret = SECRET,
  at = side.world.clock.wall(),
  bent,
  headers = {},
  path = PATH,
}: Sent = {}): Promise<HttpAnswer> {
  const body = slackEvent(user, text);
  return side.ask(path, { body: bent ?? body, headers: { authorization: undefined, ...slackHeaders(secret, body, at), ...headers } });
}

const seen = (): number => side.agent.requests.length;

describe('a message of a chat platform', () => {
  it('may be a command, which comes as a form', async () => {
    const body = 'team_id=T0123ABCD&user_id=UALICE&command=%2Frefund&text=order+1';
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const sent = (signed: string): Promise<HttpAnswer> =>
      side.ask('/agents/support-triage/slack/commands', {
        body,
        headers: { authorization: undefined, ...slackHeaders(SECRET, signed, side.world.clock.wall()), ...form },
      });
    expect((await sent(body)).status).toBe(200);
    expect(side.agent.requests.at(-1)).toMatchObject({ body, headers: form });
    expect(codeOf(await sent(body.replace('order+1', 'order+9')))).toBe('signature_invalid');
  });

  it('[R1.06] is let in by the signature over its very bytes, and not with one byte changed', async () => {
    const before = seen();
    expect((await send({ text: 'refund order 1' })).status).toBe(200);
    expect(seen()).toBe(before + 1);
    const altered = await send({ text: 'refund order 2', bent: slackEvent('UALICE', 'refund order 9') });
    expect([altered.status, codeOf(altered)]).toEqual([401, 'signature_invalid']);
    expect(seen()).toBe(before + 1);
  });

  it('[R1.07] of somebody whom the policy does not map is refused, however well it is signed', async () => {
    const before = seen();
    const answer = await send({ user: 'UMALLORY' });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'no_matching_policy']);
    expect(await recordOf(side.world, answer)).toMatchObject({ decision: 'deny', code: 'no_matching_policy', operator: '-' });
    expect(seen()).toBe(before);
  });

  it('[A.34] is its sender’s, whom the mapping names, and is taken once, in time, from its platform alone', async () => {
    const good = await send();
    expect(good.status).toBe(200);
    const session = good.headers['sallyport-session-id'];
    expect(await lastCall(side.world, (call) => call.session_id === session)).toMatchObject({
      decision: 'allow',
      user_id: 'alice@company.com',
      tenant_id: 'acme',
      principal_kind: 'person',
      root_kind: 'human',
      authn_method: 'slack',
    });
    const before = seen();
    const now = side.world.clock.wall();
    const codes = [
      codeOf(await send({ secret: 'another-secret-of-32-characters!' })),
      codeOf(await send({ bent: slackEvent('UCAROL') })),
      codeOf(await send({ at: now - 301_000 })),
      codeOf(await send({ user: 'UMALLORY' })),
    ];
    expect(codes).toEqual(['signature_invalid', 'signature_invalid', 'token_expired', 'no_matching_policy']);
    expect(seen()).toBe(before);
  });

  it('replay: the same bytes and signature a second time are refused, on another path too', async () => {
    const at = side.world.clock.wall();
    expect((await send({ text: 'once', at })).status).toBe(200);
    const before = seen();
    expect(codeOf(await send({ text: 'once', at }))).toBe('replay_detected');
    expect(codeOf(await send({ text: 'once', at, path: '/agents/support-triage/elsewhere' }))).toBe('replay_detected');
    expect(seen()).toBe(before);
  });

  it.each<[attack: string, sent: () => Sent, code: string]>([
    ['a timestamp of the future', () => ({ at: side.world.clock.wall() + 400_000 }), 'unauthenticated'],
    ['a signature without its timestamp', () => ({ headers: { 'x-slack-request-timestamp': '' } }), 'unauthenticated'],
    ['somebody whom the agent does not act for', () => ({ user: 'UCAROL' }), 'no_matching_policy'],
    ['a token of an issuer beside it', () => ({ headers: { authorization: `Bearer ${side.token()}` } }), 'unauthenticated'],
    ['a body that is longer than senders sign', () => ({ text: 'x'.repeat(70_000) }), 'payload_too_large'],
    ['a person named by a header', () => ({ user: 'UMALLORY', headers: { 'x-user-id': 'alice@company.com' } }), 'no_matching_policy'],
  ])('is refused with %s', async (_attack, sent, code) => {
    const before = seen();
    expect(codeOf(await send(sent()))).toBe(code);
    expect(seen()).toBe(before);
  });

  it('says nothing to the agent of how its sender was proven', async () => {
    expect((await send()).status).toBe(200);
    const names = Object.keys(side.agent.requests.at(-1)?.headers ?? {});
    expect(names.filter((name) => name.startsWith('x-slack'))).toEqual([]);
  });
});
