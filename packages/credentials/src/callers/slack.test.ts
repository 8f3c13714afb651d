/** Slack's signature: the vector of its own page, and what a message must not get away with. */

import { createHmac } from 'node:crypto';
import { utf8 } from '@sallyport/crypto';
import type { Instant, SlackMethod } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { CallerRequest } from './caller-method.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
const config: SlackMethod = { kind: 'slack', name: 'slack', secret: 'slack-signing', principals: [aliceIs('T0001/U2147483697')] };
const method = () => methodOf(config, { secretOf: (name) => (name === 'slack-signing' ? utf8(SECRET) : undefined) });
const FORM = 'application/x-www-form-urlencoded';
const COMMAND = 'token=x&team_id=T0001&user_id=U2147483697&command=%2Fweather&text=94070';
const SECONDS = NOW / 1000;

function sign(text: string, timestamp: string = String(SECONDS), secret: string = SECRET): string {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${text}`).digest('hex')}`;
}

function message(text: string = COMMAND, headers: Readonly<Record<string, string>> = {}, type: string = FORM): CallerRequest {
  const timestamp = headers['x-slack-request-timestamp'] ?? String(SECONDS);
  return callerRequest(
    { 'content-type': type, 'x-slack-request-timestamp': timestamp, 'x-slack-signature': sign(text, timestamp), ...headers },
    { text },
  );
}

