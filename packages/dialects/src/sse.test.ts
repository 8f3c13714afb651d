import { describe, expect, it } from 'vitest';
import { SseReader, writeSseComment, writeSseEvent } from './sse.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** What the standard's own examples and rules come to: one line per item. */
function read(stream: string | Uint8Array, eventBytesMax = 1000): string[] {
  const reader = new SseReader({ eventBytesMax });
  const pushed = reader.push(typeof stream === 'string' ? bytes(stream) : stream);
  if (!pushed.ok) return [pushed.error.code];
  const items = pushed.value.map((item) =>
    item.kind === 'comment' ? ':' : [item.event, text(item.data), item.id, item.retryMs].filter((part) => part !== undefined).join('|'),
  );
  const end = reader.end();
  return end.ok ? items : [...items, end.error.code];
}

describe('reading server-sent events', () => {
  it.each<[string, string, string[]]>([
    ['one line', 'data: x\n\n', ['message|x']],
    ['without a space', 'data:x\n\n', ['message|x']],
    ['one space is eaten, not two', 'data:  x\n\n', ['message| x']],
    ['several lines of data', 'data: a\ndata: b\n\n', ['message|a\nb']],
    ['CR alone ends lines', 'data: a\r\rdata: b\r\r', ['message|a', 'message|b']],
    ['CRLF is one line end', 'data: a\r\ndata: b\r\n\r\n', ['message|a\nb']],
    ['a name, an id and a retry', 'event: e\nid: 7\nretry: 50\ndata: x\n\n', ['e|x|7|50']],
    ['an id does not stick', 'id: 7\ndata: x\n\ndata: y\n\n', ['message|x|7', 'message|y']],
    ['an empty data line is an event', 'id: 7\ndata: \n\n', ['message||7']],
    ['a data field without a colon is empty data', 'data\n\n', ['message|']],
    ['two empty data lines are one line feed', 'data\ndata\n\n', ['message|\n']],
    ['without data there is no event', 'event: e\nid: 7\n\ndata: x\n\n', ['message|x']],
    ['blank lines are nothing', '\n\n\ndata: x\n\n\n', ['message|x']],
    ['comments', ': keep\ndata: x\n:\n\n', [':', ':', 'message|x']],
    ['unknown fields are as if they were not there', 'datax: 1\nData: 2\ndata: x\n\n', ['message|x']],
    ['a retry that is no number', 'retry: 1e3\nretry: -1\nretry: ٣\ndata: x\n\n', ['message|x']],
    ['an id with a NUL', 'id: a\0b\ndata: x\n\n', ['message|x']],
    ['a byte order mark in front', '\uFEFFdata: x\n\n', ['message|x']],
    ['a byte order mark later on is part of a name', 'data: x\n\n\uFEFFdata: y\n\n', ['message|x']],
    ['an event that the end cut off', 'data: x\n\ndata: y\n', ['message|x', 'truncated']],
    ['a line that the end cut off', 'data: x\n\nda', ['message|x', 'truncated']],
  ])('%s', (_, stream, expected) => {
    expect(read(stream)).toEqual(expected);
  });

  it('keeps the bytes of data as they came, and refuses ill-formed names', () => {
    expect(read(Uint8Array.of(...bytes('data: '), 0xff, 0x0a, 0x0a))).toEqual(['message|\uFFFD']);
    const reader = new SseReader({ eventBytesMax: 100 });
    const pushed = reader.push(Uint8Array.of(...bytes('data: '), 0xff, 0x0a, 0x0a));
    expect(pushed).toMatchObject({ value: [{ data: Uint8Array.of(0xff) }] });
    expect(read(Uint8Array.of(...bytes('event: '), 0xff, 0x0a))).toEqual(['invalid_utf8']);
    expect(read(Uint8Array.of(0xff, 0x0a))).toEqual(['invalid_utf8']);
  });

  it.each([
    ['one line without end', `data: ${'x'.repeat(200)}`],
    ['a comment without end', `:${'x'.repeat(200)}`],
    ['many small lines', 'data: x\n'.repeat(40)],
    ['many empty lines of data', 'data\n'.repeat(40)],
    ['many ids', 'id: 1\n'.repeat(40)],
  ])('refuses more than its bound, by %s', (_, stream) => {
    expect(read(stream, 100)).toEqual(['event_too_large']);
  });

  it('bounds an event, not a stream', () => {
    expect(read('data: 0123456789\n\n'.repeat(100), 20)).toHaveLength(100);
    expect(read(': 0123456789\n'.repeat(100), 20)).toHaveLength(100);
  });

  it('stays failed', () => {
    const reader = new SseReader({ eventBytesMax: 10 });
    expect(reader.push(bytes('data: 0123456789')).ok).toBe(false);
    expect(reader.push(bytes('\n\ndata: x\n\n')).ok).toBe(false);
    expect(reader.end().ok).toBe(false);
  });
});

describe('writing server-sent events', () => {
  it('is read back as it was written', () => {
    const written = writeSseEvent({ event: 'e', id: '7', retryMs: 50, data: bytes('{"a":1}') });
    expect(text(written)).toBe('event: e\nid: 7\nretry: 50\ndata: {"a":1}\n\n');
    expect(read(written)).toEqual(['e|{"a":1}|7|50']);
    expect(read(writeSseComment())).toEqual([':']);
  });

  it('lets no line break in data begin a field', () => {
    expect(read(writeSseEvent({ data: bytes('a\nevent: evil\r\ndata: b\rid: 1') }))).toEqual(['message|a\nevent: evil\ndata: b\nid: 1']);
  });

  it.each(['a\nb', 'a\rb', 'a\0b'])('refuses a line break in a name or an id: %j', (name) => {
    expect(() => writeSseEvent({ data: bytes('x'), event: name })).toThrow('line break');
    expect(() => writeSseEvent({ data: bytes('x'), id: name })).toThrow('line break');
  });
});
