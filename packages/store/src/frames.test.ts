import { describe, expect, it } from 'vitest';
import { encodeFrame, FRAME_BYTES_MAX, frameReader, highestMarkAfter, markFrame } from './frames.ts';
import type { Frame, FrameSource } from './frames.ts';

const source = (bytes: Uint8Array): FrameSource => ({
  size: () => bytes.length,
  read: (position, bytesMax) => bytes.subarray(position, position + bytesMax),
});
const joined = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const frame = (text: string): Frame => ({ kind: 'record', bytes: new TextEncoder().encode(text) });

describe('a frame', () => {
  it('has the layout of the specification', () => {
    expect(Buffer.from(encodeFrame({ kind: 'settlement', bytes: new TextEncoder().encode('123456789') })).toString('hex')).toBe(
      '0000000903313233343536373839e328f055',
    );
  });

  it.each([
    ['cut at any byte', (whole: Uint8Array, index: number) => whole.subarray(0, index), 'incomplete'],
    [
      'with any byte changed',
      (whole: Uint8Array, index: number) => whole.map((byte, at) => (at === index ? byte ^ 0x01 : byte)),
      undefined,
    ],
  ] as const)('%s is not read, and the frame before it is', (_, damage, reason) => {
    const first = encodeFrame(frame('first'));
    const second = encodeFrame(frame('second'));
    for (let index = 0; index < second.length; index++) {
      const reader = frameReader(source(joined(first, damage(second, index))));
      expect(reader.next()).toMatchObject({ ok: true, position: 0, next: first.length });
      const bad = reader.next();
      if (index === 0 && reason !== undefined) expect(bad).toBeUndefined();
      else expect(bad, `byte ${index}`).toMatchObject({ ok: false, position: first.length, ...(reason === undefined ? {} : { reason }) });
      expect(reader.next(), 'it stays there').toEqual(bad);
    }
  });

  it.each([
    ['zeros, as a file system leaves them', new Uint8Array(64), 'kind'],
    ['an unknown kind', Uint8Array.of(0, 0, 0, 0, 9, 0, 0, 0, 0), 'kind'],
    ['a length beyond the bound, without reading that far', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0), 'length'],
  ])('is not %s', (_, bytes, reason) => {
    expect(frameReader(source(bytes)).next()).toEqual({ ok: false, position: 0, reason });
  });

  it('may be longer than what is read at once', () => {
    const long: Frame = { kind: 'snapshot', bytes: new Uint8Array(1_000_000).fill(7) };
    const reader = frameReader(source(joined(encodeFrame(frame('a')), encodeFrame(long), encodeFrame(frame('b')))));
    const kinds = [reader.next(), reader.next(), reader.next(), reader.next()].map((found) =>
      found?.ok === true ? found.frame.bytes.length : found,
    );
    expect(kinds).toEqual([1, 1_000_000, 1, undefined]);
  });

  it('is never written beyond the bound', () => {
    expect(() => encodeFrame({ kind: 'snapshot', bytes: new Uint8Array(FRAME_BYTES_MAX + 1) })).toThrow(/16 MiB/);
  });
});

describe('marks after damage', () => {
  it('are found wherever they stand, across the borders of what is read at once', () => {
    for (const before of [0, 3, 262_130, 262_140, 262_144, 300_000]) {
      const bytes = joined(
        new Uint8Array(before).fill(0xee),
        encodeFrame(markFrame(77)),
        encodeFrame(frame('x')),
        encodeFrame(markFrame(12)),
      );
      expect(highestMarkAfter(source(bytes), 0), `after ${before} bytes`).toBe(77);
    }
  });

  it('count only when whole', () => {
    const mark = encodeFrame(markFrame(77));
    expect(highestMarkAfter(source(mark.subarray(0, mark.length - 1)), 0)).toBe(0);
    expect(highestMarkAfter(source(mark.map((byte, at) => (at === 12 ? 9 : byte))), 0)).toBe(0);
  });
});
