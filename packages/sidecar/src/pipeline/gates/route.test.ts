import { routeOutbound } from '@sallyport/dialects';
import { canonicalTarget } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { decideRoute } from './route.ts';

const judged = (method: string, target: string): ReturnType<typeof decideRoute> => {
  const canonical = canonicalTarget(target, 'localhost');
  if (!canonical.ok) throw new Error(canonical.error.detail);
  return decideRoute(routeOutbound(method, canonical.value));
};

describe('route', () => {
  it.each([
    ['POST', '/', 'egress_denied'],
    ['POST', '/agents/other', 'egress_denied'],
    ['POST', '/tools/orders', 'egress_denied'],
    ['POST', '/tools/orders/a/b', 'egress_denied'],
    ['POST', '/mcp/orders/extra', 'egress_denied'],
    ['POST', '/mcp/10.0.0.5', 'egress_denied'],
    ['GET', '/session', 'method_not_allowed'],
    ['PUT', '/mcp/orders', 'method_not_allowed'],
    ['GET', '/mcp/orders?after=1', 'malformed_request'],
    ['DELETE', '/tools/orders/get', 'method_not_allowed'],
    ['POST', '/tools/orders/get?admin=true', 'malformed_request'],
    ['GET', '/http/orders', 'egress_denied'],
    ['HEAD', '/http/orders/orders/O-1', 'method_not_allowed'],
    ['GET', '/http/orders/orders/O-1?verbose', 'malformed_request'],
  ])('%s %s leads nowhere: %s', (method, target, code) => {
    expect(judged(method, target)).toMatchObject({ verdict: 'deny', denial: { code } });
  });

  it.each(['GET', 'DELETE'])('%s of an MCP endpoint is for the message’s era to judge', (method) => {
    expect(judged(method, '/mcp/orders')).toMatchObject({ verdict: 'pass', facts: { dialect: 'mcp' } });
  });

  it.each([
    ['GET', '/http/orders/orders/O-1?verbose=true'],
    ['DELETE', '/http/orders/orders/O-1'],
    ['POST', '/http/orders/orders'],
  ])('%s %s is a call of an HTTP tool', (method, target) => {
    expect(judged(method, target)).toMatchObject({
      verdict: 'pass',
      facts: { dialect: 'http-tool', route: { kind: 'http', server: 'orders' } },
    });
  });

  it.each([
    ['/session', 'session'],
    ['/mcp/orders', 'mcp'],
    ['/tools/orders/get', 'http-tool'],
    ['/tools/orders/invoke', 'http-tool'],
  ])('%s is of dialect %s', (target, dialect) => {
    expect(judged('POST', target)).toMatchObject({ verdict: 'pass', facts: { dialect } });
  });
});
