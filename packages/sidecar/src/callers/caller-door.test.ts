import { newApiKey, type CallerRequest } from '@sallyport/credentials';
import { randomBytes } from '@sallyport/crypto/keys';
import type { Digest, Instant } from '@sallyport/model';
import { buildParts, encodeApiKeyEntry, parseDocuments, type CallerMethodDocument, type CompiledPolicy } from '@sallyport/policy';
import { fakeClock } from '@sallyport/testkit';
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { callerDoor, callerProblems } from './caller-door.ts';

const clock = fakeClock({ wall: 1_800_000_000_000 as Instant });
const SECRET = 'a-secret-of-24-characters';
const { text, entry } = newApiKey(randomBytes, { issuedAt: 1_799_000_000_000 as Instant, expiresAt: null });

const ROW = 'id: a, tenant: t';
const POLICY = `apiVersion: sallyport.dev/v1
kind: CallerMethod
name: chat
slack: { secret: { file: chat } }
principals: [{ subject: T123/U123, ${ROW} }]
---
kind: CallerMethod
name: keys
api_key: { keys: [${JSON.stringify(encodeApiKeyEntry(entry))}] }
principals: [{ subject: "${entry.id}", ${ROW} }]
---
kind: CallerMethod
name: signers
http_signature: { tag: t, keys: [{ id: k, hmac_sha256: { file: other } }] }
principals: [{ subject: k, ${ROW} }]
`;

function compiled(documents = POLICY): CompiledPolicy {
  const parsed = parseDocuments([{ path: 'p.yaml', text: documents }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(JSON.stringify(built.error));
  return built.value.policy;
}

const secrets = { ready: () => undefined, secretOf: (name: string) => (name === 'file chat' ? Buffer.from(SECRET) : undefined) };
const door = (): ReturnType<typeof callerDoor> => callerDoor({ clock, secrets, replaysMax: 1_000, unprovenBytesMax: 1_000 });
const context = { now: clock.wall(), bundle: `sha256:${'0'.repeat(64)}` as Digest };

const request = (headers: Record<string, string>, more: Partial<CallerRequest> = {}): CallerRequest => ({
  method: 'POST',
  target: '/agents/a',
  authority: 'gate.example',
  rawHeaders: Object.entries(headers).flat(),
  body: undefined,
  peerCertificate: undefined,
  ...more,
});
const BODY = '{"type":"event_callback","team_id":"T123","event":{"type":"message","user":"U123"}}';
function slack(body = BODY, now = clock.wall()): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const mac = createHmac('sha256', SECRET).update(`v0:${timestamp}:${body}`).digest('hex');
  return { 'X-Slack-Signature': `v0=${mac}`, 'X-Slack-Request-Timestamp': timestamp, 'Content-Type': 'application/json' };
}
const BEARER = { Authorization: `Bearer ${text}` };
const TOKEN = { Authorization: 'Bearer eyJhbGciOiJFUzI1NiJ9.e30.AA' };

describe('which method judges a request', () => {
  const policy = compiled();
  it.each<[what: string, headers: Record<string, string>, chosen: string]>([
    ['a key', BEARER, 'head alone'],
    ['a signed message', slack(), 'with its body'],
    ['a token of an issuer', TOKEN, 'none'],
    ['nothing', {}, 'none'],
    ['a signed message and a key', { ...slack(), ...BEARER }, 'unauthenticated'],
    ['a signed message and a token', { ...slack(), ...TOKEN }, 'unauthenticated'],
    ['a signed message and whatever stands there', { ...slack(), authorization: 'Basic YTpi' }, 'unauthenticated'],
    ['a key and a proof of possession', { ...BEARER, DPoP: 'x' }, 'unauthenticated'],
    ['two kinds of signature', { ...slack(), Signature: 'a=:AA==:' }, 'unauthenticated'],
  ])('%s: %s', (_what, headers, expected) => {
    const chosen = door().choose(policy, request(headers));
    const said = chosen.ok
      ? chosen.value === undefined
        ? 'none'
        : chosen.value.needsBody
          ? 'with its body'
          : 'head alone'
      : chosen.error.code;
    expect(said).toBe(expected);
  });

  it('a policy without methods has none', () => {
    const none = compiled('apiVersion: sallyport.dev/v1\nkind: Environment\nvalues: {}\n');
    expect([door().hasAny(none), door().hasAny(policy)]).toEqual([false, true]);
    expect(door().choose(none, request(BEARER))).toEqual({ ok: true, value: undefined });
  });
});

describe('what was spent', () => {
  const proven = async (at: ReturnType<typeof callerDoor>, policy: CompiledPolicy, isAgain: boolean): Promise<string> => {
    const chosen = at.choose(policy, request(slack()));
    const proof = chosen.ok ? await chosen.value?.verify(Buffer.from(BODY), { ...context, isAgain }) : undefined;
    return proof?.ok === true ? proof.value.principal.id : (proof?.error.code ?? 'none');
  };

  it('outlives the policy that it was spent under', async () => {
    const one = door();
    expect(await proven(one, compiled(), false)).toBe('a');
    expect(await proven(one, compiled(), false)).toBe('replay_detected');
  });

  it('is not spent again by the request that spent it', async () => {
    const [one, policy] = [door(), compiled()];
    expect(await proven(one, policy, false)).toBe('a');
    expect(await proven(one, policy, true)).toBe('a');
    expect(await proven(one, policy, false)).toBe('replay_detected');
  });
});

it('a bundle whose method cannot be made is told, with the place of what is wrong', () => {
  const [document] = compiled().parts.callerMethods ?? [];
  const bent = { ...document, config: { ...document?.config, name: 'No Name' } } as CallerMethodDocument;
  expect(callerProblems([bent]).map(({ path }) => path)).toEqual(['identity.caller_methods[0].name']);
  expect(callerProblems(compiled().parts.callerMethods ?? [])).toEqual([]);
});
