/**
 * The record protection of TLS 1.3, for the one record that the gateway writes in OpenSSL's place: RFC 8446, sections 5.2
 * and 5.3, with the keys of section 7.3.
 */

import { type CipherGCMTypes, createCipheriv, createHmac } from 'node:crypto';
import { plain } from './buffer.ts';

interface TlsSuite {
  readonly hash: 'sha256' | 'sha384';
  /** Of its digests, and so of its secrets. */
  readonly hashBytes: number;
  readonly aead: CipherGCMTypes | 'chacha20-poly1305';
  readonly keyBytes: number;
}

/** By their names in RFC 8446, appendix B.4. */
const SUITES: ReadonlyMap<string, TlsSuite> = new Map<string, TlsSuite>([
  ['TLS_AES_128_GCM_SHA256', { hash: 'sha256', hashBytes: 32, aead: 'aes-128-gcm', keyBytes: 16 }],
  ['TLS_AES_256_GCM_SHA384', { hash: 'sha384', hashBytes: 48, aead: 'aes-256-gcm', keyBytes: 32 }],
  ['TLS_CHACHA20_POLY1305_SHA256', { hash: 'sha256', hashBytes: 32, aead: 'chacha20-poly1305', keyBytes: 32 }],
]);

const IV_BYTES = 12;
const TAG_BYTES = 16;
const APPLICATION_DATA = 23;
/** Of what is protected (RFC 8446, section 5.2). */
const CONTENT_BYTES_MAX = 16_384;
const SEQUENCE_MAX = 0xff;

/** One record before its protection. */
export interface TlsRecord {
  /** The real content type: 21 is an alert. */
  readonly type: number;
  readonly content: Uint8Array;
  /** How many records the same secret has protected before, at most 255. Two records of one number give the key away. */
  readonly sequence: number;
}

/**
 * The whole record as it goes on the wire, without padding. `secret` is a traffic secret of the sender; it stays the
 * caller's to wipe, what is derived from it is wiped here. `undefined` for another suite, for a secret that is not as long
 * as the suite's hash, and beyond a bound.
 */
export function protectTlsRecord(suite: string, secret: Uint8Array, { type, content, sequence }: TlsRecord): Uint8Array | undefined {
  const terms = SUITES.get(suite);
  if (terms === undefined || secret.byteLength !== terms.hashBytes) return undefined;
  if (content.byteLength > CONTENT_BYTES_MAX || !Number.isSafeInteger(sequence) || sequence < 0 || sequence > SEQUENCE_MAX)
    return undefined;
  const key = expandLabel(terms, secret, 'key', terms.keyBytes);
  const nonce = expandLabel(terms, secret, 'iv', IV_BYTES);
  // The number in network order, padded to the left: so small a one is in the last byte alone.
  nonce[IV_BYTES - 1] = (nonce[IV_BYTES - 1] ?? 0) ^ sequence;
  const header = Buffer.from([APPLICATION_DATA, 3, 3, 0, 0]);
  header.writeUInt16BE(content.byteLength + 1 + TAG_BYTES, 3);
  // Both kinds take the same arguments; the types know each by its own overload.
  const cipher = createCipheriv(terms.aead as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  const sealed = Buffer.concat([header, cipher.update(content), cipher.update(Uint8Array.of(type)), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  nonce.fill(0);
  return plain(sealed);
}

/** HKDF-Expand-Label without a context (RFC 8446, section 7.1), of at most one digest: the first block of RFC 5869, section 2.3. */
function expandLabel({ hash }: TlsSuite, secret: Uint8Array, label: 'key' | 'iv', bytes: number): Buffer {
  const full = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Uint8Array.of(0, bytes, full.byteLength), full, Uint8Array.of(0, 1)]);
  const block = createHmac(hash, secret).update(info).digest();
  const expanded = Buffer.from(block.subarray(0, bytes));
  block.fill(0);
  return expanded;
}
