/**
 * For whom the agent calls: by the session's token in the request's head, or where the bundle says so by the tie that the
 * agent's tracing library carries along. Two that disagree are refused: whatever stands between could have added one to move
 * the call into another session. docs/spec/sessions.md, sections 4 and 4a.
 */

import { readTraceTie } from '@sallyport/identity';
import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';
import type { Caller, Framed, Fresh, SessionTie } from './facts.ts';
import type { Ports } from './ports.ts';

/** Whose session the call is of, by its head alone; that it is open is not asked here. */
export function sessionCaller({ head, held }: Framed & Fresh, ports: Ports): Result<Caller, Denial> {
  const token = head.headers.get('sallyport-session');
  // Ending one takes its token: a tie travels with whatever the agent does.
  const mayBeTied = mayTie(held, ports) && head.target.path !== '/session';
  const tie = mayBeTied ? tieOf(head.headers.get('tracestate'), ports) : undefined;
  if (token === undefined) {
    if (tie !== undefined) return tie.ok ? ok({ kind: 'session', claims: tie.value }) : tie;
    const where = mayBeTied ? 'neither Sallyport-Session nor a member `sallyport` of tracestate' : 'no Sallyport-Session header';
    return fail(deny('unauthenticated', where));
  }
  const claims = ports.sessionTokens.verify(token, ports.clock.wall());
  if (!claims.ok) return claims;
  if (tie !== undefined && !(tie.ok && tie.value.sessionId === claims.value.sessionId))
    return fail(deny('session_binding_mismatch', '`Sallyport-Session` and tracestate name different sessions'));
  return ok({ kind: 'session', claims: claims.value });
}

/** A tie counts only where the agent has proven that it is the agent: it travels where tokens do not. */
export function mayTie({ snapshot }: Fresh['held'], { agent, agentCredential }: Pick<Ports, 'agent' | 'agentCredential'>): boolean {
  return agentCredential.isAsked && snapshot.agents.get(agent)?.sessions.tie === 'tracestate';
}

function tieOf(tracestate: string | undefined, { agent, sessions }: Ports): Result<SessionTie, Denial> | undefined {
  const handle = readTraceTie(tracestate);
  if (handle === undefined) return undefined;
  if (handle === 'ambiguous') return fail(deny('session_binding_mismatch', 'tracestate has no one handle under `sallyport`'));
  const tied = sessions.tied(handle);
  if (tied === 'unknown') return fail(deny('session_unknown', 'no session has the handle of tracestate'));
  if (tied === 'expired') return fail(deny('token_expired', 'the handle of tracestate was given too long ago'));
  return ok({ ...tied, agent });
}
