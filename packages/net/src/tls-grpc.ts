/**
 * TLS for grpc-js, by its own extension points: both classes are meant to be extended, their underscored methods are in
 * its typings, and its version is pinned. What it has ready made takes no TLS version, keeps one certificate for a
 * channel's life, and checks DNS names.
 */

import { type CallCredentials, ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import { connect, createSecureContext, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { equalBytes, sha256 } from '@sallyport/crypto';
import { fail } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import type { ServerTrust } from './grpc-client.ts';
import { type Peer, secureOptions, type TlsHolder, type TlsMaterial, verifyPeer } from './tls.ts';

const HANDSHAKE_MS_MAX = 10_000;

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** A server's side: each new connection gets the certificate that is current then. */
export class ReloadingServerCredentials extends ServerCredentials {
  constructor(tls: TlsHolder, options: { readonly clients: 'verified' | 'anyone'; readonly signal: AbortSignal }) {
    const isVerified = options.clients === 'verified';
    super({ requestCert: isVerified, rejectUnauthorized: isVerified, handshakeTimeout: HANDSHAKE_MS_MAX }, secureOptions(tls.current));
    tls.onReplace((material: TlsMaterial) => this.updateSecureContextOptions(secureOptions(material)), { signal: options.signal });
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

/** A client's side: each new connection presents the certificate that is current then, and verifies whom it reached. */
export class TrustingChannelCredentials extends ChannelCredentials {
  readonly #trust: ServerTrust;
  readonly #clock: Clock;
  readonly #onPeer: (peer: Peer) => void;

  constructor(trust: ServerTrust, clock: Clock, onPeer: (peer: Peer) => void) {
    super();
    this.#trust = trust;
    this.#clock = clock;
    this.#onPeer = onPeer;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(_target: unknown, _options: unknown, callCredentials?: CallCredentials): SecureConnector {
    return {
      connect: async (socket: Socket) => ({ socket: await this.#secure(socket), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? credentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  async #secure(socket: Socket): Promise<TLSSocket> {
    const trust = this.#trust;
    const material = trust.kind === 'peer' ? trust.tls.current : undefined;
    const secured = connect({
      socket,
      secureContext: createSecureContext(secureOptions(material)),
      ALPNProtocols: ['h2'],
      // Without a CA at hand the chain is judged below, against the digest; in either case the SPIFFE id is.
      rejectUnauthorized: trust.kind === 'peer',
      checkServerIdentity: () => undefined,
    });
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('close', () => reject(new Error('the connection was closed in the handshake')));
      secured.on('error', reject);
    });
    const peer = secured.alpnProtocol === 'h2' ? this.#verify(secured) : fail('it does not speak HTTP/2');
    if (!peer.ok) {
      secured.destroy();
      throw new Error(`the server is not trusted: ${peer.error}`);
    }
    this.#onPeer(peer.value);
    return secured;
  }

  #verify(secured: TLSSocket): Result<Peer, string> {
    const trust = this.#trust;
    const presented = presentedChain(secured);
    const [leaf] = presented;
    if (leaf === undefined) return fail('it presented no certificate');
    const pinned = trust.kind === 'peer' ? undefined : presented.find((der) => equalBytes(sha256(der), trust.digest));
    const authorities = trust.kind === 'peer' ? trust.tls.current.authorities : pinned === undefined ? [] : [pinned];
    if (authorities.length === 0) return fail('its chain does not hold the CA with the pinned digest');
    const terms = { authorities, trustDomain: trust.trustDomain, usage: 'tls-server', now: this.#clock.wall() } as const;
    const peer = verifyPeer(leaf, terms);
    if (peer.ok && peer.value.purpose !== trust.purpose) return fail(`it is \`${peer.value.spiffeId}\`, not a ${trust.purpose}`);
    return peer;
  }
}

const PRESENTED_MAX = 5;

/** DER certificates that the peer sent, leaf first. */
function presentedChain(secured: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: DetailedPeerCertificate | undefined = secured.getPeerCertificate(true);
  // A self-signed certificate is its own issuer, here as an endless ring.
  while (next?.raw !== undefined && chain.length < PRESENTED_MAX && !chain.some((der) => equalBytes(der, next?.raw ?? der))) {
    chain.push(new Uint8Array(next.raw));
    next = next.issuerCertificate as DetailedPeerCertificate | undefined;
  }
  return chain;
}
