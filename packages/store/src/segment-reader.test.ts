import { describe, expect, test } from 'vitest';
import { utf8 } from '@sallyport/crypto';
import { simulatedDisk } from '@sallyport/testkit';
import type { DiskFile, FileSystem } from '@sallyport/runtime';
import { encodeFrame } from './frames.ts';
import { segmentReader } from './segment-reader.ts';

const PATH = '/log/0000000000000001.log';
const FRAMES = 4_000;
const textAt = (place: number): string => `${place} ${'x'.repeat(200)}`;

/** A segment of many frames, and how many bytes were read of it. */
function segment(): { readonly disk: FileSystem; readBytes: () => number } {
  const disk = simulatedDisk().fs;
  disk.makeDirectory('/log');
  const file = disk.open(PATH, 'create');
  for (let place = 1; place <= FRAMES; place++) file.append(encodeFrame({ kind: 'record', bytes: utf8(textAt(place)) }));
  file.close();
  let read = 0;
  const counting = (inner: DiskFile): DiskFile => ({
    ...inner,
    size: () => inner.size(),
    close: () => inner.close(),
    read(position, bytesMax) {
      const bytes = inner.read(position, bytesMax);
      read += bytes.byteLength;
      return bytes;
    },
  });
  const open: FileSystem['open'] = (path, mode) => counting(disk.open(path, mode));
  return { disk: { ...disk, open }, readBytes: () => read };
}

describe('a segment reader', () => {
  const reader = (disk: FileSystem): ((from: number) => string) => {
    const segments = segmentReader(disk);
    return (from) => {
      const [frame] = segments.read({ path: PATH, first: 1 }, { from, through: FRAMES, bytesMax: 1 });
      return `${frame?.sequence}: ${new TextDecoder().decode(frame?.bytes)}`;
    };
  };

  test('finds every place, in whatever order it is asked', () => {
    const { disk } = segment();
    const at = reader(disk);
    for (const place of [1, FRAMES, 2_000, 3, 1_999, 2_001, 3_500, 3_499, 1]) expect(at(place)).toBe(`${place}: ${textAt(place)}`);
  });

  test('does not scan the segment again for a place in the middle', () => {
    const { disk, readBytes } = segment();
    const at = reader(disk);
    at(FRAMES);
    const whole = readBytes();
    // Not where reading stopped last, and near the end.
    at(FRAMES - 100);
    expect(readBytes() - whole).toBeLessThan(whole / 2);
  });

  test('a place that is not there is a fault', () => {
    const { disk } = segment();
    expect(() => segmentReader(disk).read({ path: PATH, first: 1 }, { from: FRAMES + 1, through: FRAMES + 5, bytesMax: 1 })).toThrow(
      'missing',
    );
  });
});
