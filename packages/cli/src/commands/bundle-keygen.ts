/** `sallyport bundle keygen`: one Ed25519 key pair for a signer. */

import { generateKey, savePrivateKey, signerFromPem } from '@sallyport/crypto/keys';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import { required, text } from '../option.ts';
import { refusal } from '../output.ts';
import { publicKeyPem } from '../public-key.ts';
import { publicText } from '../root/make-root.ts';

export const bundleKeygen: Command = command({
  name: 'bundle keygen',
  group: "Signers' tools",
  summary: 'make an Ed25519 key for signing',
  details: [
    'Writes the private half (PKCS#8, mode 0600) to a new file, and prints the public half, which a Root or a delegation has to list before the key counts for anything.',
  ],
  options: {
    out: required('--out FILE', 'new file for the private key'),
    public: text('--public FILE', 'new file for the public half (PEM), to pass on'),
  },
  examples: [{ line: 'bundle keygen --out mine.pem --public mine.pub', says: 'for a publisher, or a holder of any other role' }],
  async run({ options, io, out }) {
    const file = at(io.cwd, options.out);
    const misplaced = outProblem(file, { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const shared = options.public === undefined ? undefined : at(io.cwd, options.public);
    const unshared = shared === undefined ? undefined : outProblem(shared, { as: 'new', shown: options.public ?? '' });
    if (unshared !== undefined) return out.refuse({ exit: 64, problems: [unshared] });
    const key = generateKey('ed25519');
    const saved = savePrivateKey(file, key.privatePem);
    if (!saved.ok) return out.refuse(refusal(64, saved.error.message, saved.error.remedy));
    const written = shared === undefined ? undefined : writeFile(shared, publicKeyPem(key.publicRaw), { mode: 0o644, as: 'new' });
    if (written?.ok === false) return out.refuse({ exit: 64, problems: [written.error] });
    const { keyId } = signerFromPem(key.privatePem);
    const shown = publicText(key);
    await out.answer(
      { file, alg: 'ed25519', keyid: keyId, public: shown, ...(shared === undefined ? {} : { public_file: shared }) },
      `key id      ${keyId}\npublic key  ${shown}\nprivate key ${file} (keep it; it cannot be made again)`,
    );
    return 0;
  },
});
