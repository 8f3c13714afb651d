import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeFolders } from './make-folders.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-folders-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe('folders', () => {
  test('are made with those above them, and told outermost first', () => {
    const made = makeFolders(join(folder, 'a', 'b', 'c'), 0o700);
    expect(made).toEqual(['a', 'a/b', 'a/b/c'].map((name) => join(folder, name)));
    expect(made.map(modeOf)).toEqual(['700', '700', '700']);
  });

  test('that are there stay as they are', () => {
    mkdirSync(join(folder, 'a'), { mode: 0o750 });
    expect(makeFolders(join(folder, 'a'), 0o700)).toEqual([]);
    expect(makeFolders(join(folder, 'a', 'b'), 0o700)).toEqual([join(folder, 'a', 'b')]);
    expect(modeOf(join(folder, 'a'))).toBe('750');
  });

  test.each([
    ['a file stands there', 'file', 'EEXIST'],
    ['a file stands above', 'file/below', 'ENOTDIR'],
    ['a link leads nowhere', 'link/below', 'EEXIST'],
  ])('are not made where %s', (_name, path, code) => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    expect(() => makeFolders(join(folder, path), 0o700)).toThrow(code);
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  });

  // Not run without a /proc: only such a file system says yes to a name and never makes it.
  // In a process of its own, which can be ended: what is ruled out is a loop that hears no signal.
  test.skipIf(!existsSync('/proc/self'))('are refused at once by a file system that makes none', () => {
    const script = `
      import { makeFolders } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'make-folders.ts')).href)};
      try { makeFolders('/proc/sallyport/below', 0o700); } catch (error) { console.log(error.code); }`;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000, killSignal: 'SIGKILL' });
    expect([ran.signal, ran.stdout.toString()]).toEqual([null, 'ENOENT\n']);
  });
});
