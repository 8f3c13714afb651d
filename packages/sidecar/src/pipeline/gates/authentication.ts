/**
 * Proves who calls before a byte of the body is read: first that it is the agent, where a credential of its own is
 * configured, then for whom. A call carries the session's own token; only a request that opens a session carries its
 * operator's. On the inbound leg it is the caller who proves itself, every time. Loopback, headers that name users and bodies prove nothing.
 */

import { deny, ok, type Denial, type Result } from '@sallyport/model';
import type { Arrival, Authenticated, Caller, Framed, Fresh } from '../facts.ts';
import { clientCaller } from '../client-caller.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';
import { presentedBy } from '../presented.ts';

export const authentication: Gate<Arrival & Framed & Fresh, Result<Caller, Denial>, Authenticated, Ports> = {
  name: 'authentication',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: ({ leg, head, held }, ports) => {
    if (leg === 'inbound') return clientCaller({ head, held }, presentedBy(head, leg), ports);
    const stranger = ports.agentCredential.judge(head.headers.get('sallyport-agent'));
    if (stranger !== undefined) return { ok: false, error: stranger };
    const now = ports.clock.wall();
    if (head.target.path !== '/session' || head.method === 'DELETE') return sessionCaller(head.headers.get('sallyport-session'), ports);
    const presented = presentedBy(head, leg);
    if (!presented.ok) return presented;
    const { token, ...how } = presented.value;
    const { issuers, policyDigest } = held.snapshot;
    return ports.operatorTokens
      .verify(token, { issuers, bundle: policyDigest, now, ...how })
      .then((verified): Result<Caller, Denial> => (verified.ok ? ok({ kind: 'operator', operator: verified.value }) : verified));
  },
  decide: decideAuthentication,
};

/** Passes a caller whose credential verified; otherwise the verifier's own code. */
export function decideAuthentication(caller: Result<Caller, Denial>): Judgement<Authenticated> {
  return caller.ok ? pass({ caller: caller.value }) : refuse(caller.error);
}

function sessionCaller(token: string | undefined, { sessionTokens, clock }: Ports): Result<Caller, Denial> {
  if (token === undefined) return { ok: false, error: deny('unauthenticated', 'no Sallyport-Session header') };
  const claims = sessionTokens.verify(token, clock.wall());
  return claims.ok ? ok({ kind: 'session', claims: claims.value }) : claims;
}
