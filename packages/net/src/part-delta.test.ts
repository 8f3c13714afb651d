import { buffer } from 'node:stream/consumers';
import { constants, createZstdCompress, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { applyDelta, makeDelta } from './part-delta.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const rules = (changed: number): Uint8Array =>
  bytes(JSON.stringify(Array.from({ length: 5_000 }, (_, index) => ({ id: `rule-${index}`, max: index === changed ? 1 : index * 7 }))));

describe('a part as its difference from another', () => {
  it('one rule among thousands takes a few hundred bytes, and comes out as it was', () => {
    const [base, part] = [rules(-1), rules(2_500)];
    expect(base.byteLength).toBeGreaterThan(150_000);
    const delta = makeDelta(part, base);
    expect(delta.byteLength).toBeLessThan(500);
    expect(applyDelta(delta, base, part.byteLength)).toEqual(part);
  });

  it('over another base, cut, or one byte longer than allowed: nothing, or not the same', () => {
    const [base, part] = [rules(-1), rules(7)];
    const delta = makeDelta(part, base);
    expect(applyDelta(delta, bytes('x'.repeat(base.byteLength)), part.byteLength)).not.toEqual(part);
    expect(applyDelta(delta.subarray(0, -2), base, part.byteLength)).toBeUndefined();
    expect(applyDelta(delta, base, part.byteLength - 1)).toBeUndefined();
    expect(applyDelta(bytes('no frame'), base, part.byteLength)).toBeUndefined();
  });

  it('a frame that asks for 128 MB to become seven bytes', async () => {
    const frame = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
    const whole = buffer(frame);
    frame.write('all');
    // What has been written before its end is in a frame that cannot say how long it will be.
    await new Promise<void>((resolve) => frame.flush(resolve));
    frame.end(' new');
    const delta = await whole;
    expect(zstdDecompressSync(delta).toString()).toBe('all new');
    expect(applyDelta(delta, new Uint8Array(), 7)).toBeUndefined();
  });

  it('from nothing, and to nothing', () => {
    const empty = new Uint8Array();
    expect(applyDelta(makeDelta(bytes('all new'), empty), empty, 7)).toEqual(bytes('all new'));
    expect(applyDelta(makeDelta(empty, bytes('all gone')), bytes('all gone'), 7)).toEqual(empty);
  });
});
