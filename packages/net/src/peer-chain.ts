/** The certificates that a peer of TLS showed, as bytes. What they are worth is judged by whoever asks who it is. */

import type { Socket } from 'node:net';
import { TLSSocket, type DetailedPeerCertificate } from 'node:tls';

/** Longer ones are cut, and lead to no authority then. */
const CERTIFICATES_MAX = 8;
const NONE: readonly Uint8Array[] = [];

/**
 * DER, the leaf first; empty where the peer showed none, and for a connection without TLS. The root that Node adds, as the
 * end of what it verified, was not shown and is left out.
 */
export function peerChainOf(socket: Socket): readonly Uint8Array[] {
  if (!(socket instanceof TLSSocket)) return NONE;
  const chain: Uint8Array[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // An empty object stands for no certificate, and a root is its own issuer.
  while (at?.raw !== undefined && chain.length < CERTIFICATES_MAX) {
    const issuer: DetailedPeerCertificate | undefined = at.issuerCertificate;
    const isRoot: boolean = issuer === at;
    if (!isRoot || chain.length === 0) chain.push(new Uint8Array(at.raw));
    at = isRoot ? undefined : issuer;
  }
  return chain.length === 0 ? NONE : chain;
}
