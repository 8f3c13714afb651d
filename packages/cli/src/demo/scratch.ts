/** What everything that plays with whole processes needs: a folder of its own, and waiting that ends. */

import { chmodSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@sallyport/model';
import { deadline, delay } from '@sallyport/runtime';
import { reasonOf } from '../files.ts';
import type { Io } from '../io.ts';
import type { AppProcess } from './processes.ts';

/** The most that anything here waits for anything else. */
const CEILING_MS = 30_000;
const POLL_MS = 50;

/** A new folder `sallyport-<of>-…` of this user alone: keys lie in it. */
export function temporaryDir(of: string): string {
  try {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), `sallyport-${of}-`)));
    chmodSync(dir, 0o700);
    return dir;
  } catch (cause) {
    const why = `no folder can be made in \`${tmpdir()}\`: ${reasonOf(cause)}; set TMPDIR to a folder that you may write`;
    throw new Fault('config_invalid', 'internal', why, { cause });
  }
}

/**
 * Waits until a process says that it serves. Its own word counts, not an open port: that may be somebody else's, who got
 * there first.
 */
export async function untilServing(app: AppProcess, io: Pick<Io, 'clock' | 'signal'>, event: string): Promise<void> {
  const hasSaid = async (): Promise<boolean> => app.words().includes(`"event":"${event}"`);
  const isUp = await waitUntil(async () => !app.isRunning || (await hasSaid()), POLL_MS, io);
  if (app.isRunning && isUp) return;
  const what = app.isRunning ? 'does not serve' : 'ended while starting';
  throw new Fault('listen_failed', 'internal', `${app.name} ${what}: ${lastLine(app.words())}`);
}

const LOG_CHARS_MAX = 400;

/** The last words of a process, which are most often the reason. */
function lastLine(words: string): string {
  // Of a crash Node tells the place and its own version after the reason.
  const line = words.split('\n').findLast((one) => /^[^\s]/.test(one) && !one.startsWith('Node.js v')) ?? '';
  return line === '' ? 'it said nothing' : line.slice(0, LOG_CHARS_MAX);
}

/** Resolves true once `isTrue` is, false when the ceiling is reached; a Fault where Ctrl-C came first. */
export async function waitUntil(isTrue: () => Promise<boolean>, everyMs: number, io: Pick<Io, 'clock' | 'signal'>): Promise<boolean> {
  const over = deadline(io.clock, CEILING_MS, { signal: io.signal, fault: () => new Fault('aborted', 'internal', 'the wait is over') });
  try {
    while (!over.signal.aborted) {
      if (await isTrue()) return true;
      await delay(io.clock, everyMs, { signal: over.signal });
    }
    if (io.signal.aborted) throw new Fault('aborted', 'internal', 'stopped');
    return false;
  } finally {
    over.clear();
  }
}
