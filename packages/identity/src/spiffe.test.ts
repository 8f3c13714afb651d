import { describe, expect, it } from 'vitest';
import { audienceOf, formatSpiffeId, isSpiffeId, parseSpiffeId } from './spiffe.ts';

describe('a SPIFFE id', () => {
  it.each([
    ['spiffe://prod.company.com/control-plane', { kind: 'control_plane' }],
    ['spiffe://prod.company.com/collector', { kind: 'collector' }],
    ['spiffe://prod.company.com/admin/alice', { kind: 'admin', name: 'alice' }],
    ['spiffe://prod.company.com/sidecar/support-triage/7f3a', { kind: 'sidecar', agent: 'support-triage', instance: '7f3a' }],
  ])('%s has one purpose and one spelling', (text, purpose) => {
    const parsed = parseSpiffeId(text);
    expect(parsed).toEqual({ ok: true, value: { trustDomain: 'prod.company.com', purpose } });
    if (parsed.ok) expect(formatSpiffeId(parsed.value)).toBe(text);
  });

  it.each([
    ['another scheme', 'https://td/collector'],
    ['a scheme in another case', 'SPIFFE://td/collector'],
    ['an upper-case trust domain', 'spiffe://TD/collector'],
    ['no trust domain', 'spiffe:///collector'],
    ['a port', 'spiffe://td:443/collector'],
    ['user information', 'spiffe://a@td/collector'],
    ['no path', 'spiffe://td'],
    ['a trailing slash', 'spiffe://td/collector/'],
    ['an empty segment', 'spiffe://td/sidecar//one'],
    ['a dot segment', 'spiffe://td/sidecar/agent/..'],
    ['an escape', 'spiffe://td/sidecar/agent/%2e%2e'],
    ['a query', 'spiffe://td/collector?x=1'],
    ['a fragment', 'spiffe://td/collector#outbound'],
    ['white space', 'spiffe://td/collector '],
    ['a path without a purpose', 'spiffe://td/root'],
    ['a purpose with a segment more', 'spiffe://td/control-plane/one'],
    ['a sidecar without an instance', 'spiffe://td/sidecar/agent'],
    ['a sidecar of no agent name', 'spiffe://td/sidecar/Agent/one'],
    ['a member of the prototype as its role', 'spiffe://td/constructor'],
    ['more than 2048 bytes', `spiffe://td/admin/${'a'.repeat(2048)}`],
  ])('is refused with %s', (_, text) => {
    expect(isSpiffeId(text)).toBe(false);
  });

  it('names a different audience for each leg', () => {
    const id = formatSpiffeId({ trustDomain: 'td', purpose: { kind: 'collector' } });
    expect(audienceOf(id, 'outbound')).toBe('spiffe://td/collector#outbound');
    expect(audienceOf(id, 'inbound')).not.toBe(audienceOf(id, 'outbound'));
  });
});
