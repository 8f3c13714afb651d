/** A development root outlives its first online keys; a production root renews nothing by itself. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '@sallyport/runtime';
import { fakeClock } from '@sallyport/testkit';
import type { FakeClock } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeOf } from '../home.ts';
import type { Io } from '../io.ts';
import { makeProductionRoot } from '../testing/signers.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';
import { heldOnlineKeys } from './online-keys.ts';
import { homeOfConfig, renewDevelopmentKeys } from './renew-development.ts';

const DAY_MS = 86_400_000;
let clock: FakeClock;
let at: Terminal;
let io: Io;
beforeEach(() => {
  clock = fakeClock();
  at = terminal({ clock });
  const quiet = { write: async () => Promise.resolve(), note: () => undefined, env: {}, isTerminal: false };
  io = { ...quiet, cwd: at.dir, signal: new AbortController().signal, clock, random: systemRandom };
});
afterEach(() => at.close());

const number = (): number => heldOnlineKeys(homeOf(undefined, io))?.number ?? 0;
const renewed = async (): Promise<boolean> => renewDevelopmentKeys(homeOf(undefined, io), io);

describe('the online keys of a development root', () => {
  it('are renewed while they still hold, and not before it is time', async () => {
    await at.type('root', 'init', '--development');
    await clock.advance(15 * DAY_MS);
    expect([await renewed(), number()]).toEqual([false, 1]);
    await clock.advance(6 * DAY_MS);
    expect([await renewed(), number(), await renewed()]).toEqual([true, 2, false]);
    const [key] = heldOnlineKeys(homeOf(undefined, io))?.keys ?? [];
    expect(key?.notAfter).toBe(clock.wall() + 30 * DAY_MS);
  });

  it('hold a control plane’s own start up no more after months', async () => {
    await at.type('root', 'init', '--development');
    await clock.advance(200 * DAY_MS);
    expect(await renewed()).toBe(true);
    expect((await at.type('control-plane', '--config', '.sallyport/control-plane/config.yaml', '--check-config')).exit).toBe(0);
  });

  it('stay as they are where the release key is somewhere else', async () => {
    await at.type('root', 'init', '--development');
    at.remove('.sallyport/signing/release-1.pem');
    await clock.advance(25 * DAY_MS);
    expect([await renewed(), number()]).toEqual([false, 1]);
  });

  it('of production are renewed by people alone, even where a key of theirs lies about', async () => {
    await makeProductionRoot(at);
    await at.type('bundle', 'keygen', '--out', 'f.pem', '--public', 'f.pub');
    await at.type('online-keys', 'draft', '--key', 'r1=f.pub', '--out', 'o');
    await at.type('online-keys', 'sign', 'o', '--key', 'erin.pem', '--key', 'frank.pem', '--out', 'o.signed');
    expect((await at.type('online-keys', 'assemble', 'o.signed')).exit).toBe(0);
    at.write('.sallyport/signing/release-1.pem', readFileSync(join(at.dir, 'erin.pem')));
    at.mode('.sallyport/signing/release-1.pem', 0o600);
    await clock.advance(25 * DAY_MS);
    expect([await renewed(), number()]).toEqual([false, 1]);
  });

  it('are looked for beside a configuration that `root init` has made, and beside no other', () => {
    expect(homeOfConfig(at.path('.sallyport/control-plane/config.yaml'), io)?.dir).toBe(at.path('.sallyport'));
    expect(homeOfConfig(at.path('elsewhere/config.yaml'), io)).toBeUndefined();
  });
});
