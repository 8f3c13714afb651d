import { trustSimulator } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeOf } from './home.ts';
import type { Io } from './io.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';
import { readOwnTrust } from './trust-files.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

describe('the administrator’s own trust', () => {
  const read = (sources: Parameters<typeof readOwnTrust>[1] = {}): ReturnType<typeof readOwnTrust> => {
    const io = { cwd: at.dir, env: {} } as unknown as Io;
    return readOwnTrust(homeOf('home', io), sources, io);
  };
  /** A chain of roots in the folder, as files by their number. */
  const writeRoots = async (count: number): Promise<void> => {
    const simulator = await trustSimulator();
    for (let number = simulator.chain.length; number < count; number++) await simulator.publishRoot();
    for (const [index, envelope] of simulator.chain.entries()) at.write(`home/root/${index + 1}.json`, envelope);
    at.write('home/root-pin', `${simulator.pin}\n`);
  };

  it('walks every root in the order of its number, also past nine', async () => {
    await writeRoots(11);
    const trust = read();
    expect(trust.ok && trust.value.root.number).toBe(11);
  });

  it('refuses a chain with a gap, with 1: the files are there and do not hold', async () => {
    await writeRoots(3);
    at.write('home/root/2.json', at.read('home/root/3.json'));
    expect(read()).toMatchObject({ ok: false, error: { exit: 1 } });
  });

  it('refuses a pin that is none, with 64', async () => {
    await writeRoots(1);
    at.write('home/root-pin', 'sha256:abc');
    expect(read()).toMatchObject({ ok: false, error: { exit: 64, problems: [{ message: 'holds no digest' }] } });
    expect(read({ rootPin: 'elsewhere' })).toMatchObject({ ok: false, error: { exit: 64, problems: [{ file: 'elsewhere' }] } });
  });

  it.each(['sha256:0000', 'sha256:', `sha256:${'G'.repeat(64)}`, 'a'.repeat(64)])(
    'takes a mistyped pin for no file: %s',
    async (rootPin) => {
      await writeRoots(1);
      const message = `\`${rootPin}\` is not a pin`;
      expect(read({ rootPin })).toMatchObject({ ok: false, error: { exit: 64, problems: [{ path: '--root-pin', message }] } });
    },
  );

  it('says once that there is no folder, whatever would be in it', () => {
    const problem = { file: at.path('home'), message: 'there is no such folder' };
    expect(read()).toMatchObject({ ok: false, error: { exit: 64, problems: [problem] } });
    expect(read({ rootPin: undefined, roots: [] })).toMatchObject({ ok: false, error: { problems: [problem] } });
  });

  it('says the same of a folder in which no root was made yet, as `init` and `dev` leave it', () => {
    at.write('home/dev-issuer/key.pem', 'x');
    expect(read()).toMatchObject({
      ok: false,
      error: { exit: 64, problems: [{ file: at.path('home'), message: 'no root of trust was made here yet' }] },
    });
  });

  it('knows where the folder is that somebody further down means', async () => {
    await writeRoots(1);
    const io = { cwd: at.path('some/where/below'), env: {} } as unknown as Io;
    expect(readOwnTrust(homeOf('home', io), {}, io)).toMatchObject({
      ok: false,
      error: { exit: 64, problems: [{ remedy: `there is one at ${at.path('home')}: go to ${at.dir}, or name it with --dir` }] },
    });
  });

  it('refuses a folder without roots', async () => {
    await writeRoots(1);
    at.write('empty/root/notes.txt', '');
    const io = { cwd: at.dir, env: {} } as unknown as Io;
    expect(readOwnTrust({ ...homeOf('home', io), roots: at.path('empty/root') }, {}, io)).toMatchObject({
      ok: false,
      error: { exit: 64, problems: [{ message: 'holds no Root' }] },
    });
  });
});
