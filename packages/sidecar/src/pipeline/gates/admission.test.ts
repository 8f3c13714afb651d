import { describe, expect, it } from 'vitest';
import { decideAdmission } from './admission.ts';

const idle = { isDraining: false, bytesInFlight: 0, bytesInFlightMax: 100 };

describe('admission', () => {
  it.each([
    ['draining', { ...idle, isDraining: true }],
    ['the account of buffered bytes full', { ...idle, bytesInFlight: 100 }],
    ['the account over its bound', { ...idle, bytesInFlight: 101 }],
  ])('refuses as overloaded, with a time to come back: %s', (_, load) => {
    expect(decideAdmission(load)).toMatchObject({ verdict: 'deny', denial: { code: 'overloaded', retryAfterMs: 1_000 } });
  });

  it('passes a sidecar that has room', () => {
    expect(decideAdmission({ ...idle, bytesInFlight: 99 }).verdict).toBe('pass');
  });
});
