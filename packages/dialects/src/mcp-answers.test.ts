import { EFFECTS, type Tool, type ToolName } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { acceptedAnswer, discoverAnswer, initializeAnswer, listToolsAnswer, pingAnswer } from './mcp-answers.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const tool = (name: string, more: Partial<Tool> = {}): Tool => ({
  name: name as ToolName,
  effect: 'read',
  classes: ['pii'],
  description: 'd',
  arguments: {},
  route: { method: 'GET', path: '/secret/path' },
  denyAs: 'error',
  ...more,
});

interface Listing {
  readonly result: { readonly tools: readonly { readonly inputSchema: object; readonly annotations: object }[] };
}
const listing = (...tools: readonly Tool[]): Listing['result']['tools'] =>
  (JSON.parse(text(listToolsAnswer(1, tools, 'legacy').body)) as Listing).result.tools;

describe('an answer that is made here', () => {
  it('offers tools and nothing else', () => {
    const serverInfo = { name: 'orders', version: '1' };
    const opened = initializeAnswer(0, { version: '2025-06-18', serverInfo, mcpSession: 'm-1' });
    expect(opened.headers['mcp-session-id']).toBe('m-1');
    expect(text(opened.body)).toBe(
      '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"orders","version":"1"}}}',
    );
    expect(JSON.parse(text(discoverAnswer(0, serverInfo).body))).toMatchObject({
      result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, cacheScope: 'private' },
    });
    expect(text(pingAnswer('a').body)).toBe('{"jsonrpc":"2.0","id":"a","result":{}}');
    expect([acceptedAnswer().status, acceptedAnswer().body.byteLength]).toEqual([202, 0]);
  });

  it('lists of a tool only what its callers may know: no route, no classes, no other server’s half of the name', () => {
    expect(listing(tool('files/read'))).toEqual([
      {
        name: 'read',
        description: 'd',
        inputSchema: { type: 'object', additionalProperties: false },
        annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
      },
    ]);
  });

  it('says of a listing in the modern era that it is one caller’s alone', () => {
    expect(JSON.parse(text(listToolsAnswer(1, [tool('files/read')], 'modern').body))).toMatchObject({
      result: { resultType: 'complete', tools: [{ name: 'read' }], ttlMs: expect.any(Number) as number, cacheScope: 'private' },
    });
    expect(text(listToolsAnswer(1, [], 'legacy').body)).toBe('{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}');
  });

  it('leaves the pinned schema’s own words alone', () => {
    const pinned = { type: 'object', additionalProperties: true, properties: { a: { type: 'integer' } } };
    expect(listing(tool('files/read', { arguments: pinned }))[0]?.inputSchema).toEqual(pinned);
  });

  it('derives its hints from the pinned effect', () => {
    expect(listing(...EFFECTS.map((effect) => tool('files/x', { effect }))).map(({ annotations }) => annotations)).toEqual([
      { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
      { readOnlyHint: false, destructiveHint: false },
      { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
      { readOnlyHint: false, destructiveHint: true },
    ]);
  });
});
