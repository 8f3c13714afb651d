/**
 * MCP towards a tool's server: a permitted call in the sidecar's own session with it, so that no agent's session id,
 * request id or capability ever reaches a server, and the answer message by message. docs/spec/mcp.md, section 5.
 */

import { notificationFor, resultFor, toolOutcome, upstreamBody, upstreamCall, type McpAsk, type RpcId } from '@sallyport/dialects';
import { deny, localNameOf, type SessionId } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import { singleHeader } from './answer-body.ts';
import type { ForwardOptions } from './forward-options.ts';
import { mcpConnections, type McpConnection } from './mcp-connections.ts';
import { messagesOf, postMessage } from './mcp-exchange.ts';

type CallTool = Extract<McpAsk, { kind: 'call_tool' }>;

export interface McpUpstream {
  forward(permitted: Permitted, context: ForwardContext, message: CallTool): Promise<Answer | UpstreamFailure>;
  forgetSession(session: SessionId): void;
  close(): Promise<void>;
}

/** Owner of every upstream session. */
export function mcpUpstream(options: ForwardOptions): McpUpstream {
  const connections = mcpConnections(options);
  return {
    async forward(permitted, { session, signal, traceparent }, message) {
      const { server, destination, tool } = permitted;
      // Once more for a server that forgot our session: it says so before it looks at the call (2025-11-25, sessions).
      for (const isLastTry of [false, true]) {
        const connection = await connections.of(session.id, { server, destination, signal });
        const id = connection.nextId();
        const body = upstreamCall(id, { tool: localNameOf(tool.name), arguments: permitted.arguments, meta: message.meta });
        const answer = await postMessage(connection, body, { options, traceparent, signal });
        const kind = upstreamBody(answer.status, singleHeader(answer.rawHeaders, 'content-type'), connection.session);
        if (kind === 'json' || kind === 'events') return toolAnswer(answer, { id, message, connection, signal }, options);
        answer.discard();
        if (kind === 'session_over' || mayHaveForgotten(answer, connection)) connections.drop(connection);
        if (kind === 'session_over' && !isLastTry) continue;
        const failure = deny('upstream_error', `${tool.name} answered ${answer.status} (${kind})`);
        return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
      }
      throw protocolFault('the server forgot two sessions in a row');
    },
    forgetSession: (session) => connections.forgetSession(session),
    close: () => connections.close(),
  };
}

/**
 * Some servers answer 400 where 404 is meant (the MCP SDK's own examples). It may mean anything else as well, the call
 * may have been seen, so it is not sent again; but the next call opens a session of its own instead of failing for ever.
 */
function mayHaveForgotten({ status }: UpstreamAnswer, { session }: McpConnection): boolean {
  return status === 400 && session.sessionId !== undefined;
}

/** We offer no capability, so a server has next to nothing to ask; each request costs us one of our own. */
const REQUESTS_MAX = 64;

/** A call that went out, as its answer sees it. */
interface Sent {
  readonly id: RpcId;
  readonly message: CallTool;
  readonly connection: McpConnection;
  readonly signal: AbortSignal;
}

function toolAnswer(answer: UpstreamAnswer, call: Sent, options: ForwardOptions): Answer {
  // Owner: the units below; read when they are at their end.
  let outcome: Outcome = { result: 'cut', upstreamStatus: answer.status };
  const units = (async function* read(): AsyncGenerator<AnswerUnit, void, void> {
    let requests = 0;
    for await (const message of messagesOf(answer, call.id, options)) {
      if (message.kind === 'notification') {
        const passed = notificationFor(message, call.id, call.message.meta);
        if (passed !== undefined) yield { bytes: passed, isLast: false };
      } else if (message.kind === 'request') {
        if (++requests > REQUESTS_MAX) throw protocolFault(`more than ${REQUESTS_MAX} requests of the server's own`);
        const accepted = await postMessage(call.connection, message.answer, { options, signal: call.signal });
        accepted.discard();
      } else {
        // Of the server's own words only the code is kept: what a tool says of its arguments belongs in no record.
        if (message.kind === 'error') throw protocolFault(`JSON-RPC error ${message.code}`);
        const result = toolOutcome(message);
        if (!result.ok) throw protocolFault(result.error.message);
        outcome = { result: result.value, upstreamStatus: answer.status };
        yield { bytes: resultFor(call.message.id, message.result), isLast: true };
        return;
      }
    }
  })();
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    delivery: 'messages',
    units,
    outcome: () => outcome,
    async close() {
      await units.return();
      answer.discard();
    },
  };
}

function protocolFault(why: string): UpstreamFault {
  return new UpstreamFault('upstream_protocol', why, { wasSent: true });
}
