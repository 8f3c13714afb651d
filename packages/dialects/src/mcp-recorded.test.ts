import { judge, readHeaders } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { MCP_JUDGE_OPTIONS, readMcp } from './mcp.ts';

/**
 * What the official clients sent to real servers without a gateway, recorded from the wire (docs/spec/mcp.md, section 4):
 * v1 is `@modelcontextprotocol/sdk` 1.32.2, v2 is `@modelcontextprotocol/client` 2.4.0. Both over Node's own `fetch`.
 */
const recorded = (own: readonly string[]): readonly string[] => [
  'host: 127.0.0.1:41219',
  'connection: keep-alive',
  ...own,
  'content-type: application/json',
  'accept: application/json, text/event-stream',
  'accept-language: *',
  'sec-fetch-mode: cors',
  'user-agent: node',
  'accept-encoding: gzip, deflate',
];
const FIRST = recorded([]);
const LATER = recorded(['mcp-session-id: dc328445-3012-4032-a8bc-069323a2e4e1', 'mcp-protocol-version: 2025-11-25']);
const PROBE = recorded(['mcp-protocol-version: 2026-07-28', 'mcp-method: server/discover']);

const RECORDED: readonly (readonly [string, readonly string[], string, object])[] = [
  [
    'v1 and v2: handshake',
    FIRST,
    '{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"agent","version":"1"}},"jsonrpc":"2.0","id":0}',
    { kind: 'initialize', id: 0, version: '2025-11-25' },
  ],
  ['v1: handshake done', LATER, '{"method":"notifications/initialized","jsonrpc":"2.0"}', { kind: 'notification' }],
  ['v2: handshake done', LATER, '{"jsonrpc":"2.0","method":"notifications/initialized"}', { kind: 'notification' }],
  ['v1 and v2: listing', LATER, '{"method":"tools/list","jsonrpc":"2.0","id":1}', { kind: 'list_tools', id: 1 }],
  [
    'v1 and v2: call',
    LATER,
    '{"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}},"jsonrpc":"2.0","id":2}',
    { kind: 'call_tool', id: 2, tool: 'echo', meta: { progressToken: undefined, forwarded: {} } },
  ],
  [
    'v1 and v2: call with progress',
    LATER,
    '{"method":"tools/call","params":{"name":"trigger-long-running-operation","arguments":{"duration":0.2,"steps":2},"_meta":{"progressToken":4}},"jsonrpc":"2.0","id":4}',
    { kind: 'call_tool', tool: 'trigger-long-running-operation', meta: { progressToken: 4, forwarded: {} } },
  ],
  [
    'v2 told to negotiate: its probe is answered, and it stays in the era without a handshake',
    PROBE,
    '{"jsonrpc":"2.0","id":"server-discover-probe-1","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"agent","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}',
    { kind: 'discover', id: 'server-discover-probe-1' },
  ],
];

describe('the recorded traffic of the official clients', () => {
  it.each(RECORDED)('%s', (_, lines, body, expected) => {
    const headers = readHeaders([...lines, `content-length: ${body.length}`].flatMap((line) => line.split(': ', 2)));
    const judged = judge(new TextEncoder().encode(body), MCP_JUDGE_OPTIONS);
    if (!headers.ok || !judged.ok) throw new Error('refused before it was read');
    const ask = readMcp(headers.value, judged.value);
    expect(ask).toMatchObject({ ok: true, value: expected });
  });
});
