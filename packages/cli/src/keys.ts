/** Signing keys by reference, a file or a command: every one that is missing, exposed or of the wrong kind is reported at once. */

import { loadSigner } from '@sallyport/crypto/keys';
import type { Signer } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { at } from './files.ts';
import type { Io } from './io.ts';
import { commandSigner } from './signing-command.ts';

const COMMAND = 'command:';

/** References as they were typed, with their paths absolute. */
export function keyReferences(given: readonly string[], { cwd }: Pick<Io, 'cwd'>): readonly string[] {
  return given.map((one) => (one.startsWith(COMMAND) ? `${COMMAND}${at(cwd, one.slice(COMMAND.length))}` : at(cwd, one)));
}

/** Ed25519 signers of the references, in order. */
export function loadSigners(
  references: readonly string[],
  io: Pick<Io, 'clock' | 'signal' | 'env' | 'note'>,
): Result<readonly Signer[], readonly Problem[]> {
  const signers: Signer[] = [];
  const problems: Problem[] = [];
  for (const reference of references) {
    const loaded = reference.startsWith(COMMAND) ? commandSigner(reference.slice(COMMAND.length), io) : fileSigner(reference);
    if (loaded.ok) signers.push(loaded.value);
    else problems.push(...loaded.error);
  }
  return problems.length === 0 ? ok(signers) : fail(problems);
}

function fileSigner(file: string): Result<Signer, readonly Problem[]> {
  const loaded = loadSigner(file);
  if (!loaded.ok) return fail([{ path: '', message: loaded.error.message, remedy: loaded.error.remedy }]);
  if (loaded.value.alg === 'ed25519') return ok(loaded.value);
  return fail([
    {
      path: '',
      message: `\`${file}\` holds a key that cannot sign policy`,
      remedy: 'make an Ed25519 key with `sallyport bundle keygen`',
    },
  ]);
}
