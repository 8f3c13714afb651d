import { chmodSync, existsSync, lstatSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesBelow, readBytes, readText, writeFile } from './files.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

describe('writing', () => {
  it('a new file never replaces one that is there', () => {
    at.write('f', 'old');
    const written = writeFile(at.path('f'), 'new', { mode: 0o600, as: 'new' });
    expect([written.ok, at.read('f')]).toEqual([false, 'old']);
  });

  it('a new file follows no link to somewhere else', () => {
    at.write('target', 'old');
    symlinkSync(at.path('target'), at.path('link'));
    expect([writeFile(at.path('link'), 'new', { mode: 0o600, as: 'new' }).ok, at.read('target')]).toEqual([false, 'old']);
  });

  it('a replacement appears whole, and leaves nothing beside it', () => {
    at.write('d/f', 'old');
    expect(writeFile(at.path('d/f'), 'new', { mode: 0o600, as: 'replacement' }).ok).toBe(true);
    expect([at.read('d/f'), readdirSync(at.path('d'))]).toEqual(['new', ['f']]);
  });

  it('a replacement is written neither through a link nor into a file that lay beside it', () => {
    at.write('target', 'old');
    symlinkSync(at.path('target'), at.path('f.tmp'));
    expect(writeFile(at.path('f'), 'new', { mode: 0o600, as: 'replacement' }).ok).toBe(true);
    expect([at.read('target'), at.read('f'), lstatSync(at.path('f')).isFile()]).toEqual(['old', 'new', true]);
    at.write('g.tmp', 'readable by all');
    chmodSync(at.path('g.tmp'), 0o666);
    writeFile(at.path('g'), 'secret', { mode: 0o600, as: 'replacement' });
    expect((statSync(at.path('g')).mode & 0o777).toString(8)).toBe('600');
  });

  it('makes folders for its owner alone, and the file with the mode that was asked for', () => {
    writeFile(at.path('a/b/f'), 'x', { mode: 0o600, as: 'new' });
    expect(['a', 'a/b', 'a/b/f'].map((name) => (statSync(at.path(name)).mode & 0o777).toString(8))).toEqual(['700', '700', '600']);
  });

  it('says what is in the way', () => {
    at.write('file', '');
    expect(writeFile(at.path('file/below'), 'x', { mode: 0o600, as: 'new' })).toMatchObject({
      ok: false,
      error: { file: at.path('file/below') },
    });
  });
});

describe('reading', () => {
  it.each([
    ['absent', 'nowhere', 'cannot be read: there is no such file or folder'],
    ['a folder', 'folder', 'this is a folder'],
    ['too long', 'long', 'longer than 3 bytes'],
  ])('refuses what is %s, by the name that was typed', (_name, name, message) => {
    at.write('folder/x', '');
    at.write('long', '1234');
    expect(readBytes(at.path(name), { bytesMax: 3, shown: name })).toMatchObject({ ok: false, error: { file: name, message } });
  });

  // Not run where no such device is: an ordinary file has an end.
  it.skipIf(!existsSync('/dev/zero'))('of something without an end stops at the bound', () => {
    expect(readBytes('/dev/zero', { bytesMax: 100_000 })).toMatchObject({ ok: false, error: { message: 'longer than 100000 bytes' } });
  });

  it('takes text only as UTF-8', () => {
    at.write('latin', Uint8Array.of(0xe9));
    expect(readText(at.path('latin'), { bytesMax: 9 })).toMatchObject({ ok: false, error: { message: 'is not UTF-8' } });
  });
});

describe('files below a folder', () => {
  it('are found at every depth, sorted, hidden ones, links and installed packages apart', () => {
    for (const name of ['b.yaml', 'a/z.yaml', 'a/.hidden.yaml', '.git/x.yaml', 'node_modules/x/y.yaml', 'a/no.txt']) at.write(name, '');
    symlinkSync(at.path('a'), at.path('linked'));
    expect(filesBelow(at.dir, (name) => name.endsWith('.yaml'), 10)).toEqual({ ok: true, value: ['a/z.yaml', 'b.yaml'] });
  });

  it('are bounded', () => {
    for (const name of ['a', 'b', 'c']) at.write(name, '');
    expect(filesBelow(at.dir, () => true, 2)).toMatchObject({ ok: false, error: { message: 'holds more than 2 files' } });
  });
});
