import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type SseItem, SseReader, writeSseEvent } from './sse.ts';

/** Bytes that look like events often enough to reach every branch. */
const streamBytes = fc
  .array(
    fc.constantFrom(
      'data: a',
      'data:b',
      'data',
      'event: e',
      'id: 1',
      'retry: 5',
      ': c',
      '',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      '\uFEFF',
      'é',
      'x',
    ),
    {
      maxLength: 40,
    },
  )
  .map((parts) => new TextEncoder().encode(parts.join('')));

function readIn(chunks: readonly Uint8Array[]): { items: SseItem[]; end: unknown } {
  const reader = new SseReader({ eventBytesMax: 64 });
  const items: SseItem[] = [];
  for (const chunk of chunks) {
    const pushed = reader.push(chunk);
    if (!pushed.ok) return { items: [], end: pushed };
    items.push(...pushed.value);
  }
  return { items, end: reader.end() };
}

it('any cutting of a stream into chunks gives the same events', () => {
  fc.assert(
    fc.property(streamBytes, fc.array(fc.nat(200), { maxLength: 12 }), (stream, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, stream.byteLength)).toSorted((a, b) => a - b), stream.byteLength];
      const chunks = at.slice(1).map((end, i) => stream.subarray(at[i], end));
      expect(readIn(chunks)).toEqual(readIn([stream]));
      expect(readIn([...stream].map((byte) => Uint8Array.of(byte)))).toEqual(readIn([stream]));
    }),
  );
});

it('what is written is read back, with line breaks made line feeds', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  fc.assert(
    fc.property(fc.array(fc.record({ data: fc.string({ maxLength: 8 }), event: word, id: word }), { maxLength: 5 }), (events) => {
      const written = events.map(({ data, ...more }) => writeSseEvent({ ...more, data: new TextEncoder().encode(data) }));
      const expected = events.map(({ data, ...more }) => ({
        kind: 'event',
        ...more,
        data: new TextEncoder().encode(data.replaceAll(/\r\n|\r/g, '\n')),
      }));
      expect(readIn(written)).toEqual({ items: expected, end: { ok: true, value: undefined } });
    }),
  );
});
