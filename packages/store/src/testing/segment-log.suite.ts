/** What every segment log must do on any disk that keeps the promises of the `FileSystem` port. Run by tests only. */

import { describe, expect, it } from 'vitest';
import type { FileSystem } from '@sallyport/runtime';
import type { Frame } from '../frames.ts';
import { openSegmentLog } from '../segment-log.ts';
import type { LoggedFrame, SegmentLog, SegmentLogOptions } from '../segment-log.ts';

/** An empty folder on some disk, gone afterwards. */
export interface LogPlace {
  readonly disk: FileSystem;
  readonly directory: string;
}

const KIB = 1024;
const SIZES = { segmentBytesMax: 4 * KIB, logBytesMax: 32 * KIB, headroomBytes: 4 * KIB } as const;

/** A frame that says `text`, padded to about `bytes`. */
export function textFrame(text: string, bytes = 0): Frame {
  return { kind: 'record', bytes: new TextEncoder().encode(text.padEnd(bytes, '.')) };
}

/** What frames say, without padding. */
export function textsOf(frames: readonly Frame[]): readonly string[] {
  return frames.map(({ bytes }) => new TextDecoder().decode(bytes).replace(/\.+$/, ''));
}

/** Opens a log and what it found; a problem is a red test. */
export async function opened(options: LogPlace & Partial<SegmentLogOptions>): Promise<{ log: SegmentLog; found: LoggedFrame[] }> {
  const found: LoggedFrame[] = [];
  const result = await openSegmentLog({ ...SIZES, onRecovered: (frame) => found.push(frame), ...options });
  if (!result.ok) throw new Error(`the log does not open: ${JSON.stringify(result.error)}`);
  return { log: result.value, found };
}

const numbered = (from: number, to: number, bytes = 0): Frame[] =>
  Array.from({ length: to - from + 1 }, (_, index) => textFrame(`entry ${from + index}`, bytes));

type MakePlace = () => Promise<LogPlace> | LogPlace;

export function segmentLogSuite(name: string, place: MakePlace): void {
  contentSuite(name, place);
  boundsSuite(name, place);
}

