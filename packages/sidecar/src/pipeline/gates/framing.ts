/**
 * Gives the head one meaning, or refuses it: request smuggling, header doubling and path tricks live on heads that two
 * readers read differently. It also keeps browsers out, and on the loopback port every name that is not loopback's (DNS rebinding, cross-site requests).
 */

import { deny, type Denial, type Result } from '@sallyport/model';
import { canonicalTarget, readHeaders, type CanonicalTarget, type HeaderLookup } from '@sallyport/strict';
import type { Arrival, Framed } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement, type Leg } from '../gate.ts';
import type { Ports } from '../ports.ts';

interface Gathered {
  readonly leg: Leg;
  readonly method: string;
  readonly httpVersion: string;
  readonly headers: Result<HeaderLookup, Denial>;
  readonly target: Result<CanonicalTarget, Denial>;
}

export const framing: Gate<Arrival, Gathered, Framed, Ports> = {
  name: 'framing',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: ({ leg, method, httpVersion, rawHeaders, target }) => {
    const headers = readHeaders(rawHeaders);
    return { leg, method, httpVersion, headers, target: canonicalTarget(target, headers.ok ? headers.value.get('host') : undefined) };
  },
  decide: decideFraming,
};

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Never served on any port: tunnels are granted, not asked for, and TRACE echoes credentials. */
const METHODS_REFUSED: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'OPTIONS']);

/** Passes a head that reads one way and was not sent by a browser page; on the agent's port, one addressed to a loopback name. */
export function decideFraming({ leg, method, httpVersion, headers, target }: Gathered): Judgement<Framed> {
  if (METHODS_REFUSED.has(method)) return refuse(deny('method_not_allowed', `method ${method}`));
  if (!headers.ok) return refuse(headers.error);
  if (!target.ok) return refuse(target.error);
  const fields = headers.value;
  // HTTP/1.0 has no chunks: a body framed so is read differently by what is behind and before us (RFC 9112 section 6.1).
  if (httpVersion === '1.0' && fields.has('transfer-encoding')) {
    return refuse(deny('malformed_request', 'transfer-encoding in HTTP/1.0'));
  }
  if (fields.has('upgrade')) return refuse(deny('method_not_allowed', 'an upgrade was asked for'));
  // A page in the laptop's browser can reach loopback; it cannot choose its Host (rebinding) nor hide its Origin.
  if (leg === 'outbound' && !LOOPBACK_NAMES.has(target.value.host))
    return refuse(deny('malformed_request', `host ${target.value.host} is not this port's`));
  if (fields.has('origin')) return refuse(deny('malformed_request', 'an origin is listed nowhere'));
  const site = fields.get('sec-fetch-site');
  if (site !== undefined && site !== 'none') return refuse(deny('malformed_request', `sec-fetch-site ${site}`));
  return pass({ head: { method, target: target.value, headers: fields } });
}
