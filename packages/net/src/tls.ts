/**
 * Certificates of this process and of its peers: what is held and how it is replaced, who the other side is. A DNS name
 * proves nothing between our own processes; the one SPIFFE id of a certificate under our CA, of the right usage, does.
 */

import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { parseSpiffeId, readCertificate, verifyChain } from '@sallyport/crypto';
import type { CertificateUsage } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Instant, Problem, Result } from '@sallyport/model';

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

/** Which peers are meant, by SPIFFE path: `/control-plane`, `/collector`, `/sidecar/<agent>/<instance>`, `/admin/<name>`. */
export type PeerPurpose = 'control_plane' | 'collector' | 'sidecar' | 'admin';

/** A peer whose certificate was verified, for this trust domain, this side of TLS and this instant. */
export interface Peer {
  /** The one URI of its certificate: `spiffe://<trust domain>/<path>`. */
  readonly spiffeId: string;
  readonly purpose: PeerPurpose;
  /** DER of its leaf. */
  readonly certificate: Uint8Array;
  /** A long stream outlives its certificate: whoever keeps one open compares this with its own clock. */
  readonly notAfter: Instant;
}

/** What a peer's certificate must satisfy. */
export interface PeerTerms {
  readonly authorities: readonly Uint8Array[];
  readonly trustDomain: string;
  /** What the peer uses its certificate for: `tls-client` where we are the server. */
  readonly usage: 'tls-client' | 'tls-server';
  readonly now: Instant;
}

/** Holds material that is complete and fits together; every problem otherwise. */
export function tlsHolder(initial: TlsMaterial): Result<TlsHolder, readonly Problem[]> {
  const found = problemsOf(initial);
  if (found.length > 0) return fail(found);
  // Owner: this holder, through `replace`.
  let current = initial;
  const listeners = new Set<(material: TlsMaterial) => void>();
  return ok({
    get current() {
      return current;
    },
    replace(material) {
      const problems = problemsOf(material);
      if (problems.length > 0) return fail(problems);
      current = material;
      for (const listener of listeners) listener(material);
      return ok(undefined);
    },
    onReplace(listener, { signal }) {
      if (signal.aborted) return;
      listeners.add(listener);
      signal.addEventListener('abort', () => listeners.delete(listener), { once: true });
    },
  });
}

/** For a listener or a connection: TLS 1.3 alone, with signatures that our keys make. */
export function secureOptions(material: TlsMaterial | undefined): SecureContextOptions {
  const floor = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', sigalgs: 'ecdsa_secp256r1_sha256:ed25519' } as const;
  if (material === undefined) return { ...floor, ca: [] };
  return {
    ...floor,
    cert: material.chain.map(certificatePem).join(''),
    key: material.privatePem,
    ca: material.authorities.map(certificatePem),
  };
}

/**
 * Who a certificate says the peer is, verified again at each use: the handshake was some time ago, by the machine's own
 * clock, and perhaps under authorities that have been replaced since.
 */
export function verifyPeer(certificate: Uint8Array, terms: PeerTerms): Result<Peer, string> {
  const chain = verifyChain([certificate], terms.authorities, terms.now);
  if (!chain.ok) return fail(`its certificate does not hold: ${chain.reason}`);
  const { leaf } = chain;
  // Audit and assertion keys lie in the same files, under the same name; they sign what they are for and open no connection.
  if (!isUsage(leaf.usage, terms.usage)) return fail(`its certificate is for ${leaf.usage ?? 'something else'}, not ${terms.usage}`);
  const id = leaf.spiffeId === undefined ? undefined : parseSpiffeId(leaf.spiffeId);
  if (leaf.spiffeId === undefined || id === undefined) return fail('its certificate names no SPIFFE id');
  if (id.trustDomain !== terms.trustDomain) return fail(`it belongs to the trust domain \`${id.trustDomain}\``);
  const purpose = purposeOf(id.path);
  if (purpose === undefined) return fail(`\`${id.path}\` has no purpose here`);
  return ok({ spiffeId: leaf.spiffeId, purpose, certificate, notAfter: leaf.notAfter as Instant });
}

function isUsage(usage: CertificateUsage | undefined, wanted: PeerTerms['usage']): boolean {
  return usage === wanted || usage === 'tls-both';
}

function isForTls(usage: CertificateUsage | undefined): boolean {
  return usage === 'tls-client' || usage === 'tls-server' || usage === 'tls-both';
}

function purposeOf(path: string): PeerPurpose | undefined {
  const [, role = '', ...rest] = path.split('/');
  switch (role) {
    case 'control-plane':
      return rest.length === 0 ? 'control_plane' : undefined;
    case 'collector':
      return rest.length === 0 ? 'collector' : undefined;
    case 'admin':
      return rest.length === 1 ? 'admin' : undefined;
    case 'sidecar':
      return rest.length === 2 ? 'sidecar' : undefined;
    default:
      return undefined;
  }
}

function problemsOf(material: TlsMaterial): Problem[] {
  const problems: Problem[] = [];
  if (material.chain.length === 0) problems.push({ path: 'chain', message: 'no certificate' });
  if (material.authorities.length === 0) problems.push({ path: 'authorities', message: 'no authority: nobody would be believed' });
  for (const [index, der] of material.chain.entries()) {
    const certificate = readCertificate(der);
    if (certificate === undefined) problems.push({ path: `chain[${index}]`, message: 'not a certificate' });
    else if (index === 0 && !isForTls(certificate.usage)) {
      problems.push({ path: 'chain[0]', message: 'not a certificate for TLS' });
    }
  }
  for (const [index, der] of material.authorities.entries()) {
    if (readCertificate(der)?.isCa !== true) problems.push({ path: `authorities[${index}]`, message: 'not a CA certificate' });
  }
  if (problems.length > 0) return problems;
  try {
    createSecureContext(secureOptions(material));
    return [];
  } catch {
    // OpenSSL's words could quote what it read.
    return [{ path: 'privatePem', message: 'not a private key that fits the certificate' }];
  }
}