function contentSuite(name: string, place: MakePlace): void {
  describe(`${name}: what is appended is there, in order, after reopening`, () => {
    it('gives contiguous places from 1, across appends and restarts', async () => {
      const where = await place();
      const first = await opened(where);
      expect(await first.log.append(numbered(1, 3), { durability: 'disk' })).toEqual({ ok: true, value: { first: 1, last: 3 } });
      expect(await first.log.append(numbered(4, 4), { durability: 'kernel' })).toEqual({ ok: true, value: { first: 4, last: 4 } });
      await first.log.close();
      const second = await opened(where);
      expect(textsOf(second.found)).toEqual(['entry 1', 'entry 2', 'entry 3', 'entry 4']);
      expect(second.found.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
      expect(await second.log.append(numbered(5, 5), { durability: 'disk' })).toEqual({ ok: true, value: { first: 5, last: 5 } });
      await second.log.close();
    });

    it('keeps every kind of frame and every byte, also none', async () => {
      const where = await place();
      const frames: Frame[] = [
        { kind: 'record', bytes: new Uint8Array(0) },
        { kind: 'reservation', bytes: Uint8Array.from({ length: 256 }, (_, byte) => byte) },
        { kind: 'settlement', bytes: new Uint8Array(3000).fill(0xff) },
        { kind: 'nonce', bytes: new Uint8Array(17) },
        { kind: 'snapshot', bytes: new TextEncoder().encode('{}') },
      ];
      const { log } = await opened(where);
      await log.append(frames, { durability: 'disk' });
      const read = log.read({ from: 1, bytesMax: 1_000_000 });
      expect(read.map(({ kind, bytes }) => ({ kind, bytes: [...bytes] }))).toEqual(
        frames.map(({ kind, bytes }) => ({ kind, bytes: [...bytes] })),
      );
      await log.close();
    });

    it('rotates before a segment would grow past its bound, and reads across segments', async () => {
      const where = await place();
      const { log } = await opened(where);
      for (const frame of numbered(1, 20, 900)) await log.append([frame], { durability: 'disk' });
      expect(log.status.segments).toBeGreaterThan(3);
      for (const file of where.disk.list(where.directory))
        expect(where.disk.readFile(`${where.directory}/${file}`, 1_000_000)?.length).toBeLessThanOrEqual(SIZES.segmentBytesMax);
      expect(textsOf(log.read({ from: 1, bytesMax: 1_000_000 }))).toEqual(textsOf(numbered(1, 20)));
      expect(textsOf(log.read({ from: 7, bytesMax: 1 }))).toEqual(['entry 7']);
      await log.close();
      const { found, log: again } = await opened(where);
      expect(textsOf(found)).toEqual(textsOf(numbered(1, 20)));
      await again.close();
    });

    it('writes all appends of one turn with one write, and reads on where it stopped', async () => {
      const where = await place();
      const turns: (() => void)[] = [];
      const { log } = await opened({ ...where, schedule: (write) => turns.push(write) });
      const appends = numbered(1, 9).map((frame) => log.append([frame], { durability: 'kernel' }));
      expect(turns).toHaveLength(1);
      turns[0]?.();
      expect((await Promise.all(appends)).every(({ ok }) => ok)).toBe(true);
      await log.whenDurable(8);
      expect(textsOf(log.read({ from: 1, bytesMax: 20 }))).toEqual(['entry 1', 'entry 2', 'entry 3']);
      expect(textsOf(log.read({ from: 4, bytesMax: 1000 }))).toEqual(textsOf(numbered(4, 9)));
      await log.close();
    });
  });
}

function boundsSuite(name: string, place: MakePlace): void {
  describe(`${name}: bounds`, () => {
    it('refuses as full, keeps headroom for completions, and takes again once segments are dropped', async () => {
      const where = await place();
      const { log } = await opened(where);
      let taken = 0;
      while ((await log.append([textFrame(`entry ${taken + 1}`, 1000)], { durability: 'kernel' })).ok) taken += 1;
      expect(taken).toBeGreaterThan(20);
      expect(log.status.isFull).toBe(true);
      expect(log.status.bytes).toBeLessThanOrEqual(SIZES.logBytesMax - SIZES.headroomBytes);
      const completion = await log.append([textFrame('completion', 1000)], { durability: 'kernel', usesHeadroom: true });
      expect(completion.ok).toBe(true);
      await log.whenDurable(taken);
      const dropped = await log.dropBelow(9);
      expect(dropped).toBeGreaterThan(0);
      expect(log.status.isFull).toBe(false);
      expect((await log.append([textFrame('after', 1000)], { durability: 'disk' })).ok).toBe(true);
      await log.close();
    });

    it('drops only whole segments below the mark, never the current one', async () => {
      const where = await place();
      const { log } = await opened(where);
      for (const frame of numbered(1, 20, 900)) await log.append([frame], { durability: 'disk' });
      await log.dropBelow(10);
      expect(log.status.firstSequence).toBeLessThanOrEqual(10);
      expect(log.status.firstSequence).toBeGreaterThan(1);
      await log.dropBelow(Number.MAX_SAFE_INTEGER);
      expect(log.status.segments).toBe(1);
      expect(log.status.lastSequence).toBe(20);
      await log.close();
      const { log: again, found } = await opened(where);
      expect(found.at(-1)?.sequence).toBe(20);
      expect(await again.append([textFrame('next')], { durability: 'disk' })).toEqual({ ok: true, value: { first: 21, last: 21 } });
      await again.close();
    });

    it('takes nothing after close, and says so', async () => {
      const { log } = await opened(await place());
      const last = log.append([textFrame('last')], { durability: 'disk' });
      await log.close();
      expect((await last).ok).toBe(true);
      expect(await log.append([textFrame('late')], { durability: 'kernel' })).toEqual({ ok: false, error: { code: 'closed' } });
    });
  });
}
