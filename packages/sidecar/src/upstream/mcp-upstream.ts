/**
 * MCP towards a tool's server: a permitted call in the sidecar's own session with it, so that no agent's session id,
 * request id or capability ever reaches a server, and the answer message by message. docs/spec/mcp.md, section 5.
 */

import { notificationFor, resultFor, toolOutcome, upstreamBody, upstreamCall, type McpAsk } from '@sallyport/dialects';
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
  // Owner: this object. Ids of the sidecar's own messages, never used twice.
  let lastId = 0;
  const nextId = (): number => ++lastId;
  const connections = mcpConnections(options, nextId);
  return {
    async forward(permitted, context, message) {
      const place = { server: permitted.server, destination: context.destination };
      // Once more for a server that forgot our session: it says so before it looks at the call (2025-11-25, sessions).
      for (const isLastTry of [false, true]) {
        const connection = await connections.of(context.session.id, place);
        const id = nextId();
        const body = upstreamCall(id, { tool: localNameOf(permitted.tool.name), arguments: permitted.arguments, meta: message.meta });
        const answer = await postMessage(connection, body, { options, traceparent: context.traceparent });
        const kind = upstreamBody(answer.status, singleHeader(answer.rawHeaders, 'content-type'), connection.session);
        if (kind === 'json' || kind === 'events') return toolAnswer(answer, { id, message, connection, options });
        answer.discard();
        if (kind === 'session_over' || mayHaveForgotten(answer, connection)) connections.drop(connection);
        if (kind === 'session_over' && !isLastTry) continue;
        const failure = deny('upstream_error', `${permitted.tool.name} answered ${answer.status} (${kind})`);
        return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
      }
      throw new UpstreamFault('upstream_protocol', 'the server forgot two sessions in a row', { wasSent: true });
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

function toolAnswer(
  answer: UpstreamAnswer,
  call: { id: number; message: CallTool; connection: McpConnection; options: ForwardOptions },
): Answer {
  // Owner: the units below; read when they are at their end.
  let outcome: Outcome = { result: 'cut', upstreamStatus: answer.status };
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    delivery: 'messages',
    units: (async function* units(): AsyncGenerator<AnswerUnit, void, void> {
      for await (const message of messagesOf(answer, call.id, call.options)) {
        if (message.kind === 'notification') {
          const passed = notificationFor(message, call.id, call.message.meta);
          if (passed !== undefined) yield { bytes: passed, isLast: false };
          continue;
        }
        if (message.kind === 'request') {
          await answerRequest(call.connection, message.answer, call.options);
          continue;
        }
        const result = toolOutcome(message);
        if (!result.ok) throw new UpstreamFault('upstream_protocol', result.error.message, { wasSent: true });
        if (message.kind === 'error')
          throw new UpstreamFault('upstream_protocol', `JSON-RPC error ${message.code}: ${message.message}`, { wasSent: true });
        outcome = { result: result.value, upstreamStatus: answer.status };
        yield { bytes: resultFor(call.message.id, message.result), isLast: true };
        return;
      }
    })(),
    outcome: () => outcome,
  };
}

async function answerRequest(connection: McpConnection, body: Uint8Array, options: ForwardOptions): Promise<void> {
  const accepted = await postMessage(connection, body, { options, traceparent: undefined });
  accepted.discard();
}
