import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadPrivateKey, loadSigner, savePrivateKey } from './key-file.ts';
import { generateKey, signerFromPem } from './signer.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const { privatePem, publicRaw } = generateKey('ed25519');

test('a saved key is readable by its owner alone and loads as the same key', () => {
  const path = join(folder, 'saved.pem');
  expect(savePrivateKey(path, privatePem).ok).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const loaded = loadSigner(path);
  expect(loaded.ok && loaded.value.publicRaw).toEqual(publicRaw);
});

test('a key file is never overwritten', () => {
  const path = join(folder, 'precious.pem');
  writeFileSync(path, 'precious', { mode: 0o600 });
  const saved = savePrivateKey(path, privatePem);
  expect(!saved.ok && saved.error.code).toBe('unwritable');
  expect(readFileSync(path, 'utf8')).toBe('precious');
});

test.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])('exposed key: mode %o is refused with a remedy', (mode) => {
  const path = join(folder, `exposed-${mode}.pem`);
  writeFileSync(path, privatePem);
  chmodSync(path, mode);
  const loaded = loadPrivateKey(path);
  expect(!loaded.ok && loaded.error.code).toBe('exposed');
  expect(!loaded.ok && loaded.error.remedy).toContain(`chmod 600 '${path}'`);
});

test('exposed key: a private link does not hide a file that others can read', () => {
  const [target, link] = [join(folder, 'target.pem'), join(folder, 'link.pem')];
  writeFileSync(target, privatePem);
  chmodSync(target, 0o644);
  symlinkSync(target, link);
  const loaded = loadPrivateKey(link);
  expect(!loaded.ok && loaded.error.code).toBe('exposed');
});

test('what is missing, a folder, too large or no key is refused, and the message holds nothing of the file', () => {
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const refusals = [
    loadSigner(join(folder, 'missing.pem')),
    loadSigner(folder),
    loadSigner(write('large.pem', 'x'.repeat(20_000))),
    loadSigner(write('garbage.pem', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n')),
  ];
  expect(refusals.map((result) => !result.ok && result.error.code)).toEqual(['unreadable', 'not_a_file', 'too_large', 'not_a_key']);
  for (const result of refusals) expect(JSON.stringify(result)).not.toContain('c2VjcmV0');
});

test('the system’s reasons are told in words', () => {
  const taken = join(folder, 'taken.pem');
  writeFileSync(taken, 'mine', { mode: 0o600 });
  const absent = join(folder, 'nowhere', 'key.pem');
  const told = [loadSigner(absent), savePrivateKey(absent, privatePem), savePrivateKey(taken, privatePem)];
  expect(told.map((result) => (result.ok ? '' : result.error.message.replaceAll(folder, '<folder>')))).toEqual([
    'cannot read the private key `<folder>/nowhere/key.pem`: there is no such file or folder',
    'cannot write the private key `<folder>/nowhere/key.pem`: there is no such file or folder',
    'cannot write the private key `<folder>/taken.pem`: it exists, and is not overwritten',
  ]);
});

test('of a file that others can read and that is no key, it is said that it is none', () => {
  const path = join(folder, 'README.md');
  writeFileSync(path, '# not a key');
  chmodSync(path, 0o644);
  expect(loadPrivateKey(path)).toMatchObject({ ok: false, error: { code: 'not_a_key', message: `\`${path}\` holds no private key` } });
});

test('a key of another kind is refused', () => {
  expect(() => signerFromPem('-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n')).toThrow(TypeError);
});
