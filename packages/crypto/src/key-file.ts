/** Private keys in files: refused where others can read them, written so that only the owner can. */

import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { signerFromPem } from './signer.ts';
import type { LocalSigner } from './signer.ts';

/** Why a key file is refused, with what to do about it; names the path, never its content. */
export interface KeyFileProblem {
  readonly code: 'unreadable' | 'unwritable' | 'not_a_file' | 'exposed' | 'too_large' | 'not_a_key';
  readonly message: string;
  readonly remedy: string;
}

/** Has the shape of model's `Result`. */
export type KeyFileResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: KeyFileProblem };

const KEY_FILE_BYTES_MAX = 16_384;
const OTHERS = 0o077;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const A_KEY_IS = 'an unencrypted PKCS#8 PEM of an Ed25519 or P-256 key is needed';

/** The text of a private key file that only its owner can read (mode & 077 is 0; not judged on Windows, which has no modes). */
export function loadPrivateKey(path: string): KeyFileResult<string> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    // Asked of the open file, not of the path: what was judged is what is read.
    const { mode, size, isFile } = describe(descriptor);
    if (!isFile) return no('not_a_file', `\`${path}\` is not a file`, 'name a file that holds a private key in PEM');
    if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
      if (size <= KEY_FILE_BYTES_MAX && !PRIVATE_KEY.test(readFileSync(descriptor, 'utf8')))
        return no('not_a_key', `\`${path}\` holds no private key`, A_KEY_IS);
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      const remedy = `chmod 600 '${path}', or defaultMode: 0400 on a mounted secret`;
      return no('exposed', `others than its owner can reach the private key \`${path}\` (mode ${shown})`, remedy);
    }
    if (size > KEY_FILE_BYTES_MAX) {
      return no('too_large', `\`${path}\` is too large for a private key`, `a key is at most ${KEY_FILE_BYTES_MAX} bytes`);
    }
    return { ok: true, value: readFileSync(descriptor, 'utf8') };
  } catch (error) {
    return no('unreadable', `cannot read the private key \`${path}\`: ${reasonOf(error)}`, 'check the path and its owner');
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** `loadPrivateKey` and a signer over it. */
export function loadSigner(path: string): KeyFileResult<LocalSigner> {
  const loaded = loadPrivateKey(path);
  if (!loaded.ok) return loaded;
  try {
    return { ok: true, value: signerFromPem(loaded.value) };
  } catch (error) {
    return no('not_a_key', `\`${path}\`: ${reasonOf(error)}`, A_KEY_IS);
  }
}

/** Writes a new file with mode 0600 and syncs it. Never touches an existing one: an overwritten key is a lost key. */
export function savePrivateKey(path: string, privatePem: string): KeyFileResult<undefined> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'wx', 0o600);
    writeFileSync(descriptor, privatePem);
    fsyncSync(descriptor);
    return { ok: true, value: undefined };
  } catch (error) {
    return no('unwritable', `cannot write the private key \`${path}\`: ${reasonOf(error)}`, 'name a new file in a folder you own');
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const no = (code: KeyFileProblem['code'], message: string, remedy: string): { readonly ok: false; readonly error: KeyFileProblem } => ({
  ok: false,
  error: { code, message, remedy },
});

function describe(descriptor: number): { readonly mode: number; readonly size: number; readonly isFile: boolean } {
  const stats = fstatSync(descriptor);
  return { mode: stats.mode, size: stats.size, isFile: stats.isFile() };
}

/** The system's reason in words where we have them, else its code, else the message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  return 'code' in error && typeof error.code === 'string' ? (REASONS[error.code] ?? error.code) : error.message;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'this is not a folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EEXIST: 'it exists, and is not overwritten',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
};
