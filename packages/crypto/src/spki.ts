/** Public keys as SubjectPublicKeyInfo (RFC 8410, RFC 5480), and the names of their signature algorithms. */

import { plain } from './buffer.ts';
import { publicKeyObject } from './key-object.ts';
import type { KeyAlg, VerifyKey } from './verify-key.ts';

/** id-Ed25519 (RFC 8410 section 3) and ecdsa-with-SHA256 (RFC 5758 section 3.2); neither has parameters. */
export const SIGNATURE_OIDS: Readonly<Record<KeyAlg, string>> = { ed25519: '1.3.101.112', es256: '1.2.840.10045.4.3.2' };

/** DER; `undefined` for bytes that are no key. */
export function spkiOf(key: VerifyKey): Uint8Array | undefined {
  const keyObject = publicKeyObject(key);
  return keyObject === undefined ? undefined : plain(keyObject.export({ format: 'der', type: 'spki' }));
}
