import { ok, type Denial, type Result } from '@sallyport/model';
import { readHeaders } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import type { HeadFacts } from '../facts.ts';
import type { Ports } from '../ports.ts';
import { content, decideContent } from './content.ts';

const ports = { limits: { requestBodyBytesMax: 1_000 } } as unknown as Ports;
const MCP = ['Accept', 'application/json, text/event-stream'];

const judged = async (
  body: string | Result<Uint8Array, Denial>,
  { route = { kind: 'tool', server: 'orders', tool: 'get' } as unknown, raw = ['Content-Type', 'application/json'] } = {},
): Promise<ReturnType<typeof decideContent>> => {
  const headers = readHeaders(['Host', 'localhost', ...raw]);
  if (!headers.ok) throw new Error(headers.error.detail);
  const bytes = typeof body === 'string' ? ok(new TextEncoder().encode(body)) : body;
  const facts = { route, head: { method: 'POST', headers: headers.value }, body: { read: async () => bytes } } as unknown as HeadFacts;
  return decideContent(await content.gather(facts, ports));
};

describe('content', () => {
  it.each<[attack: string, code: string, body: string, options?: Parameters<typeof judged>[1]]>([
    ['bytes that are no JSON', 'malformed_request', '{"a":'],
    ['a key twice', 'malformed_request', '{"a":1,"a":2}'],
    ['a key twice in another spelling', 'malformed_request', '{"a":1,"\\u0061":2}'],
    ['keys that differ by case alone', 'malformed_request', '{"tool":"x","Tool":"y"}', { route: { kind: 'invoke', server: 'orders' } }],
    ['a list of calls', 'malformed_request', '[{}]'],
    ['text behind the value', 'malformed_request', '{} {}'],
    ['another media type', 'unsupported_content_type', '{}', { raw: ['Content-Type', 'text/plain'] }],
    ['no media type', 'unsupported_content_type', '{}', { raw: [] }],
    ['another character set', 'unsupported_content_type', '{}', { raw: ['Content-Type', 'application/json; charset=utf-16'] }],
    ['an unknown coding', 'unsupported_content_type', '{}', { raw: ['Content-Type', 'application/json', 'Content-Encoding', 'br'] }],
    ['stacked codings', 'unsupported_content_type', '{}', { raw: ['Content-Type', 'application/json', 'Content-Encoding', 'gzip, gzip'] }],
    ['a session request that says something', 'malformed_request', '{"user_id":"bob"}', { route: { kind: 'session' } }],
    [
      'an MCP batch',
      'malformed_request',
      '[]',
      { route: { kind: 'mcp', server: 'orders' }, raw: ['Content-Type', 'application/json', ...MCP] },
    ],
    [
      'an unknown MCP method',
      'method_not_allowed',
      '{"jsonrpc":"2.0","id":1,"method":"tools/drop"}',
      { route: { kind: 'mcp', server: 'orders' }, raw: ['Content-Type', 'application/json', ...MCP] },
    ],
  ])('refuses %s with %s', async (_, code, body, options) => {
    expect(await judged(body, options)).toMatchObject({ verdict: 'deny', denial: { code } });
  });

  it('passes arguments, none for an absent body', async () => {
    expect(await judged('{"order_id":"O-1"}')).toMatchObject({
      verdict: 'pass',
      facts: { ask: { dialect: 'http-tool', call: { tool: 'get' } } },
    });
    expect((await judged('', { raw: [] })).verdict).toBe('pass');
  });
});
