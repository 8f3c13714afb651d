/**
 * Who is calling: the SPIFFE id of the client certificate, believed only as far as Root lets its authority certify. The
 * handshake has verified the chain; this adds what it cannot know, the prefixes of each authority.
 */

import { encodeHex, sha256, verifyChain } from '@sallyport/crypto';
import { formatSpiffeId, parseSpiffeId } from '@sallyport/identity';
import type { SpiffeId, WorkloadPurpose } from '@sallyport/identity';
import type { Clock, Instant } from '@sallyport/model';
import type { Peer } from '@sallyport/net';
import { authoritiesFor } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';

/** A caller whose certificate, purpose and authority are proven. */
export interface Caller {
  readonly spiffeId: SpiffeId;
  readonly purpose: WorkloadPurpose;
  /** When its certificate ends; no stream outlives it. */
  readonly notAfter: Instant;
  /** DER of its leaf. */
  readonly certificate: Uint8Array;
}

/** The caller behind a peer; `undefined` where the certificate proves nothing here. */
export type ProveCaller = (peer: Peer | undefined) => Caller | undefined;

const REMEMBERED_MAX = 8_192;

/** Judges a certificate once and remembers the answer until it ends: a sidecar makes many calls under one. */
export function callers(options: { readonly root: TrustedRoot; readonly clock: Clock }): ProveCaller {
  const { root, clock } = options;
  // Owner: this closure. By fingerprint; the oldest goes when it is full.
  const proven = new Map<string, Caller>();
  return (peer) => {
    if (peer === undefined) return undefined;
    const fingerprint = encodeHex(sha256(peer.certificate));
    const known = proven.get(fingerprint) ?? prove(peer, root, clock.wall());
    // A connection outlives a handshake: the certificate that opened it may have ended since.
    if (known === undefined || clock.wall() > known.notAfter) {
      proven.delete(fingerprint);
      return undefined;
    }
    if (!proven.has(fingerprint)) {
      const [oldest] = proven.keys();
      if (proven.size >= REMEMBERED_MAX && oldest !== undefined) proven.delete(oldest);
      proven.set(fingerprint, known);
    }
    return known;
  };
}

function prove(peer: Peer, root: TrustedRoot, now: Instant): Caller | undefined {
  const workload = parseSpiffeId(peer.spiffeId);
  if (!workload.ok || workload.value.trustDomain !== root.trustDomain) return undefined;
  // An authority for administrators must not be able to make a sidecar, nor the other way round.
  const chain = verifyChain([peer.certificate], authoritiesFor(root, peer.spiffeId), now);
  if (!chain.ok || chain.leaf.spiffeId !== peer.spiffeId) return undefined;
  return {
    spiffeId: formatSpiffeId(workload.value),
    purpose: workload.value.purpose,
    notAfter: chain.leaf.notAfter as Instant,
    certificate: peer.certificate,
  };
}
