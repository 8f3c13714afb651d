import { deny } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decideEnvelope, envelope } from './envelope.ts';

describe('envelope', () => {
  it('passes what needs none or came in a good one, and refuses with what was wrong', () => {
    expect(decideEnvelope(undefined)).toMatchObject({ verdict: 'pass' });
    const denial = deny('signature_invalid', 'x');
    expect(decideEnvelope(denial)).toMatchObject({ verdict: 'deny', denial });
  });

  it('reads no body and asks nobody for a tool that wants none', () => {
    const unread = { read: () => Promise.reject(new Error('must not be reached')) };
    const facts = { tool: { tool: {} }, body: unread } as unknown as Parameters<typeof envelope.gather>[0];
    expect(envelope.gather(facts, {} as Parameters<typeof envelope.gather>[1])).toBeUndefined();
  });

  it('refuses as the body does that cannot be read', async () => {
    const denial = deny('payload_too_large', 'x');
    const facts = {
      tool: { tool: { envelope: [] } },
      body: { read: async () => ({ ok: false, error: denial }) },
    } as unknown as Parameters<typeof envelope.gather>[0];
    const ports = { limits: { requestBodyBytesMax: 1 } } as Parameters<typeof envelope.gather>[1];
    expect(await envelope.gather(facts, ports)).toBe(denial);
  });
});
