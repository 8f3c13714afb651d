import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changesIn } from './watch.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-watch-'));
  writeFileSync(join(dir, 'rules.yaml'), 'a: 1\n');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Looks `times` times after `act`, and counts the changes that were told. */
async function changesAfter(act: (look: number) => void, times = 5): Promise<number> {
  const clock = fakeClock();
  const over = new AbortController();
  let count = 0;
  const watching = (async () => {
    for await (const _ of changesIn(dir, { clock, signal: over.signal })) count += 1;
  })();
  for (let look = 0; look < times; look++) {
    act(look);
    await clock.advance(200);
    // A generator's turn.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
  over.abort();
  await watching;
  return count;
}
const once =
  (act: () => void) =>
  (look: number): void => {
    if (look === 0) act();
  };

describe('a watched folder', () => {
  it.each([
    ['another text', () => writeFileSync(join(dir, 'rules.yaml'), 'a: 22\n')],
    ['a text of the same length, later', () => utimesSync(join(dir, 'rules.yaml'), 1, 1)],
    ['a new file', () => writeFileSync(join(dir, 'more.yml'), 'b: 1\n')],
    [
      'a new file in a new folder',
      () => {
        mkdirSync(join(dir, 'sub'));
        writeFileSync(join(dir, 'sub', 'x.yaml'), 'b: 1\n');
      },
    ],
    [
      'a file that another took the place of, as editors save',
      () => {
        writeFileSync(join(dir, '.rules.yaml.swp'), 'a: 2\n');
        renameSync(join(dir, '.rules.yaml.swp'), join(dir, 'rules.yaml'));
      },
    ],
    ['a file that is gone', () => rmSync(join(dir, 'rules.yaml'))],
    ['a folder that is gone', () => rmSync(dir, { recursive: true })],
  ])('is changed, once, by %s', async (_, act) => {
    expect(await changesAfter(once(act))).toBe(1);
  });

  it.each([
    ['nothing', () => undefined],
    ['a file that is no part of a policy', () => writeFileSync(join(dir, 'notes.txt'), 'x')],
    ['what an editor hides', () => writeFileSync(join(dir, '.rules.yaml.swp'), 'x')],
  ])('is not changed by %s', async (_, act) => {
    expect(await changesAfter(once(act))).toBe(0);
  });

  it('is not read while it is being written: it counts when it has been still for a look', async () => {
    expect(
      await changesAfter((look) => {
        if (look < 4) writeFileSync(join(dir, 'rules.yaml'), 'a'.repeat(look + 10));
      }, 4),
    ).toBe(0);
    expect(
      await changesAfter((look) => {
        if (look < 3) writeFileSync(join(dir, 'rules.yaml'), 'b'.repeat(look + 20));
      }, 6),
    ).toBe(1);
  });
});
