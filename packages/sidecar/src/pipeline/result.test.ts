import { describe, expect, it } from 'vitest';
import { resultOf } from './result.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** As a caller over either protocol gets it, and as the server spelled it. */
const mcp = (result: object): { bytes: Uint8Array; result: Uint8Array } => ({
  bytes: bytes('{"what":"the caller gets"}'),
  result: bytes(JSON.stringify(result)),
});
const http = (text: string): { bytes: Uint8Array } => ({ bytes: bytes(text) });
const TWO = [
  { type: 'text', text: '{"id":"O-2"}' },
  { type: 'text', text: 'x' },
];

describe('what a policy may remember of an answer', () => {
  it.each<[what: string, answer: { bytes: Uint8Array; result?: Uint8Array }, expected: unknown]>([
    ['the body of an HTTP answer', http('{"id":"O-1"}'), { id: 'O-1' }],
    ['structured content', mcp({ structuredContent: { id: 'O-1' }, content: TWO.slice(0, 1) }), { id: 'O-1' }],
    ['the one text of an MCP result', mcp({ content: TWO.slice(0, 1) }), { id: 'O-2' }],
    ['of two texts, neither', mcp({ content: TWO }), undefined],
    ['a text that is no JSON', mcp({ content: [{ type: 'text', text: 'O-2' }] }), undefined],
    ['an empty body', http(''), undefined],
    ['a text that is no UTF-8', { bytes: new Uint8Array([0x22, 0xff, 0x22]) }, undefined],
    ['an HTTP body that looks like an MCP result', http('{"structuredContent":{"id":"O-1"}}'), { structuredContent: { id: 'O-1' } }],
  ])('%s', (_, answer, expected) => {
    const found = resultOf({ ...answer, isLast: true });
    expect(found === undefined || found === 'unreadable' ? found : found.tree).toEqual(expected);
  });

  it.each<[what: string, answer: { bytes: Uint8Array; result?: Uint8Array }]>([
    ['a body with a key twice: which is meant is not known', http('{"id":"O-1","id":"O-2"}')],
    ['the same in the text of an MCP result', mcp({ content: [{ type: 'text', text: '{"id":"O-1","id":"O-2"}' }] })],
    ['more items than are looked at', http(`{"ids":[${'0,'.repeat(100_000)}0]}`)],
    ['nested deeper than is looked at', http(`${'['.repeat(100)}${']'.repeat(100)}`)],
  ])('is not nothing where it cannot be read: %s', (_, answer) => {
    expect(resultOf({ ...answer, isLast: true })).toBe('unreadable');
  });
});
