import type { ListenerRefusal } from '@sallyport/net';
import { describe, expect, it } from 'vitest';
import { denialOfRefusal } from './outbound.ts';

describe('what the listener refused by itself', () => {
  it.each<readonly [ListenerRefusal['code'], boolean, string | undefined]>([
    ['malformed_request', false, 'malformed_request'],
    ['headers_too_large', false, 'headers_too_large'],
    ['head_timeout', false, 'malformed_request'],
    ['pipelined', false, 'malformed_request'],
    ['expectation_failed', false, 'malformed_request'],
    // The exchange that was reading the body refuses and records it: one call, one DECISION.
    ['malformed_request', true, undefined],
    ['body_timeout', true, undefined],
    // Nothing was asked, so there is no call to record.
    ['connections_exceeded', false, undefined],
  ])('%s (within an exchange: %s) is recorded as %s', (code, isWithinExchange, recorded) => {
    const refusal: ListenerRefusal = { code, detail: 'why', address: '127.0.0.1:1', status: 400, isWithinExchange };
    expect(denialOfRefusal(refusal)?.code).toBe(recorded);
  });
});