describe('a message of Slack', () => {
  it('verifies as Slack’s own page signs it', async () => {
    const text =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA' +
      '&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554' +
      '%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
    const request = callerRequest(
      {
        'Content-Type': FORM,
        'X-Slack-Request-Timestamp': '1531420618',
        'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      },
      { text },
    );
    const slack = methodOf({ ...config, principals: [aliceIs('T1DC2JH3J/U2CERLKJA')] }, { secretOf: () => utf8(SECRET) });
    expect(slack.isPresented(request)).toBe(true);
    const result = await slack.verify(request, at(1_531_420_618_000));
    expect(result).toMatchObject({
      ok: true,
      value: {
        method: 'slack',
        subject: 'T1DC2JH3J/U2CERLKJA',
        credentialId: 'slack:T1DC2JH3J/U2CERLKJA',
        authenticatedAt: 1_531_420_618_000,
        principal: { id: 'alice@company.com', issuer: 'caller:slack', authenticatedAt: 1_531_420_618_000 },
      },
    });
  });

  it.each<[string, CallerRequest, string]>([
    ['one byte of the body changed', { ...message(), body: utf8(COMMAND.replace('94070', '94071')) }, 'signature_invalid'],
    [
      'another secret',
      message(COMMAND, { 'x-slack-signature': sign(COMMAND, undefined, 'another secret of length') }),
      'signature_invalid',
    ],
    [
      'a timestamp that was not signed',
      message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS), 'x-slack-signature': sign(COMMAND, String(SECONDS - 1)) }),
      'signature_invalid',
    ],
    ['no signature', message(COMMAND, { 'x-slack-signature': '' }), 'unauthenticated'],
    ['a signature of another version', message(COMMAND, { 'x-slack-signature': sign(COMMAND).replace('v0', 'v1') }), 'unauthenticated'],
    ['a signature cut short', message(COMMAND, { 'x-slack-signature': sign(COMMAND).slice(0, -2) }), 'unauthenticated'],
    [
      'a signature in capitals, which a replay memory would take for another',
      message(COMMAND, { 'x-slack-signature': sign(COMMAND).toUpperCase().replace('V0', 'v0') }),
      'unauthenticated',
    ],
    [
      'two signatures',
      callerRequest(
        { 'X-Slack-Signature': sign(COMMAND), 'x-slack-signature': sign(COMMAND), 'x-slack-request-timestamp': String(SECONDS) },
        { text: COMMAND },
      ),
      'unauthenticated',
    ],
    ['no timestamp', callerRequest({ 'x-slack-signature': sign(COMMAND) }, { text: COMMAND }), 'unauthenticated'],
    ['a timestamp of 301 seconds ago', message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS - 301) }), 'token_expired'],
    [
      'a timestamp 301 seconds ahead, which Slack’s own library takes',
      message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS + 301) }),
      'unauthenticated',
    ],
    ['a timestamp with a sign', message(COMMAND, { 'x-slack-request-timestamp': `+${SECONDS}` }), 'unauthenticated'],
    ['a timestamp with a fraction', message(COMMAND, { 'x-slack-request-timestamp': `${SECONDS}.0` }), 'unauthenticated'],
    ['a timestamp with an exponent', message(COMMAND, { 'x-slack-request-timestamp': '18e8' }), 'unauthenticated'],
    ['a timestamp with a zero before it', message(COMMAND, { 'x-slack-request-timestamp': `0${SECONDS}` }), 'unauthenticated'],
    ['an unmapped user', message(COMMAND.replace('U2147483697', 'U000000EVE')), 'no_matching_policy'],
    ['the user of that id in another workspace', message(COMMAND.replace('T0001', 'T0002')), 'no_matching_policy'],
    ['two users', message(`${COMMAND}&user_id=U000000EVE`), 'no_matching_policy'],
    ['two users, one spelled with an escape', message(`${COMMAND}&user%5Fid=U000000EVE`), 'no_matching_policy'],
    ['a payload beside a sender', message(`${COMMAND}&payload=%7B%7D`), 'no_matching_policy'],
    ['no sender', message('token=x'), 'no_matching_policy'],
    ['nothing in the body', message(''), 'no_matching_policy'],
    [
      'an event called a form, whose text spells a sender',
      message(`{"event":{"text":"&team_id=T0001&user_id=U2147483697&"}}`),
      'no_matching_policy',
    ],
    ['a form called JSON', message(COMMAND, {}, 'application/json'), 'no_matching_policy'],
    [
      'an event with two users',
      message('{"team_id":"T0001","event":{"user":"U2147483697","user":"U000000EVE"}}', {}, 'application/json'),
      'no_matching_policy',
    ],
    [
      'an event whose users differ by case',
      message('{"team_id":"T0001","event":{"user":"U2147483697","User":"U000000EVE"}}', {}, 'application/json'),
      'no_matching_policy',
    ],
    ['an event of a bot', message('{"team_id":"T0001","event":{"bot_id":"B1"}}', {}, 'application/json'), 'no_matching_policy'],
    [
      'an event of a guest from a shared channel',
      message('{"team_id":"T0001","event":{"user":"U2147483697","user_team":"T0002"}}', {}, 'application/json'),
      'no_matching_policy',
    ],
    [
      'an interaction of another team',
      message(`payload=${encodeURIComponent('{"team":{"id":"T0001"},"user":{"id":"U2147483697","team_id":"T9"}}')}`),
      'no_matching_policy',
    ],
  ])('is refused with %s', async (_, request, code) => {
    expect(await verdict(method(), request)).toBe(code);
  });

  it.each<[string, CallerRequest]>([
    ['a command', message()],
    ['an event', message('{"team_id":"T0001","event":{"type":"message","user":"U2147483697"}}', {}, 'application/json; charset=utf-8')],
    ['an interaction', message(`payload=${encodeURIComponent('{"team":{"id":"T0001"},"user":{"id":"U2147483697","team_id":"T0001"}}')}`)],
    ['the oldest timestamp', message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS - 300) })],
    ['the latest timestamp', message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS + 300) })],
  ])('proves its sender by %s', async (_, request) => {
    expect(await verdict(method(), request)).toBe('alice@company.com');
  });

  it('is taken once', async () => {
    const slack = method();
    expect(await verdict(slack, message())).toBe('alice@company.com');
    expect(await verdict(slack, message())).toBe('replay_detected');
    expect(await verdict(slack, message(), at(NOW + 299_000))).toBe('replay_detected');
    expect(await verdict(slack, message(`${COMMAND}2`))).toBe('alice@company.com');
  });

  it('of before a restart is refused, because it may have been taken then', async () => {
    const replay = replayMemory({ startedAt: (NOW + 2000) as Instant });
    const slack = methodOf(config, { secretOf: () => utf8(SECRET), replay });
    expect(await verdict(slack, message(), at(NOW + 3000))).toBe('replay_detected');
  });

  it.each([
    ['no secret', undefined],
    ['an empty secret, which anybody has', utf8('')],
    ['a secret short enough to be searched', utf8('short')],
  ])('cannot be judged with %s', async (_, secret) => {
    const signature = createHmac('sha256', secret ?? '')
      .update(`v0:${SECONDS}:${COMMAND}`)
      .digest('hex');
    const request = message(COMMAND, { 'x-slack-signature': `v0=${signature}` });
    expect(await verdict(methodOf(config, { secretOf: () => secret }), request)).toBe('identity_unavailable');
  });

  it('is refused by its head alone, before the body is read', () => {
    const unread = { ...message(COMMAND, { 'x-slack-request-timestamp': String(SECONDS - 301) }), body: undefined };
    expect(method().judgeHead(unread, at())?.code).toBe('token_expired');
    expect(method().judgeHead({ ...message(), body: undefined }, at())).toBeUndefined();
  });

  it('is not presented where its header is absent', () => {
    expect(method().isPresented(callerRequest({ authorization: 'Bearer x' }))).toBe(false);
  });

  it('tells neither signature nor secret in the detail of a refusal', async () => {
    const request = { ...message(), body: utf8('altered') };
    const result = await method().verify(request, at());
    const detail = result.ok ? '' : result.error.detail;
    expect(detail).toContain('slack');
    expect(detail).not.toContain(sign(COMMAND).slice(3, 20));
    expect(detail).not.toContain(SECRET);
  });
});
