import type { AgentName, Principal } from '@sallyport/model';
import { canonicalTarget, judge, readHeaders, type CanonicalTarget, type HeaderLookup } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { falseStatement, readAgentRequest, type AgentAsk } from './agent-ask.ts';
import { headersFromAgent, headersToAgent, mayReachAgent } from './agent-headers.ts';
import { routeInbound, type AgentRoute } from './agent-routes.ts';

const targetOf = (path: string): CanonicalTarget => {
  const target = canonicalTarget(path, 'gate.example');
  if (!target.ok) throw new Error(target.error.detail);
  return target.value;
};
const routed = (method: string, path: string): unknown => {
  const route = routeInbound(method, targetOf(path));
  return route.ok ? route.value : route.error.code;
};

describe('the inbound port', () => {
  it.each([
    ['GET', '/agents/triage', { isInvoke: false, target: '/' }],
    ['POST', '/agents/triage/invoke', { isInvoke: true, target: '/invoke' }],
    // The same path to servers that do not look at case: judged as an invocation.
    ['POST', '/agents/triage/Invoke?x=1', { isInvoke: true, target: '/Invoke?x=1' }],
    ['GET', '/agents/triage/runs/7?full=1&x=%20', { isInvoke: false, target: '/runs/7?full=1&x=%20' }],
    ['POST', '/agents/triage/a/invoke', { isInvoke: false, target: '/a/invoke' }],
    ['DELETE', '/agents/triage/%61%20b', { isInvoke: false, target: '/a%20b' }],
  ])('routes %s %s', (method, path, route) => {
    expect(routed(method, path)).toEqual({ kind: 'agent', agent: 'triage', method, ...route });
  });

  it('ends a session, and opens none by itself', () => {
    expect(routed('DELETE', '/session')).toEqual({ kind: 'session', closes: true });
    expect([routed('POST', '/session'), routed('DELETE', '/session?x'), routed('DELETE', '/session/1')]).toEqual(
      Array.from({ length: 3 }, () => 'agent_not_registered'),
    );
  });

  it.each([
    ['POST', '/agents/10.0.0.5:8080/invoke', 'direct_address_rejected'],
    ['POST', '/agents/10.0.0.5', 'direct_address_rejected'],
    ['POST', '/agents/http:', 'direct_address_rejected'],
    ['POST', '/agents/%5B::1%5D', 'direct_address_rejected'],
    ['POST', '/agents/agent.svc.cluster.local', 'direct_address_rejected'],
    ['POST', '/agents', 'agent_not_registered'],
    ['POST', '/Agents/triage', 'agent_not_registered'],
    ['POST', '/agents/Triage', 'agent_not_registered'],
    ['POST', '/tools/orders/get_order', 'agent_not_registered'],
    ['GET', '/agents/triage/invoke', 'method_not_allowed'],
    ['PUT', '/agents/triage/INVOKE', 'method_not_allowed'],
    ['HEAD', '/agents/triage', 'method_not_allowed'],
    ['get', '/agents/triage', 'method_not_allowed'],
    ['GET', '/agents/triage/a;v=1', 'malformed_request'],
  ])('%s %s is %s', (method, path, code) => {
    expect(routed(method, path)).toBe(code);
  });
});

const headersOf = (raw: readonly string[]): HeaderLookup => {
  const headers = readHeaders(raw);
  if (!headers.ok) throw new Error(headers.error.detail);
  return headers.value;
};

describe('what travels to the agent', () => {
  it('is what the list names and configuration adds, and nothing else', () => {
    const raw = [
      'Accept',
      'text/plain',
      'X-User-ID',
      'bob',
      'Authorization',
      'Bearer x',
      'X-Trace',
      '7',
      'Cookie',
      'a=b',
      'X-Team',
      'blue',
    ];
    expect(headersToAgent(headersOf(raw), ['x-team'])).toEqual([
      ['accept', 'text/plain'],
      ['x-team', 'blue'],
    ]);
  });

  it('is not what Connection names: that ends here', () => {
    expect(headersToAgent(headersOf(['Connection', 'x-team, accept', 'X-Team', 'blue', 'Accept', '*/*']), ['x-team'])).toEqual([]);
  });

  it.each([
    'authorization',
    'cookie',
    'host',
    'x-user-id',
    'x-user',
    'x-forwarded-for',
    'x-forwarded-user',
    'forwarded',
    'x-real-ip',
    'via',
    'sallyport-session',
    'sallyport-x',
    'x-remote-user',
    'remote-user',
    'x-auth-request-email',
    'x-authenticated-user',
    'dpop',
    'signature',
    'signature-input',
    'x-original-url',
    'x-rewrite-url',
    'x-http-method-override',
    'content-length',
    'transfer-encoding',
    'upgrade',
    'te',
    'proxy-authorization',
    'content-type',
    'content-encoding',
    'origin',
    'sec-fetch-site',
    'traceparent',
    'Accept',
    'a b',
    '',
  ])('configuration cannot add %j', (name) => {
    expect(mayReachAgent(name)).toBe(false);
  });

  it.each(['x-team', 'x-request-id', 'api-version'])('and can add %s', (name) => {
    expect(mayReachAgent(name)).toBe(true);
  });
});

