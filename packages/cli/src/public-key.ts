/** Public halves of signing keys, as people pass them on: PEM as OpenSSL writes it (RFC 8410), or the 44 characters of base64. */

import { concatBytes, decodeBase64, decodeHex, encodeBase64, readVerifyKey } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { keyRecordOf } from '@sallyport/trust';
import type { KeyRecord } from '@sallyport/trust';
import { at, readText } from './files.ts';
import type { Io } from './io.ts';

const PUBLIC_KEY_BYTES_MAX = 4_096;
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4): it has no parameters, so all begin alike. */
const SPKI_HEAD: Uint8Array = decodeHex('302a300506032b6570032100') ?? new Uint8Array();
const PEM = /^-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END PUBLIC KEY-----\s*$/;
const BASE64 = /^([A-Za-z0-9+/]{43}=)\s*$/;

/** The record of the key in a file. */
export function readPublicKey(shown: string, io: Pick<Io, 'cwd'>): Result<KeyRecord, Problem> {
  const text = readText(at(io.cwd, shown), { bytesMax: PUBLIC_KEY_BYTES_MAX, shown });
  if (!text.ok) return text;
  if (text.value.includes('PRIVATE KEY'))
    return fail({
      path: '',
      file: shown,
      message: 'holds a private key, which nobody passes on',
      remedy: 'name its public half: `openssl pkey -in FILE -pubout`',
    });
  const raw = rawOf(text.value);
  if (raw === undefined || readVerifyKey('ed25519', raw) === undefined)
    return fail({
      path: '',
      file: shown,
      message: 'holds no public Ed25519 key',
      remedy: 'PEM as `bundle keygen --public` and `openssl pkey -pubout` write it, or 44 characters of base64',
    });
  return ok(keyRecordOf(raw));
}

function rawOf(text: string): Uint8Array | undefined {
  const [, plain] = BASE64.exec(text) ?? [];
  if (plain !== undefined) return decodeBase64(plain);
  const [, body] = PEM.exec(text) ?? [];
  const der = body === undefined ? undefined : decodeBase64(body.replaceAll(/\s+/g, ''));
  const isEd25519 = der?.byteLength === SPKI_HEAD.byteLength + 32 && SPKI_HEAD.every((byte, index) => der[index] === byte);
  return isEd25519 ? der.slice(SPKI_HEAD.byteLength) : undefined;
}

export function publicKeyPem(publicRaw: Uint8Array): string {
  return `-----BEGIN PUBLIC KEY-----\n${encodeBase64(concatBytes(SPKI_HEAD, publicRaw))}\n-----END PUBLIC KEY-----\n`;
}
