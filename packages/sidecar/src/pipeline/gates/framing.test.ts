import { canonicalTarget, readHeaders } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import type { Leg } from '../gate.ts';
import { decideFraming } from './framing.ts';

const GOOD = ['Host', '127.0.0.1:15001', 'Content-Type', 'application/json'];

/** As the gate gathers it, from raw parts. */
const judged = ({
  leg = 'outbound' as Leg,
  method = 'POST',
  target = '/session',
  httpVersion = '1.1',
  raw = GOOD,
}): ReturnType<typeof decideFraming> => {
  const headers = readHeaders(raw);
  return decideFraming({
    leg,
    method,
    httpVersion,
    headers,
    target: canonicalTarget(target, headers.ok ? headers.value.get('host') : undefined),
  });
};

describe('framing', () => {
  it.each<[attack: string, code: string, request: Parameters<typeof judged>[0]]>([
    ['a tunnel asked for with CONNECT', 'method_not_allowed', { method: 'CONNECT', target: '10.0.0.5:443' }],
    ['TRACE, which echoes credentials', 'method_not_allowed', { method: 'TRACE' }],
    ['a preflight', 'method_not_allowed', { method: 'OPTIONS' }],
    ['an upgrade', 'method_not_allowed', { raw: [...GOOD, 'Upgrade', 'websocket', 'Connection', 'upgrade'] }],
    ['two Host headers', 'malformed_request', { raw: [...GOOD, 'Host', 'evil.test'] }],
    ['two Authorization headers', 'malformed_request', { raw: [...GOOD, 'Authorization', 'Bearer a', 'authorization', 'Bearer b'] }],
    ['two session headers', 'malformed_request', { raw: [...GOOD, 'Sallyport-Session', 'a', 'sallyport-session', 'b'] }],
    [
      'Content-Length beside Transfer-Encoding',
      'malformed_request',
      { raw: [...GOOD, 'Content-Length', '5', 'Transfer-Encoding', 'chunked'] },
    ],
    ['Transfer-Encoding in HTTP/1.0', 'malformed_request', { httpVersion: '1.0', raw: [...GOOD, 'Transfer-Encoding', 'chunked'] }],
    ['an absolute target that names another host', 'malformed_request', { target: 'http://10.0.0.5:8080/session' }],
    ['an absolute target at all', 'direct_address_rejected', { target: 'http://127.0.0.1:15001/session' }],
    ['a rebound DNS name', 'malformed_request', { raw: ['Host', 'evil.test'] }],
    ['no Host at all', 'malformed_request', { raw: [] }],
    ['a page of a browser', 'malformed_request', { raw: [...GOOD, 'Origin', 'http://evil.test'] }],
    ['an opaque origin', 'malformed_request', { raw: [...GOOD, 'Origin', 'null'] }],
    ['a cross-site navigation', 'malformed_request', { raw: [...GOOD, 'Sec-Fetch-Site', 'cross-site'] }],
    ['dot segments', 'malformed_request', { target: '/tools/../session' }],
    ['an encoded slash', 'malformed_request', { target: '/tools/a%2fb/c' }],
    ['headers larger than the bound', 'headers_too_large', { raw: [...GOOD, 'X-A', 'a'.repeat(9_000)] }],
  ])('refuses %s with %s', (_, code, request) => {
    expect(judged(request)).toMatchObject({ verdict: 'deny', denial: { code } });
  });

  it.each<[string, string, Parameters<typeof judged>[0]]>([
    ['under any name', 'pass', { raw: ['Host', 'gate.company.example:8443'] }],
    ['from a page', 'malformed_request', { raw: [...GOOD, 'Origin', 'https://gate.company.example'] }],
    ['to another site’s page', 'malformed_request', { raw: [...GOOD, 'Sec-Fetch-Site', 'same-site'] }],
    ['with CONNECT', 'method_not_allowed', { method: 'CONNECT', target: '10.0.0.5:443' }],
    ['in absolute form', 'direct_address_rejected', { target: 'http://127.0.0.1:15001/agents/triage' }],
    ['for an upgrade', 'method_not_allowed', { raw: [...GOOD, 'Upgrade', 'h2c', 'Connection', 'upgrade'] }],
  ])('on the port of callers, a request %s: %s', (_, expected, request) => {
    const judgement = judged({ leg: 'inbound', ...request });
    expect(judgement.verdict === 'deny' ? judgement.denial.code : judgement.verdict).toBe(expected);
  });

  it('passes a head with one meaning, its path canonical', () => {
    expect(judged({ target: '/tools/orders/get%5Forder' })).toMatchObject({
      verdict: 'pass',
      facts: { head: { target: { path: '/tools/orders/get_order' } } },
    });
  });
});
