import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realFileSystem } from './file-system.ts';
import { lockState, stateHolder } from './state-lock.ts';

describe('the lock of a state folder', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'sallyport-lock-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const lock = (): (() => void) => lockState(realFileSystem(), dir, 'sidecar');

  it('is refused while another living process holds it, with its number and what to do', () => {
    writeFileSync(join(dir, 'lock'), `${process.ppid} -\n`);
    expect(lock).toThrow(`is used by process ${process.ppid}: one sidecar at a time; stop that one`);
  });

  it('is taken over from a process that was killed', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    writeFileSync(join(dir, 'lock'), `${child.pid} -\n`);
    lock();
    expect(readFileSync(join(dir, 'lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `));
  });

  // Not run off Linux: elsewhere a process's beginning is unknown, and the number alone holds.
  it.runIf(process.platform === 'linux')('is not held by a stranger that got a dead holder’s number', () => {
    writeFileSync(join(dir, 'lock'), `${process.ppid} 1\n`);
    expect(lock).not.toThrow();
  });

  it('is taken over where it is torn or empty, and is gone when given back', () => {
    for (const torn of ['', '\n', 'x', '-1 -', '99999999999 -']) {
      writeFileSync(join(dir, 'lock'), torn);
      lock()();
      expect(() => readFileSync(join(dir, 'lock'))).toThrow('ENOENT');
    }
  });

  it.each([
    ['was left behind', '4194304 -\n'],
    ['is empty', ''],
  ])('of two that find one that %s, the slower does not take it from the faster', (_, left) => {
    const path = join(dir, 'lock');
    const faster = `${process.ppid} -\n`;
    writeFileSync(path, left);
    const disk = realFileSystem();
    // The faster one is done with it between our judging and our taking.
    const racing: typeof disk = {
      ...disk,
      rename: (from, to) => {
        if (from === path) writeFileSync(path, faster);
        disk.rename(from, to);
      },
      unlink: (name) => {
        if (name === path) writeFileSync(path, faster);
        return disk.unlink(name);
      },
    };
    expect(() => lockState(racing, dir, 'sidecar')).toThrow('was just taken by another process');
    expect([readFileSync(path, 'utf8'), readdirSync(dir)]).toEqual([faster, ['lock']]);
  });

  it('of one that is being written waits for its words', () => {
    writeFileSync(join(dir, 'lock'), '');
    const disk = realFileSystem();
    let looks = 0;
    const slow: typeof disk = {
      ...disk,
      readFile: (path, bytesMax) => {
        looks += 1;
        if (looks === 5) writeFileSync(join(dir, 'lock'), `${process.ppid} -\n`);
        return disk.readFile(path, bytesMax);
      },
    };
    expect(() => lockState(slow, dir, 'sidecar')).toThrow(`is used by process ${process.ppid}`);
  });

  it('says who holds it to those who only ask', () => {
    const holder = (): number | undefined => stateHolder(realFileSystem(), dir);
    expect(holder()).toBeUndefined();
    const giveBack = lock();
    expect([holder(), readFileSync(join(dir, 'lock'), 'utf8').split(' ')[0]]).toEqual([process.pid, String(process.pid)]);
    giveBack();
    expect(holder()).toBeUndefined();
    writeFileSync(join(dir, 'lock'), 'x');
    expect(holder()).toBeUndefined();
  });
});
