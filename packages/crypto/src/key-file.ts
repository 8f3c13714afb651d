/** Private keys in files: refused where others can read them, written so that only the owner can. */

import type { LocalSigner } from './signer.ts';

/** Why a key file is refused, with what to do about it; names the path, never its content. */
export interface KeyFileProblem {
  readonly code: 'unreadable' | 'not_a_file' | 'exposed' | 'too_large' | 'not_a_key';
  readonly message: string;
  readonly remedy: string;
}

/** Has the shape of model's `Result`. */
export type KeyFileResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: KeyFileProblem };

/** The PEM text of a private key file that only its owner can read (mode & 077 is 0; not judged on Windows). */
export function loadPrivateKey(_path: string): KeyFileResult<string> {
  throw new Error('to come');
}

/** `loadPrivateKey` and a signer over it. */
export function loadSigner(_path: string): KeyFileResult<LocalSigner> {
  throw new Error('to come');
}

/** Writes a new file with mode 0600, synced to disk. Refuses to touch an existing one (`unreadable` with the cause in words). */
export function savePrivateKey(_path: string, _privatePem: string): KeyFileResult<undefined> {
  throw new Error('to come');
}
