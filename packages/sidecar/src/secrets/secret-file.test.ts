import { projectedVolume } from '@sallyport/testkit';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecretFile } from './secret-file.ts';
import { SECRET_BYTES_MAX } from './secret-source.ts';

let folder: string;
const put = (name: string, content: string | Uint8Array, mode = 0o600): void => writeFileSync(join(folder, name), content, { mode });
const read = async (name = 'key'): Promise<unknown> => {
  const sourced = await readSecretFile(folder, name);
  return 'failure' in sourced ? sourced.failure : { value: sourced.value };
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a secret in a file', () => {
  it.each<[string, string | Uint8Array, unknown]>([
    ['as it stands', 'abc', { value: 'abc' }],
    ['without the newline that an editor puts at its end', 'abc\n', { value: 'abc' }],
    ['without that of another system', 'abc\r\n', { value: 'abc' }],
    ['with blanks inside', 'abc def', { value: 'abc def' }],
    ['not with a second newline, which would be part of it', 'abc\n\n', 'malformed'],
    ['not with a header of its own behind it', 'abc\r\nX-Evil: 1', 'malformed'],
    ['not with a blank around it, which servers read differently', ' abc', 'malformed'],
    ['not with what is no ASCII', 'äbc', 'malformed'],
    ['not with a zero byte', 'a\0b', 'malformed'],
    ['not when it is empty', '', 'empty'],
    ['not when there is but a newline', '\n', 'empty'],
    ['at its largest', 'a'.repeat(SECRET_BYTES_MAX), { value: 'a'.repeat(SECRET_BYTES_MAX) }],
    ['not one byte larger', 'a'.repeat(SECRET_BYTES_MAX + 1), 'too_large'],
  ])('is read %s', async (_how, content, expected) => {
    put('key', content);
    expect(await read()).toEqual(expected);
  });

  it.each([
    [0o400, true],
    [0o600, true],
    [0o440, true],
    [0o640, true],
    [0o644, false],
    [0o604, false],
    [0o660, false],
    [0o602, false],
  ])('of mode %o is used: %s', async (mode, isUsed) => {
    put('key', 'abc');
    chmodSync(join(folder, 'key'), mode);
    expect(await read()).toEqual(isUsed ? { value: 'abc' } : 'exposed');
  });

  it('is missing where it, its folder or the folder of all is not there', async () => {
    expect([await read(), await read('no/key'), await readSecretFile(join(folder, 'none'), 'key')]).toEqual([
      'missing',
      'missing',
      { failure: 'missing' },
    ]);
  });

  it('is no folder, and no pipe, which is not waited for', async () => {
    mkdirSync(join(folder, 'dir'));
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
    expect([await read('dir'), await read('pipe')]).toEqual(['unreadable', 'unreadable']);
  });

  it('is not read past its bound, however long the file grows', async () => {
    put('key', 'a'.repeat(100_000));
    appendFileSync(join(folder, 'key'), 'b'.repeat(100_000));
    expect(await read()).toBe('too_large');
  });

  it('is not what a link leads to outside of the folder, nor in a folder whose name only begins alike', async () => {
    const beside = `${folder}-beside`;
    mkdirSync(beside);
    try {
      writeFileSync(join(beside, 'key'), 'stolen', { mode: 0o600 });
      symlinkSync(join(beside, 'key'), join(folder, 'key'));
      symlinkSync(beside, join(folder, 'sub'));
      symlinkSync('/proc/self/environ', join(folder, 'environ'));
      expect([await read(), await read('sub/key'), await read('environ')]).toEqual(['unreadable', 'unreadable', 'unreadable']);
    } finally {
      rmSync(beside, { recursive: true });
    }
  });

  it('is never missing, nor half, while a projected volume changes under the reader', async () => {
    const volume = projectedVolume({ key: 'key-0', other: 'x' });
    try {
      const seen: unknown[] = [];
      for (let round = 1; round <= 200; round++) {
        const reading = Array.from({ length: 4 }, () => readSecretFile(volume.folder, 'key'));
        // Each time at another step of the reader.
        for (let turn = 0; turn < round % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
        volume.write({ key: `key-${round}`, other: 'x' });
        seen.push(...(await Promise.all(reading)));
      }
      for (const one of seen) expect(one).toMatchObject({ value: expect.stringMatching(/^key-[0-9]+$/) as string });
      expect(await readSecretFile(volume.folder, 'key')).toMatchObject({ value: 'key-200' });
    } finally {
      volume.close();
    }
  });
});
