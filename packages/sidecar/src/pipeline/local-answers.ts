/** An answer of one unit, and the opening of a session; what MCP clients are answered from here is in `mcp-answers.ts`. */

import type { WireAnswer } from '@sallyport/dialects';
import { SESSION_TOKEN_MS } from '@sallyport/identity';
import { deny, type Agent, type Denial } from '@sallyport/model';
import type { Answer } from './gate.ts';
import type { Opener } from './job-session.ts';
import type { Ports } from './ports.ts';

/** A whole answer of one unit. */
export function wholeAnswer(wire: WireAnswer, outcome: ReturnType<Answer['outcome']>): Answer {
  return {
    status: wire.status,
    headers: wire.headers,
    delivery: 'whole',
    units: (async function* unit() {
      yield { bytes: wire.body, isLast: true };
    })(),
    outcome: () => outcome,
    close: async () => {},
  };
}

const NO_ROOM: Denial = deny('overloaded', 'as many sessions are open as may be, for this principal or in all');

/** Opens a session and answers with the agent's token for it (docs/spec/sessions.md). Refused where there is no room for one. */
export async function sessionAnswer({ operator, agent }: { operator: Opener; agent: Agent }, ports: Ports): Promise<Answer | Denial> {
  const opened = ports.sessions.open({
    principal: operator.principal,
    agent,
    case: operator.case,
    purpose: operator.purpose,
    tokenId: operator.tokenId,
    tokenDigest: operator.tokenDigest,
    tokenExpiresAt: operator.times.expiresAt,
    origin: operator.origin,
  });
  if (opened === undefined) return NO_ROOM;
  const grant = { sessionId: opened.id, operator: operator.principal.id, agent: agent.name };
  const token = await ports.sessionTokens.mint(grant, ports.clock.wall());
  const body = {
    session_id: opened.id,
    token,
    token_type: 'Sallyport-Session',
    expires_in: SESSION_TOKEN_MS / 1_000,
    ...(operator.case === null ? {} : { case: operator.case }),
  };
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  // The DECISION was written before there was a session; here the record says which one it opened.
  const outcome = { result: 'local', detail: `session ${opened.id}` } as const;
  return wholeAnswer({ status: 201, headers, body: new TextEncoder().encode(JSON.stringify(body)) }, outcome);
}
