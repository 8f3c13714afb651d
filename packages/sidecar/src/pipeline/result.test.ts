import { describe, expect, it } from 'vitest';
import { resultOf } from './result.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const mcp = (result: object): Uint8Array => bytes(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));

describe('what a policy may remember of an answer', () => {
  it.each<[what: string, dialect: 'mcp' | 'http-tool', answer: Uint8Array, expected: unknown]>([
    ['the body of an HTTP answer', 'http-tool', bytes('{"id":"O-1"}'), { id: 'O-1' }],
    [
      'structured content',
      'mcp',
      mcp({ structuredContent: { id: 'O-1' }, content: [{ type: 'text', text: '{"id":"O-2"}' }] }),
      { id: 'O-1' },
    ],
    ['the one text of an MCP result', 'mcp', mcp({ content: [{ type: 'text', text: '{"id":"O-2"}' }] }), { id: 'O-2' }],
    [
      'of two texts, neither',
      'mcp',
      mcp({
        content: [
          { type: 'text', text: '{"id":"O-2"}' },
          { type: 'text', text: 'x' },
        ],
      }),
      undefined,
    ],
    ['a text that is no JSON', 'mcp', mcp({ content: [{ type: 'text', text: 'O-2' }] }), undefined],
    ['a body with a key twice: which is meant is not known', 'http-tool', bytes('{"id":"O-1","id":"O-2"}'), undefined],
    ['an empty body', 'http-tool', bytes(''), undefined],
    ['a text that is no UTF-8', 'http-tool', new Uint8Array([0x22, 0xff, 0x22]), undefined],
    [
      'an HTTP body that looks like an MCP result',
      'http-tool',
      mcp({ structuredContent: { id: 'O-1' } }),
      expect.objectContaining({ jsonrpc: '2.0' }),
    ],
  ])('%s', (_, dialect, answer, expected) => {
    const found = resultOf(dialect, answer);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject(expected as object);
  });
});
