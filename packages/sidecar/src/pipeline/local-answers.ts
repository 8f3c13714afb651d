/** What is answered from here without forwarding: MCP's handshake, ping and listing, and the opening of a session. */

import type { VerifiedOperator } from '@sallyport/credentials';
import { acceptedAnswer, initializeAnswer, listToolsAnswer, pingAnswer, type McpAsk, type WireAnswer } from '@sallyport/dialects';
import { SESSION_TOKEN_MS } from '@sallyport/identity';
import { deny, type Agent, type Denial, type RuleId, type ServerName, type Tool } from '@sallyport/model';
import type { Answer, LocalAnswer } from './gate.ts';
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

/** The answer to an MCP message that names no tool. */
export function mcpLocalAnswer(
  message: Exclude<McpAsk, { kind: 'call_tool' }>,
  shown: { tools: readonly Tool[]; server: ServerName; build: string },
): LocalAnswer {
  const wire = (): WireAnswer => {
    switch (message.kind) {
      case 'initialize':
        return initializeAnswer(message.id, message.version, { name: shown.server, version: shown.build });
      case 'ping':
        return pingAnswer(message.id);
      case 'list_tools':
        return listToolsAnswer(message.id, shown.tools);
      case 'notification':
        return acceptedAnswer();
    }
  };
  return {
    verdict: 'local',
    what: message.kind,
    ruleId: `local:${message.kind}` as RuleId,
    produce: () => wholeAnswer(wire(), { result: 'local' }),
  };
}

const NO_ROOM: Denial = deny('overloaded', 'sessions_max are open');

/** Opens a session and answers with the agent's token for it (docs/spec/sessions.md). Refused where there is no room for one. */
export async function sessionAnswer(
  { operator, agent }: { operator: VerifiedOperator; agent: Agent },
  ports: Ports,
): Promise<Answer | Denial> {
  const opened = ports.sessions.open({
    principal: operator.principal,
    agent,
    case: operator.case,
    tokenId: operator.tokenId,
    tokenExpiresAt: operator.times.expiresAt,
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
  return wholeAnswer({ status: 201, headers, body: new TextEncoder().encode(JSON.stringify(body)) }, { result: 'local' });
}
