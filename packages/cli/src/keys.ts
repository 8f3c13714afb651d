/** Signing keys from files: every one that is missing, exposed or of the wrong kind is reported at once. */

import { loadSigner } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';

/** Ed25519 signers of the files, in order. */
export function loadSigners(files: readonly string[]): Result<readonly LocalSigner[], readonly Problem[]> {
  const signers: LocalSigner[] = [];
  const problems: Problem[] = [];
  for (const file of files) {
    const loaded = loadSigner(file);
    if (!loaded.ok) problems.push({ path: '', message: loaded.error.message, remedy: loaded.error.remedy });
    else if (loaded.value.alg !== 'ed25519')
      problems.push({
        path: '',
        message: `\`${file}\` holds a key that cannot sign policy`,
        remedy: 'make an Ed25519 key with `sallyport bundle keygen`',
      });
    else signers.push(loaded.value);
  }
  return problems.length === 0 ? ok(signers) : fail(problems);
}
