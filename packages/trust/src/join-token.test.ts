import { decodeBase64Url, encodeBase64Url, fromUtf8, utf8 } from '@sallyport/crypto';
import type { AgentName, Area, Digest, Ring } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { encodeJoinToken, parseJoinToken } from './join-token.ts';
import type { JoinToken } from './join-token.ts';

const TOKEN: JoinToken = {
  trustDomain: 'demo.local',
  rootPin: `sha256:${'a'.repeat(64)}` as Digest,
  caDigest: `sha256:${'b'.repeat(64)}` as Digest,
  agent: 'support-triage' as AgentName,
  area: 'default' as Area,
  ring: 'default' as Ring,
  secret: Uint8Array.from({ length: 32 }, (_, i) => i),
  enrolmentAddress: '127.0.0.1:7445',
};

const members = (): Record<string, unknown> =>
  JSON.parse(fromUtf8(decodeBase64Url(encodeJoinToken(TOKEN)) ?? new Uint8Array()) ?? '') as Record<string, unknown>;
const bend = (change: Record<string, unknown>): string => encodeBase64Url(utf8(JSON.stringify({ ...members(), ...change })));
const problemsOf = (text: string): readonly string[] => {
  const parsed = parseJoinToken(text);
  return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`);
};

describe('a join token', () => {
  it('comes back as it went, with the line feed of a file and without', () => {
    expect(parseJoinToken(encodeJoinToken(TOKEN))).toEqual({ ok: true, value: TOKEN });
    expect(parseJoinToken(`${encodeJoinToken(TOKEN)}\n`)).toEqual({ ok: true, value: TOKEN });
  });

  it('may leave the address to the configuration', () => {
    const { enrolmentAddress: _, ...rest } = TOKEN;
    expect(parseJoinToken(encodeJoinToken(rest))).toEqual({ ok: true, value: rest });
  });

  it.each([
    ['an unknown field, which may be a restriction', { expires_at: 5 }, ': unknown field `expires_at`'],
    ['another version', { v: 2 }, 'v: expected one of `1`'],
    ['a short secret', { secret: 'AAAA' }, 'secret: expected base64url of 32 bytes'],
    ['a secret in the other base64', { secret: `${'+'.repeat(42)}8=` }, 'secret: expected base64url of 32 bytes'],
    ['a pin that is no digest', { root_pin: 'sha256:ab' }, 'root_pin: expected `sha256:` and 64 hex digits'],
    ['no pin: there is no trust on first use', { root_pin: undefined }, 'root_pin: expected string'],
    ['a name that is no agent', { agent: '../other' }, 'agent: expected the name of an agent'],
    ['an address without a port', { enrolment_address: 'cp.example' }, 'enrolment_address: expected `host:port`'],
    ['an address with a path', { enrolment_address: 'cp.example:1/x' }, 'enrolment_address: expected `host:port`'],
    ['a port out of range', { enrolment_address: 'cp.example:70000' }, 'enrolment_address: expected `host:port`'],
  ])('is refused with %s', (_name, change, problem) => {
    expect(problemsOf(bend(change))).toEqual([problem]);
  });

  it('reports every problem at once', () => {
    expect(problemsOf(bend({ agent: 'A', ring: 'B', v: 3 }))).toHaveLength(3);
  });

  it.each([
    ['nothing', ''],
    ['two lines', `${encodeJoinToken(TOKEN)}\n\n`],
    ['white space before it', ` ${encodeJoinToken(TOKEN)}`],
    ['padding', `${encodeJoinToken(TOKEN)}=`],
    ['JSON that is not encoded', JSON.stringify(members())],
    ['a member twice', encodeBase64Url(utf8(`{"v":1,${JSON.stringify(members()).slice(1)}`))],
    ['endless data', 'A'.repeat(5_000)],
  ])('is refused when it is %s', (_name, text) => {
    expect(parseJoinToken(text).ok).toBe(false);
  });

  it('never quotes itself in a refusal', () => {
    const secret = encodeBase64Url(TOKEN.secret);
    for (const text of [bend({ agent: secret, secret: `${secret}AA` }), secret, bend({ v: secret })]) {
      expect(JSON.stringify(parseJoinToken(text))).not.toContain(secret);
    }
  });
});
