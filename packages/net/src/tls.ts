/** Certificates of this process and of its peers: what is held, who the other side is, and when it may be spoken to. */

import type { Instant, Problem, Result } from '@sallyport/model';
import { Bug } from '@sallyport/model';

/** A process's TLS identity and whom it believes. */
export interface TlsMaterial {
  /** DER, leaf first, up to and including the CA (so that a peer that pins its digest can find it). */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8, PEM. */
  readonly privatePem: string;
  /** DER of the CAs that may certify peers. */
  readonly authorities: readonly Uint8Array[];
}

/** The material in use, replaceable while running: new connections use the new one, running ones go on. */
export interface TlsHolder {
  readonly current: TlsMaterial;
  /** Refuses, and keeps what it holds, when the key does not fit the leaf or something cannot be read. */
  replace(material: TlsMaterial): Result<void, readonly Problem[]>;
  /** Calls back after each replacement until the signal aborts. */
  onReplace(listener: (material: TlsMaterial) => void, options: { readonly signal: AbortSignal }): void;
}

/** Which peers are meant, by SPIFFE path: `/control-plane`, `/collector`, `/sidecar/…`, `/admin/…`. */
export type PeerPurpose = 'control_plane' | 'collector' | 'sidecar' | 'admin';

/** A peer whose certificate was verified in the handshake. */
export interface Peer {
  /** The one URI of its certificate: `spiffe://<trust domain>/<path>`. */
  readonly spiffeId: string;
  readonly purpose: PeerPurpose;
  /** DER of its leaf. */
  readonly certificate: Uint8Array;
  /** A long stream outlives its certificate: whoever keeps one open compares this with its own clock. */
  readonly notAfter: Instant;
}

export function tlsHolder(material: TlsMaterial): Result<TlsHolder, readonly Problem[]> {
  throw new Bug(`to come ${material.privatePem.length}`);
}