it('what travels back is everything but this hop, the agent’s place, and marks for the origin', () => {
  const raw = [
    'Content-Type',
    'application/json',
    'ETag',
    '"1"',
    'X-Own',
    '1',
    'X-Hop',
    '1',
    'Connection',
    'x-hop',
    'Location',
    'http://127.0.0.1:9000/x',
  ];
  const marks = [
    'Set-Cookie',
    'a=b',
    'Access-Control-Allow-Origin',
    '*',
    'Sallyport-Session',
    'forged',
    'WWW-Authenticate',
    'Basic',
    'Server',
    'x',
  ];
  expect(headersFromAgent(headersOf([...raw, ...marks]))).toEqual({ 'content-type': 'application/json', etag: '"1"', 'x-own': '1' });
});

it.each([
  'CDN-Cache-Control',
  'Vendor-CDN-Cache-Control',
  'Surrogate-Control',
  'Edge-Control',
  'X-Accel-Redirect',
  'X-Sendfile',
  'X-Reproxy-URL',
  'Report-To',
  'NEL',
  'Service-Worker-Allowed',
  'Sallyport_Session',
])('an agent cannot make a server in front of the port, or a browser, act on %s', (name) => {
  expect(headersFromAgent(headersOf([name, 'x']))).toEqual({});
});

const ROUTE: AgentRoute = { kind: 'agent', agent: 'triage' as AgentName, isInvoke: true, method: 'POST', target: '/invoke' };
const askOf = (json: string, route: Partial<AgentRoute> = {}): AgentAsk | string => {
  const bytes = new TextEncoder().encode(json);
  const judged = judge(bytes);
  if (!judged.ok) throw new Error('the test’s own JSON');
  const ask = readAgentRequest({ ...ROUTE, ...route }, { type: 'application/json', bytes, judged: judged.value });
  return ask.ok ? ask.value : ask.error.code;
};
const alice = { id: 'alice@company.com' } as unknown as Principal;
const stated = (json: string, route: Partial<AgentRoute> = {}): string => {
  const ask = askOf(json, route);
  return typeof ask === 'string' ? ask : (falseStatement(ask, alice)?.code ?? 'agrees');
};

describe('what a body states', () => {
  it.each([
    ['{}', 'agrees'],
    ['{"human_operator":"alice@company.com","agent_id":"triage"}', 'agrees'],
    ['{"agent_id":"triage-v12"}', 'agrees'],
    ['{"user_id":"bob@company.com"}', 'agrees'],
    ['{"human_operator":"bob@company.com"}', 'resource_binding_mismatch'],
    ['{"human_operator":null}', 'resource_binding_mismatch'],
    ['{"Human_Operator":"bob@company.com"}', 'resource_binding_mismatch'],
    ['{"AGENT_ID":"reporting"}', 'resource_binding_mismatch'],
    ['{"agent_id":"triage-vx"}', 'resource_binding_mismatch'],
    ['{"agent_id":"triage-v"}', 'resource_binding_mismatch'],
    ['{"agent_id":"triagev1"}', 'resource_binding_mismatch'],
    ['{"agent_id":7}', 'resource_binding_mismatch'],
    ['{"agent_id":"http://10.0.0.5/"}', 'direct_address_rejected'],
    ['[]', 'malformed_request'],
    ['"invoke"', 'malformed_request'],
  ])('of an invocation: %s %s', (json, expected) => {
    expect(stated(json)).toBe(expected);
  });

  it('of any other request is the agent’s to read', () => {
    expect([stated('{"human_operator":"bob"}', { isInvoke: false }), stated('[]', { isInvoke: false })]).toEqual(['agrees', 'agrees']);
  });

  it.each(['GET', 'DELETE'] as const)('of a %s is refused: there is none', (method) => {
    expect(stated('{}', { isInvoke: false, method })).toBe('malformed_request');
  });
});
