/**
 * What a client of the inbound port may know before it has any token: where to get one (RFC 9728). Public by its purpose, made of
 * the bundle and configuration alone, and served ahead of the pipeline: it is no call, and nothing of the request is in it.
 */

import { TOKEN_ALGORITHMS, type AgentName, type Issuer } from '@sallyport/model';
import type { HttpExchange } from '@sallyport/net';
import { json } from '../admin/answers.ts';
import type { BundleHolder } from '../pipeline/ports.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export interface ProtectedResource {
  /** For the challenge of a 401 (RFC 9728, section 5.1). */
  readonly metadataUrl: string;
  /** Answers a request for it; `undefined` for every other, also while no policy may be enforced. */
  answer(exchange: HttpExchange): Promise<void> | undefined;
}

export interface ProtectedResourceOptions {
  /** An origin: under which name clients know the port. Their own `Host` is no fact. */
  readonly publicUrl: string;
  readonly agent: AgentName;
  readonly bundle: Pick<BundleHolder, 'read'>;
}

/** The port as a protected resource: itself, and the agent behind it. */
export function protectedResource({ publicUrl, agent, bundle }: ProtectedResourceOptions): ProtectedResource {
  const resources = new Map(['', `/agents/${agent}`].map((path) => [`${WELL_KNOWN}${path}`, `${publicUrl}${path}`]));
  return {
    metadataUrl: `${publicUrl}${WELL_KNOWN}/agents/${agent}`,
    answer(exchange) {
      const resource = exchange.method === 'GET' ? resources.get(exchange.target) : undefined;
      const held = bundle.read();
      if (resource === undefined || held.state !== 'fresh' || exchange.kind !== 'request') return undefined;
      // Another bundle has other issuers: nobody stores it.
      return json(exchange, 200, metadataOf(resource, held.snapshot.issuers));
    },
  };
}

/** RFC 9728, section 2. Scopes are not told: what an agent's callers need is nobody's business who is not one. */
function metadataOf(resource: string, issuers: readonly Issuer[]): object {
  const servers = issuers.filter(isServer).map(({ issuer }) => issuer);
  return {
    resource,
    ...(servers.length === 0 ? {} : { authorization_servers: servers }),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: TOKEN_ALGORITHMS,
  };
}

/** An issuer that is no address is not one where anybody could ask for a token. */
function isServer({ issuer, keySource }: Issuer): boolean {
  return issuer.startsWith('https://') || (issuer.startsWith('http://') && keySource?.network === 'loopback');
}
