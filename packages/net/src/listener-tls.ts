/**
 * The TLS of a listener that callers reach: a certificate of anybody's CA, TLS 1.2 or 1.3, HTTP/2 or HTTP/1.1, and no connection that spends
 * longer on its handshake than on a head. Who a caller is, is not decided here.
 */

import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { addressOf } from './http-exchange.ts';
import type { ListenerRefusal } from './http-listener.ts';
import type { Watch, Watched } from './watch.ts';

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

/** A resumed session would bring a certificate in that is judged no more: it may have expired, or its authority be gone. */
function clientProof(ca: string): TlsOptions {
  return { ca, requestCert: true, rejectUnauthorized: true, secureOptions: SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET };
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

interface Handshakes {
  /** A connection has been accepted, and nothing of it is known. */
  begin(socket: Socket): void;
  /** Its handshake is over; to be called with the secured socket. */
  done(secured: Socket): void;
  /** It went wrong; reported. */
  failed(secured: Socket, detail: string): void;
  cutAll(): void;
}

/** Connections under handshake, each with a deadline. They are known by their address: Node hands out another socket after it. */
export function handshakes(options: {
  readonly watch: Watch;
  readonly msMax: number;
  readonly onRefusal: (refusal: ListenerRefusal) => unknown;
}): Handshakes {
  // Owner: this listener.
  const open = new Map<string, { readonly socket: Socket; readonly watched: Watched }>();
  const end = (address: string): void => {
    open.get(address)?.watched.end();
    open.delete(address);
  };
  // Once: what is cut for its slowness fails as well.
  const refuse = (address: string, detail: string): void => {
    if (!open.has(address)) return;
    end(address);
    options.onRefusal({ code: 'handshake_failed', detail, address, status: 0, isWithinExchange: false });
  };
  return {
    begin(socket) {
      const address = addressOf(socket);
      const watched = options.watch.add(() => {
        refuse(address, 'the handshake took too long');
        socket.destroy();
      });
      watched.within(options.msMax);
      open.set(address, { socket, watched });
      socket.on('error', () => undefined);
      socket.once('close', () => {
        if (open.get(address)?.socket !== socket) return;
        // A certificate that nobody vouches for ends so: Node closes the connection and has no name for it any more. One
        // that never said a word was only looking whether anybody is there.
        if (socket.bytesRead > 0) refuse(address, 'closed in the handshake');
        end(address);
      });
    },
    done: (secured) => end(addressOf(secured)),
    failed: (secured, detail) => refuse(addressOf(secured), detail),
    cutAll() {
      for (const [address, { socket }] of open) {
        end(address);
        socket.destroy();
      }
    },
  };
}
