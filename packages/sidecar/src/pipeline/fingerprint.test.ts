/** What a client is known again by, and who shows nothing of it. */

import { describe, expect, it } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';

const [ONE, OTHER] = [Uint8Array.of(1), Uint8Array.of(2)];

describe('the fingerprint of a client', () => {
  it('is its leaf, whatever address and connection it comes by', () => {
    const first = fingerprintOf({ peer: '127.0.0.1:1', peerChain: [ONE] }, 'certificate');
    expect(first).toMatchObject({ ok: true, value: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(fingerprintOf({ peer: '10.0.0.9:2', peerChain: [Uint8Array.of(1), OTHER] }, 'certificate')).toEqual(first);
    expect(fingerprintOf({ peer: '127.0.0.1:1', peerChain: [OTHER] }, 'certificate')).not.toEqual(first);
  });

  it.each([
    ['127.0.0.1:40112', '127.0.0.1'],
    ['[2001:db8::1]:40112', '[2001:db8::1]'],
  ])('of the address %s is all but the port, which is another on each connection', (peer, address) => {
    expect(fingerprintOf({ peer, peerChain: [ONE] }, 'address')).toEqual({ ok: true, value: address });
  });

  it.each([
    ['certificate', { peer: '127.0.0.1:1', peerChain: [] }],
    ['address', { peer: '', peerChain: [ONE] }],
  ] as const)('that should be its %s cannot be left out', (binding, shown) => {
    expect(fingerprintOf(shown, binding)).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
  });

  it('is none where nothing is bound', () => {
    expect(fingerprintOf({ peer: '127.0.0.1:1', peerChain: [ONE] }, 'none')).toEqual({ ok: true, value: undefined });
  });
});
