/**
 * Notices that an author's folder has changed, by looking: names, sizes, times. Notifications of the system would be a
 * little faster, and do not come at all from some mounted folders. A change counts once the folder has been still for a
 * look, so that a half-written file is seldom read.
 */

import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import { policyFileNames } from '../policy/read-policy.ts';

const LOOK_MS = 200;

/** Yields after every change, until the signal aborts. `dir` is absolute. */
export async function* changesIn(
  dir: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<void, void, void> {
  let known = appearance(dir);
  let before = known;
  while (await delay(clock, LOOK_MS, { signal })) {
    const now = appearance(dir);
    if (now === before && now !== known) {
      known = now;
      yield;
    }
    before = now;
  }
}

/** Differs where anything that is read from the folder may differ. */
function appearance(dir: string): string {
  const names = policyFileNames(dir);
  if (!names.ok) return names.error.message;
  return names.value.map((name) => `${name} ${stamp(join(dir, name))}`).join('\n');
}

function stamp(path: string): string {
  try {
    const { size, mtimeMs, ino } = lstatSync(path);
    return `${size} ${mtimeMs} ${ino}`;
  } catch {
    // Gone between two looks; the next one sees it.
    return 'gone';
  }
}
