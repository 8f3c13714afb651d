/**
 * The alert for a client that proves nothing. OpenSSL would send it by itself, but Node's verify callback lets every
 * certificate pass and looks at the outcome after the handshake (ADR 39). At that instant the server's last messages still
 * wait in Node, so the alert is the first record under the keys that the client expects next.
 */

import type { TLSSocket } from 'node:tls';
import { protectTlsRecord } from '@sallyport/crypto';

/** RFC 8446, section 6. */
const ALERT = 21;
const FATAL = 2;
const HANDSHAKE_FAILURE = 40;
const BAD_CERTIFICATE = 42;
const UNSUPPORTED_CERTIFICATE = 43;
const CERTIFICATE_REVOKED = 44;
const CERTIFICATE_EXPIRED = 45;
const CERTIFICATE_UNKNOWN = 46;
const UNKNOWN_CA = 48;
const DECRYPT_ERROR = 51;
const CERTIFICATE_REQUIRED = 116;

/** As OpenSSL's own servers answer each of its errors, by the names that Node gives them. */
const DESCRIPTIONS: ReadonlyMap<string, number> = new Map([
  ['CERT_HAS_EXPIRED', CERTIFICATE_EXPIRED],
  ['CRL_HAS_EXPIRED', CERTIFICATE_EXPIRED],
  ['CERT_REVOKED', CERTIFICATE_REVOKED],
  ['CERT_NOT_YET_VALID', BAD_CERTIFICATE],
  ['CRL_NOT_YET_VALID', BAD_CERTIFICATE],
  ['CERT_REJECTED', BAD_CERTIFICATE],
  ['CERT_UNTRUSTED', BAD_CERTIFICATE],
  ['ERROR_IN_CERT_NOT_BEFORE_FIELD', BAD_CERTIFICATE],
  ['ERROR_IN_CERT_NOT_AFTER_FIELD', BAD_CERTIFICATE],
  ['UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', BAD_CERTIFICATE],
  ['UNABLE_TO_DECRYPT_CERT_SIGNATURE', BAD_CERTIFICATE],
  ['CERT_SIGNATURE_FAILURE', DECRYPT_ERROR],
  ['CRL_SIGNATURE_FAILURE', DECRYPT_ERROR],
  ['INVALID_PURPOSE', UNSUPPORTED_CERTIFICATE],
  ['CERT_CHAIN_TOO_LONG', UNKNOWN_CA],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNKNOWN_CA],
  ['INVALID_CA', UNKNOWN_CA],
  ['PATH_LENGTH_EXCEEDED', UNKNOWN_CA],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_CA],
  ['UNABLE_TO_GET_CRL', UNKNOWN_CA],
  ['UNABLE_TO_GET_ISSUER_CERT', UNKNOWN_CA],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_CA],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_CA],
]);

/** What stands against a client, for the log and for itself. */
export interface Objection {
  readonly detail: string;
  /** Of the alert. */
  readonly description: number;
}

/** `undefined` for a client that has proven itself in this very handshake. Whatever is not that has not. */
export function objectionTo(secured: TLSSocket): Objection | undefined {
  const isTls13 = secured.getProtocol() === 'TLSv1.3';
  if (secured.getPeerX509Certificate() === undefined) {
    return { detail: 'no certificate', description: isTls13 ? CERTIFICATE_REQUIRED : HANDSHAKE_FAILURE };
  }
  // A session is resumed nowhere here. Should one be, its certificate was judged in another handshake.
  if (secured.authorized && !secured.isSessionReused()) return undefined;
  // Typed as an error, and in truth the name of one of OpenSSL's.
  const detail = String(secured.authorizationError ?? 'UNSPECIFIED');
  return { detail, description: DESCRIPTIONS.get(detail) ?? CERTIFICATE_UNKNOWN };
}

/** Key log lines (RFC 9850) that count here: the secret to write under, and the last that comes before the server's end of the handshake. */
const WRITE_SECRET = Buffer.from('SERVER_TRAFFIC_SECRET_0 ');
const LAST_LINES = [Buffer.from('CLIENT_TRAFFIC_SECRET_0 '), Buffer.from('CLIENT_RANDOM ')];

/** One connection's means to be told, for as long as its handshake takes. */
export class AlertKey {
  #secret: Uint8Array | undefined;
  /** What had been sent when the client's own part was being read. */
  #sentBytes: number | undefined;

  /** A line of Node's key log, wiped before this returns; `sentBytes` is what the socket below has sent by then. */
  note(line: Buffer, sentBytes: number): void {
    if (startsWith(line, WRITE_SECRET)) {
      this.wipe();
      this.#secret = lastField(line);
    }
    if (LAST_LINES.some((label) => startsWith(line, label))) this.#sentBytes = sentBytes;
    line.fill(0);
  }

  /**
   * The whole record, once, at the end of a handshake in which `sentBytes` have been sent. `undefined` where it could not be
   * what the client expects next: Node sent more in the meantime, or another version of TLS was spoken.
   */
  seal(secured: TLSSocket, sentBytes: number, description: number): Uint8Array | undefined {
    const secret = this.#secret;
    const content = Uint8Array.of(FATAL, description);
    if (sentBytes !== this.#sentBytes) return undefined;
    // Before its own Finished a server of TLS 1.2 still speaks in the clear.
    if (secured.getProtocol() === 'TLSv1.2') return Uint8Array.of(ALERT, 3, 3, 0, content.byteLength, ...content);
    if (secured.getProtocol() !== 'TLSv1.3' || secret === undefined) return undefined;
    return protectTlsRecord(secured.getCipher().name, secret, { type: ALERT, content, sequence: 0 });
  }

  wipe(): void {
    this.#secret?.fill(0);
    this.#secret = undefined;
  }
}

function startsWith(line: Buffer, label: Buffer): boolean {
  return line.subarray(0, label.byteLength).equals(label);
}

/** Its bytes, read without making a text of them, which nobody could wipe. */
function lastField(line: Buffer): Uint8Array {
  const start = line.lastIndexOf(SPACE) + 1;
  const end = line.at(-1) === NEWLINE ? line.byteLength - 1 : line.byteLength;
  const bytes = new Uint8Array((end - start) >> 1);
  for (let at = 0; at < bytes.byteLength; at++) {
    bytes[at] = (digitOf(line[start + 2 * at]) << 4) | digitOf(line[start + 2 * at + 1]);
  }
  return bytes;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;

/** Of hexadecimal, in either case. */
function digitOf(character = 0): number {
  return (character & 0x0f) + (character > 0x39 ? 9 : 0);
}
