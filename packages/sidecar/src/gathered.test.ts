import { describe, expect, it } from 'vitest';
import { gathered } from './gathered.ts';

describe('gathered bytes', () => {
  it('are a copy: a chunk that its sender reuses, or that pins a larger piece of memory, is not kept', () => {
    const body = gathered({ bytesMax: 1_000_000 });
    const slab = new Uint8Array(65_536);
    for (let i = 0; i < 300; i++) {
      slab[0] = i & 255;
      expect(body.add(slab.subarray(0, 1))).toBe(true);
    }
    expect([...body.bytes()]).toEqual(Array.from({ length: 300 }, (_, i) => i & 255));
    expect(body.bytes().buffer.byteLength).toBeLessThanOrEqual(4_096);
  });

  it('stop at their maximum, and take nothing of the chunk that would pass it', () => {
    const body = gathered({ bytesMax: 10 });
    expect(body.add(new Uint8Array(8))).toBe(true);
    expect(body.add(new Uint8Array(3))).toBe(false);
    expect(body.length).toBe(8);
    expect(body.add(new Uint8Array(2))).toBe(true);
    expect(body.add(new Uint8Array(1))).toBe(false);
  });

  it('take no more than was announced where that is the maximum, and none where it is nothing', () => {
    const none = gathered({ bytesMax: 0, expected: 0 });
    expect([none.add(new Uint8Array(0)), none.add(new Uint8Array(1)), none.bytes().byteLength]).toEqual([true, false, 0]);
  });
});
