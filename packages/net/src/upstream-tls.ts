/**
 * TLS towards one upstream: whom its certificate must lead to and name, and which one it is shown. That verification takes
 * place is said each time, so that NODE_TLS_REJECT_UNAUTHORIZED cannot switch it off.
 */

import type { AgentOptions } from 'node:https';
import { checkServerIdentity, createSecureContext, getCACertificates, type PeerCertificate, type SecureContext } from 'node:tls';
import { readCertificate } from '@sallyport/crypto';
import type { Destination } from '@sallyport/model';
import { UpstreamFault } from './upstream-fault.ts';

/** What connections to one destination demand and show. All texts are PEM. */
export interface UpstreamTls {
  /** In place of the platform's. */
  readonly authorities?: readonly string[];
  /** The SPIFFE id that the server's certificate must name, in place of the host. */
  readonly identity?: string;
  /** Instead: what the SPIFFE id must begin with, `spiffe://<trust domain>/sidecar/<agent>/`. */
  readonly identityUnder?: string;
  /** Shown where the server asks: the leaf first. */
  readonly client?: { readonly certificate: string; readonly key: string };
}

/**
 * What holds for a destination that says something of its TLS. The same object for as long as nothing has changed: another
 * one ends the connections that were made by the one before. Fails with an `UpstreamFault`, unsent, where it cannot be met.
 */
export type TlsOf = (destination: Destination) => UpstreamTls | Promise<UpstreamTls>;

/** For the connections to a destination of which nothing is said: the platform's authorities, and more where they are given. */
export function platformTls(authorities: readonly string[]): AgentOptions {
  const ca = authorities.length === 0 ? {} : { ca: [...getCACertificates('default'), ...authorities] };
  return { ...ca, rejectUnauthorized: true, minVersion: 'TLSv1.2' };
}

/** For those to one of which something is said. Throws an `UpstreamFault` where key and certificate do not fit. */
export function demandedTls({ server }: Destination, demanded: UpstreamTls): AgentOptions & { readonly secureContext: SecureContext } {
  const { identity, identityUnder } = demanded;
  return {
    secureContext: contextOf(server, demanded),
    rejectUnauthorized: true,
    checkServerIdentity: (host, certificate) =>
      identity === undefined && identityUnder === undefined ? checkServerIdentity(host, certificate) : mistaken(demanded, certificate),
    // Node asks nothing of who resumes a session: neither the name nor whether the certificate has ended since.
    maxCachedSessions: 0,
  };
}

function contextOf(server: string, { authorities, client }: UpstreamTls): SecureContext {
  try {
    return createSecureContext({
      ca: [...(authorities ?? getCACertificates('default'))],
      minVersion: 'TLSv1.2',
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    });
  } catch {
    // OpenSSL's words could quote what it read.
    const message = `\`${server}\`: the certificate that it is shown cannot be used with its key`;
    throw new UpstreamFault('upstream_untrusted', message, { wasSent: false });
  }
}

/** Whether a private key is that of the certificate's leaf, and both can be used. PEM. */
export function isUsablePair({ certificate, key }: { readonly certificate: string; readonly key: string }): boolean {
  try {
    createSecureContext({ cert: certificate, key });
    return true;
  } catch {
    return false;
  }
}

/** The one SPIFFE id of the certificate, and no name of a host beside it, counts. */
function mistaken({ identity, identityUnder }: UpstreamTls, { raw }: PeerCertificate): Error | undefined {
  const named = readCertificate(raw)?.spiffeId;
  const isMeant = identityUnder === undefined ? named === identity : named?.startsWith(identityUnder) === true;
  return isMeant
    ? undefined
    : new Error(`its certificate names \`${named ?? 'no SPIFFE id'}\`, not \`${identity ?? `${identityUnder}…`}\``);
}
