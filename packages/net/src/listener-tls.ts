/** The TLS of a listener that callers reach: a certificate of anybody's CA, TLS 1.2 or 1.3, HTTP/2 or HTTP/1.1. */

import type { TlsOptions } from 'node:tls';

/** All PEM. */
export interface ListenerTls {
  /** The leaf first, then what leads to a CA that callers believe. */
  readonly certificate: string;
  readonly key: string;
  /** Authorities one of which must vouch for every caller's certificate; without them none is asked for. */
  readonly clientAuthorities?: string;
}

/**
 * For Node. Forward secrecy and authenticated encryption alone (RFC 9325, section 4). No renegotiation (section 3.5): Node
 * would allow three, and judge none of the certificates that are shown in them.
 */
export function listenerTls({ certificate, key, clientAuthorities }: ListenerTls): TlsOptions {
  return {
    cert: certificate,
    key,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    ALPNProtocols: ['h2', 'http/1.1'],
    noDelay: true,
    // The deadline is this listener's own (`handshakes`); Node's would go by another clock.
    handshakeTimeout: 0x7fff_ffff,
    secureOptions: SSL_OP_NO_RENEGOTIATION,
    ...(clientAuthorities === undefined ? {} : clientProof(clientAuthorities)),
  };
}

/**
 * A resumed session would bring a certificate in that is judged no more: it may have expired, or its authority be gone. Node
 * verifies and does not act on it, because it would close the connection without a word: whoever proved nothing is turned
 * away by `handshakes`, with an alert (ADR 39).
 */
function clientProof(ca: string): TlsOptions {
  return { ca, requestCert: true, rejectUnauthorized: false, secureOptions: SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET };
}

/** OpenSSL's; the first ends resumption by tickets, and there is no other kind here. */
const SSL_OP_NO_TICKET = 0x4000;
const SSL_OP_NO_RENEGOTIATION = 0x4000_0000;

const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
