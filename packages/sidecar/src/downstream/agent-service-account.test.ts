/** The token of the agent's service account: what the cluster signs for this agent, and what it signs for others. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentName } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { fakeClock, signJws, type FakeClock } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentCredential } from '../pipeline/ports.ts';
import { agentServiceAccount, judgeServiceAccount } from './agent-service-account.ts';

const AGENT = 'support-triage' as AgentName;
const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const [ours, theirs] = [keyPair(), keyPair()];

function keyPair(): { readonly privateKey: KeyObject; readonly jwk: object } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' } };
}

describe('the agent’s service-account token', () => {
  let dir: string;
  let clock: FakeClock;
  let credential: AgentCredential;
  const section = (): Parameters<typeof agentServiceAccount>[0] => ({
    keys_file: join(dir, 'jwks.json'),
    issuer: ISSUER,
    audience: 'sallyport-agent',
    subject: 'system:serviceaccount:support:triage',
    token_lifetime_ms_max: 3_600_000,
  });
  const publish = (...keys: readonly object[]): void => writeFileSync(section().keys_file, JSON.stringify({ keys }));

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-account-'));
    clock = fakeClock();
    publish(ours.jwk);
    credential = agentServiceAccount(section(), { agent: AGENT, disk: realFileSystem(), clock });
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const token = (more: Record<string, unknown> = {}, by = ours, account = 'triage', kid = 'k1'): string => {
    const iat = Math.floor(clock.wall() / 1000);
    const bound = {
      namespace: 'support',
      pod: { name: 'triage-7f3a', uid: '0e1f2a3b-1111-2222-3333-444455556666' },
      serviceaccount: { name: account, uid: '9e1f2a3b-1111-2222-3333-444455556666' },
    };
    const claims = {
      iss: ISSUER,
      aud: ['sallyport-agent'],
      sub: `system:serviceaccount:support:${account}`,
      iat,
      nbf: iat,
      exp: iat + 600,
      'kubernetes.io': bound,
      ...more,
    };
    return signJws({ alg: 'ES256', kid }, JSON.stringify(claims), by.privateKey);
  };
  const judged = async (shown: string | undefined): Promise<string> => {
    const verdict = await credential.judge(shown, []);
    return verdict.ok ? verdict.value : verdict.error.code;
  };

  it('proves this agent, the second time without a turn', async () => {
    const shown = token();
    expect(await judged(shown)).toBe(AGENT);
    expect(credential.judge(shown, [])).toEqual({ ok: true, value: AGENT });
  });

  it.each<[attack: string, code: string, shown: () => string | undefined]>([
    ['nothing', 'unauthenticated', () => undefined],
    ['an empty header', 'unauthenticated', () => ''],
    ['a key, as if another way were configured', 'unauthenticated', () => 'k'.repeat(44)],
    ['more than a token is', 'unauthenticated', () => `${token()}${'x'.repeat(9_000)}`],
    ['the token of another agent’s service account', 'unauthenticated', () => token({}, ours, 'reporting')],
    ['a token for the API server', 'unauthenticated', () => token({ aud: ['https://kubernetes.default.svc'] })],
    ['a token for us and for another', 'unauthenticated', () => token({ aud: ['sallyport-agent', 'vault'] })],
    ['a token of another cluster with the same names', 'signature_invalid', () => token({}, theirs)],
    ['a token of another issuer', 'unauthenticated', () => token({ iss: 'https://other.example' })],
    ['a key that the cluster does not have', 'unauthenticated', () => token({}, ours, 'triage', 'k2')],
    ['a token of a past hour', 'token_expired', () => token({ iat: 1, nbf: 1, exp: 601 })],
    ['a token that lives a year', 'token_lifetime_exceeded', () => token({ exp: Math.floor(clock.wall() / 1000) + 31_536_000 })],
    ['a token that is bound to no pod', 'unauthenticated', () => token({ 'kubernetes.io': { namespace: 'support' } })],
  ])('%s is refused', async (_attack, code, shown) => {
    expect(await judged(shown())).toBe(code);
    expect(await judged(token())).toBe(AGENT);
  });

  it('ends when its token does, also where it was proven before', async () => {
    const shown = token();
    expect(await judged(shown)).toBe(AGENT);
    await clock.advance(601_000);
    expect(await judged(shown)).toBe('token_expired');
    expect(await judged(token())).toBe(AGENT);
  });

  it('a key that the cluster withdrew proves nobody a second later, also not by what was proven before', async () => {
    const shown = token();
    expect(await judged(shown)).toBe(AGENT);
    publish(theirs.jwk);
    await clock.advance(1_000);
    expect(await judged(shown)).toBe('signature_invalid');
    expect(await judged(token({}, theirs))).toBe(AGENT);
  });

  it('without readable keys nobody can be judged', async () => {
    const shown = token();
    expect(await judged(shown)).toBe(AGENT);
    unlinkSync(section().keys_file);
    await clock.advance(1_000);
    expect(await judged(shown)).toBe('identity_unavailable');
  });

  it.each<[what: string, text: string | undefined, message: string]>([
    ['no file', undefined, 'cannot read'],
    ['no JSON', 'x', 'no JSON object'],
    ['a list', '[]', 'no JSON object'],
    ['no keys', '{"keys":[]}', 'no key'],
    ['a private key', JSON.stringify({ keys: [{ ...ours.jwk, d: 'AAAA' }] }), 'private'],
    ['a symmetric key', JSON.stringify({ keys: [{ kid: 'k1', kty: 'oct', k: 'AAAA' }] }), 'symmetric'],
  ])('does not start on %s', (_what, text, message) => {
    if (text === undefined) unlinkSync(section().keys_file);
    else writeFileSync(section().keys_file, text);
    expect(JSON.stringify(judgeServiceAccount(section(), AGENT, realFileSystem()))).toContain(message);
  });
});
