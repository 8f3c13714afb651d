import type { CanonicalTarget } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { routeOutbound } from './http-routes.ts';

const target = (path: string, query?: string): CanonicalTarget => ({
  segments: path.split('/').filter((segment) => segment !== ''),
  path,
  query,
  host: '127.0.0.1',
  port: 15_001,
});

describe('the outbound port', () => {
  it.each<[string, object]>([
    ['/session', { kind: 'session', closes: false }],
    ['/mcp/orders', { kind: 'mcp', server: 'orders' }],
    ['/tools/orders/create_refund', { kind: 'tool', server: 'orders', tool: 'create_refund' }],
    ['/tools/orders/invoke', { kind: 'invoke', server: 'orders' }],
    ['/tools/orders/Invoke', { kind: 'tool', server: 'orders', tool: 'Invoke' }],
  ])('routes POST %s', (path, route) => {
    expect(routeOutbound('POST', target(path))).toEqual({ ok: true, value: route });
  });

  it.each([
    [
      'GET',
      '/http/orders/orders/O-1',
      'a=1&a=2',
      ['orders', 'O-1'],
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    ['POST', '/http/orders/refunds', undefined, ['refunds'], []],
    ['DELETE', '/http/orders/tools/x', undefined, ['tools', 'x'], []],
  ])('routes %s %s to the API behind the server', (method, path, query, segments, pairs) => {
    const value = { kind: 'http', server: 'orders', method, segments, query: pairs };
    expect(routeOutbound(method, target(path, query))).toEqual({ ok: true, value });
  });

  it.each<[string, string, string | undefined, string]>([
    ['POST', '/', undefined, 'egress_denied'],
    ['POST', '/session/x', undefined, 'egress_denied'],
    ['POST', '/mcp', undefined, 'egress_denied'],
    ['POST', '/mcp/orders/x', undefined, 'egress_denied'],
    ['POST', '/mcp/Orders', undefined, 'egress_denied'],
    ['POST', '/mcp/127.0.0.1', undefined, 'egress_denied'],
    ['POST', '/tools/orders', undefined, 'egress_denied'],
    ['POST', '/tools/orders/a/b', undefined, 'egress_denied'],
    ['POST', '/http', undefined, 'egress_denied'],
    ['GET', '/http/orders', undefined, 'egress_denied'],
    ['GET', '/http/Orders/x', undefined, 'egress_denied'],
    ['GET', '/http/127.0.0.1/x', undefined, 'egress_denied'],
    ['HEAD', '/http/orders/x', undefined, 'method_not_allowed'],
    ['get', '/http/orders/x', undefined, 'method_not_allowed'],
    ['PROPFIND', '/http/orders/x', undefined, 'method_not_allowed'],
    ['GET', '/http/orders/O-1;v=2', undefined, 'malformed_request'],
    ['GET', '/http/orders/x', 'verbose', 'malformed_request'],
    ['GET', '/http/orders/x', 'a=%ff', 'malformed_request'],
    ['POST', '/constructor/orders', undefined, 'egress_denied'],
    ['GET', '/unknown', undefined, 'egress_denied'],
    ['PUT', '/mcp/orders', undefined, 'method_not_allowed'],
    ['HEAD', '/mcp/orders', undefined, 'method_not_allowed'],
    ['DELETE', '/tools/orders/x', undefined, 'method_not_allowed'],
    ['PUT', '/tools/orders/x', undefined, 'method_not_allowed'],
    ['post', '/session', undefined, 'method_not_allowed'],
    ['POST', '/tools/orders/x', 'amount=1', 'malformed_request'],
    ['POST', '/session', '', 'malformed_request'],
  ])('refuses %s %s?%s with %s', (method, path, query, code) => {
    expect(routeOutbound(method, target(path, query))).toMatchObject({ error: { code } });
  });
});
