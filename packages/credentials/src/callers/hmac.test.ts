/** Generic HMAC: what is signed is exactly what is taken, and no template can be written under which it is not. */

import { createHmac } from 'node:crypto';
import { utf8 } from '@sallyport/crypto';
import type { HmacMethod, HmacPart, Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { CallerRequest } from './caller-method.ts';
import { callerMethod } from './caller-methods.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const SECRET = 'a secret of the partner, long enough';
const TEMPLATE: readonly HmacPart[] = [
  { take: 'timestamp' },
  { text: '\n' },
  { take: 'method' },
  { text: ' ' },
  { take: 'target' },
  { text: '\n' },
  { header: 'x-event' },
  { text: '\n' },
  { take: 'body' },
];
const config: HmacMethod = {
  kind: 'hmac',
  name: 'partner',
  headers: { signature: 'x-signature', timestamp: 'x-timestamp', keyId: 'x-key' },
  signaturePrefix: 'sha256=',
  encoding: 'hex',
  timestampUnit: 's',
  template: TEMPLATE,
  windowMs: 60_000,
  keys: [
    { id: 'k1', secret: 'partner-1' },
    { id: 'k2', secret: 'partner-2' },
  ],
  principals: [aliceIs('k1')],
};
const secrets: Readonly<Record<string, string>> = { 'partner-1': SECRET, 'partner-2': `${SECRET} 2` };
const secretOf = (name: string): Uint8Array => utf8(secrets[name] ?? '');
const method = (overrides: Partial<HmacMethod> = {}) => methodOf({ ...config, ...overrides }, { secretOf });
const SECONDS = String(NOW / 1000);
const BODY = '{"order":7}';

const mac = (text: string, secret: string = SECRET): string => createHmac('sha256', secret).update(text).digest('hex');
const signed = (timestamp: string = SECONDS): string => `${timestamp}\nPOST /agents/support/invoke\norder.paid\n${BODY}`;

function webhook(headers: Readonly<Record<string, string>> = {}, more: Partial<CallerRequest> = {}): CallerRequest {
  const all = { 'x-signature': `sha256=${mac(signed())}`, 'x-timestamp': SECONDS, 'x-key': 'k1', 'x-event': 'order.paid', ...headers };
  return callerRequest(all, { text: BODY, ...more });
}

describe('a signed webhook', () => {
  it('proves whom its key stands for', async () => {
    const result = await method().verify(webhook(), at());
    expect(result).toMatchObject({ ok: true, value: { subject: 'k1', credentialId: 'partner:k1', authenticatedAt: NOW } });
  });

  it.each<[string, CallerRequest, string]>([
    ['another method', webhook({}, { method: 'PUT' }), 'signature_invalid'],
    ['another target', webhook({}, { target: '/agents/other/invoke' }), 'signature_invalid'],
    ['another body', webhook({}, { body: utf8('{"order":8}') }), 'signature_invalid'],
    ['another signed header', webhook({ 'x-event': 'order.void' }), 'signature_invalid'],
    ['another time', webhook({ 'x-timestamp': String(NOW / 1000 + 1) }), 'signature_invalid'],
    ['another key', webhook({ 'x-key': 'k2' }), 'signature_invalid'],
    ['a key that is not mapped', webhook({ 'x-key': 'k2', 'x-signature': `sha256=${mac(signed(), `${SECRET} 2`)}` }), 'no_matching_policy'],
    ['an unknown key', webhook({ 'x-key': 'k3' }), 'unauthenticated'],
    ['a key that is a member of every object', webhook({ 'x-key': 'constructor' }), 'unauthenticated'],
    ['no key', callerRequest({ 'x-signature': mac(signed()), 'x-timestamp': SECONDS }, { text: BODY }), 'unauthenticated'],
    [
      'a signed header left out',
      callerRequest({ 'x-signature': `sha256=${mac(signed())}`, 'x-timestamp': SECONDS, 'x-key': 'k1' }, { text: BODY }),
      'unauthenticated',
    ],
    ['a signed header that stands twice', webhook({ 'X-Event': 'order.void' }), 'unauthenticated'],
    ['no prefix', webhook({ 'x-signature': mac(signed()) }), 'unauthenticated'],
    ['base64 for hex', webhook({ 'x-signature': `sha256=${Buffer.from(mac(signed()), 'hex').toString('base64')}` }), 'unauthenticated'],
    ['hex in capitals', webhook({ 'x-signature': `sha256=${mac(signed()).toUpperCase()}` }), 'unauthenticated'],
    [
      'a timestamp too old',
      webhook({ 'x-timestamp': String(NOW / 1000 - 61), 'x-signature': `sha256=${mac(signed(String(NOW / 1000 - 61)))}` }),
      'token_expired',
    ],
    [
      'a timestamp too far ahead',
      webhook({ 'x-timestamp': String(NOW / 1000 + 61), 'x-signature': `sha256=${mac(signed(String(NOW / 1000 + 61)))}` }),
      'unauthenticated',
    ],
  ])('is refused with %s', async (_, request, code) => {
    expect(await verdict(method(), request)).toBe(code);
  });

  it('is taken once', async () => {
    const partner = method();
    expect(await verdict(partner, webhook())).toBe('alice@company.com');
    expect(await verdict(partner, webhook())).toBe('replay_detected');
  });

  it('may count milliseconds, write base64, and have one key without a name', async () => {
    const partner = method({
      headers: { signature: 'x-signature', timestamp: 'x-timestamp' },
      encoding: 'base64',
      signaturePrefix: '',
      timestampUnit: 'ms',
      template: [{ take: 'timestamp' }, { text: '.' }, { take: 'body' }],
      keys: [{ id: 'k1', secret: 'partner-1' }],
    });
    const signature = createHmac('sha256', SECRET).update(`${NOW}.${BODY}`).digest('base64');
    expect(await verdict(partner, callerRequest({ 'x-signature': signature, 'x-timestamp': String(NOW) }, { text: BODY }))).toBe(
      'alice@company.com',
    );
  });
});

describe('a template', () => {
  const body: HmacPart = { take: 'body' };
  it.each<[string, readonly HmacPart[]]>([
    ['without the body', [{ take: 'timestamp' }]],
    ['without the time', [body]],
    ['with the time twice', [{ take: 'timestamp' }, { text: '.' }, { take: 'timestamp' }, { text: '.' }, body]],
    ['whose time runs into the body', [{ take: 'timestamp' }, body]],
    ['whose time is followed by a digit', [{ take: 'timestamp' }, { text: '0' }, body]],
    ['whose target can hold what follows it', [{ take: 'timestamp' }, { text: '.' }, { take: 'target' }, { text: '.' }, body]],
    ['whose header can hold what follows it', [{ take: 'timestamp' }, { text: '.' }, { header: 'x-event' }, { text: ' ' }, body]],
    ['whose method can hold what follows it', [{ take: 'timestamp' }, { text: '.' }, { take: 'method' }, { text: '.' }, body]],
    ['with something after the body', [{ take: 'timestamp' }, { text: '.' }, body, { text: '.' }]],
    ['with an empty text', [{ take: 'timestamp' }, { text: '' }, body]],
    ['with a header that is no name', [{ take: 'timestamp' }, { text: '.' }, { header: 'X-Event' }, { text: '\n' }, body]],
  ])('%s is refused', (_, template) => {
    expect(callerMethod({ ...config, template }, { secretOf, replay: replayMemory({ startedAt: 0 as Instant }) }).ok).toBe(false);
  });
});

describe('a configuration', () => {
  it.each<[string, Partial<HmacMethod>]>([
    ['with a window that outlives the replay memory’s purpose', { windowMs: 300_001 }],
    ['with no window', { windowMs: Number.NaN }],
    ['without keys', { keys: [] }],
    [
      'with one key twice',
      {
        keys: [
          { id: 'k1', secret: 'a' },
          { id: 'k1', secret: 'b' },
        ],
      },
    ],
    ['with several keys and no header that names one', { headers: { signature: 'x-signature', timestamp: 'x-timestamp' } }],
    ['with one header in two roles', { headers: { signature: 'x-signature', timestamp: 'x-signature', keyId: 'x-key' } }],
    ['with a subject mapped twice', { principals: [aliceIs('k1'), aliceIs('k1')] }],
    ['with a name that a record could not hold', { name: 'a b' }],
  ])('%s is refused', (_, overrides) => {
    expect(callerMethod({ ...config, ...overrides }, { secretOf, replay: replayMemory({ startedAt: 0 as Instant }) }).ok).toBe(false);
  });
});
