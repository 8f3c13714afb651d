/**
 * MCP towards a tool's server, in the era that the server speaks: a permitted call, so that no agent's session id,
 * request id or capability ever reaches a server, and the answer message by message. docs/spec/mcp.md, section 6.
 */

import {
  answerFor,
  mirrorHeaders,
  notificationFor,
  toolOutcome,
  upstreamBody,
  upstreamCall,
  upstreamMirrors,
  type McpAsk,
  type RpcId,
  type UpstreamMessage,
} from '@sallyport/dialects';
import { deny, localNameOf, type SessionId } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { ForwardContext, McpBinding, UpstreamFailure } from '../pipeline/ports.ts';
import { singleHeader } from './answer-body.ts';
import type { ForwardOptions, Outgoing } from './forward-options.ts';
import { tellCancelled } from './mcp-cancel.ts';
import { mcpConnections, type McpConnection, type McpConnections } from './mcp-connections.ts';
import { clientInfoOf, messagesOf, postMessage, type PostOptions } from './mcp-exchange.ts';
import { describeRefusal, isContradiction, isUnseen, readRefusal } from './mcp-refusal.ts';

type CallTool = Extract<McpAsk, { kind: 'call_tool' }>;

export interface McpUpstream {
  forward(outgoing: Outgoing, context: ForwardContext, message: CallTool): Promise<Answer | UpstreamFailure>;
  release(binding: McpBinding): void;
  forgetSession(session: SessionId): void;
  close(): Promise<void>;
}

/** Owner of every upstream session. */
export function mcpUpstream(options: ForwardOptions): McpUpstream {
  const connections = mcpConnections(options);
  return {
    async forward({ permitted, carried, assertion, sign }, context, message) {
      const { server, destination } = permitted;
      const { session, signal, traceparent } = context;
      // Once more where the server certainly saw nothing of the call: it forgot our session, or speaks another era now.
      for (const isLastTry of [false, true]) {
        const connection = await connections.of(session.id, { server, destination, carried, assertion, signal });
        const sent = sending(connection, { message, signal, connections, options });
        try {
          const answer = await send(permitted, sent, { options, traceparent, assertion, sign });
          if (!('failure' in answer)) return answer;
          sent.done();
          if (isLastTry || !answer.isUnseen) return answer;
        } catch (thrown) {
          sent.done();
          throw thrown;
        }
      }
      throw protocolFault('two tries are all there are');
    },
    release: (binding) => connections.release(binding),
    forgetSession: (session) => connections.forgetSession(session),
    close: () => connections.close(),
  };
}

/** A call on its way, as its answer sees it. */
interface Sent {
  readonly id: RpcId;
  readonly message: CallTool;
  readonly connection: McpConnection;
  readonly signal: AbortSignal;
  /** The server is not what it was: what is known of it is forgotten. */
  readonly contradicted: () => void;
  /** The call is over; always called, once or more. */
  readonly done: () => void;
}

function sending(
  connection: McpConnection,
  call: { message: CallTool; signal: AbortSignal; connections: McpConnections; options: ForwardOptions },
): Sent {
  const { message, signal, connections, options } = call;
  const id = connection.nextId();
  const unuse = connections.use(connection);
  const onEnded = (): void => tellCancelled(connection, id, options);
  signal.addEventListener('abort', onEnded, { once: true });
  // Owner: `done`.
  let isDone = false;
  return {
    id,
    message,
    connection,
    signal,
    contradicted: () => connections.drop(connection),
    done() {
      if (isDone) return;
      isDone = true;
      signal.removeEventListener('abort', onEnded);
      unuse();
    },
  };
}

/** A refusal by the head of an answer. `isUnseen`: the server certainly looked at no call, so that it may go out again. */
type Refused = UpstreamFailure & { readonly isUnseen: boolean };

async function send(
  permitted: Permitted,
  sent: Sent,
  post: Pick<PostOptions, 'options' | 'traceparent' | 'assertion' | 'sign'>,
): Promise<Answer | Refused> {
  const { options } = post;
  const { connection, id, message, signal } = sent;
  const isModern = connection.session.era === 'modern';
  const tool = localNameOf(permitted.tool.name);
  const call = { tool, arguments: permitted.arguments, meta: message.meta };
  const body = upstreamCall(id, call, isModern ? clientInfoOf(options) : undefined);
  const headers = isModern ? upstreamMirrors(tool, mirrorHeaders(permitted.mirrors, permitted.arguments)) : undefined;
  const answer = await postMessage(connection, body, { ...post, signal, headers });
  const kind = upstreamBody(answer.status, singleHeader(answer.rawHeaders, 'content-type'), connection.session);
  if (kind === 'json' || kind === 'events') return toolAnswer(answer, sent, options);
  const { era } = connection.session;
  // The key may have been replaced a moment ago; a read may then go out again.
  const isReplaced = answer.status === 401 && (await connection.carried.isReplaced());
  const refusal = await readRefusal(answer, { id, era, account: options.account });
  if (refusal.error !== undefined) return errorAnswer(refusal.error, sent, answer.status);
  if (isContradiction(refusal, era)) sent.contradicted();
  return {
    failure: deny('upstream_error', `${permitted.tool.name} answered ${describeRefusal(refusal, kind)}`),
    result: 'upstream_error',
    upstreamStatus: answer.status,
    wasSent: true,
    isUnseen:
      (isReplaced && permitted.tool.effect === 'read') ||
      isUnseen(refusal, { era, isSessionOver: kind === 'session_over', isRead: permitted.tool.effect === 'read' }),
  };
}

function errorAnswer(error: Extract<UpstreamMessage, { kind: 'error' }>, sent: Sent, status: number): Answer {
  const outcome = { ...outcomeOf(error, sent), upstreamStatus: status };
  return {
    ...ANSWER_HEAD,
    units: (async function* once(): AsyncGenerator<AnswerUnit, void, void> {
      yield { bytes: answerFor(sent.message, error), isLast: true };
    })(),
    outcome: () => outcome,
    close: async () => sent.done(),
  };
}

const ANSWER_HEAD = {
  status: 200,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  delivery: 'messages',
} as const;

/** We offer no capability, so a server has next to nothing to ask; each request costs us one of our own. */
const REQUESTS_MAX = 64;

function toolAnswer(answer: UpstreamAnswer, sent: Sent, options: ForwardOptions): Answer {
  const { id, message: asked, connection, signal } = sent;
  // Owner: the units below; read when they are at their end.
  let outcome: Outcome = { result: 'cut', upstreamStatus: answer.status };
  const units = (async function* read(): AsyncGenerator<AnswerUnit, void, void> {
    let requests = 0;
    for await (const message of messagesOf(answer, id, options)) {
      if (message.kind === 'notification') {
        const passed = notificationFor(message, id, asked.meta);
        if (passed !== undefined) yield { bytes: passed, isLast: false };
      } else if (message.kind === 'request') {
        if (connection.session.era === 'modern') throw protocolFault('a request of its own, which its revision does not have');
        if (++requests > REQUESTS_MAX) throw protocolFault(`more than ${REQUESTS_MAX} requests of the server's own`);
        const accepted = await postMessage(connection, message.answer, { options, signal });
        accepted.discard();
      } else {
        outcome = { ...outcomeOf(message, sent), upstreamStatus: answer.status };
        yield { bytes: answerFor(asked, message), isLast: true, ...(message.kind === 'result' ? { result: message.result } : {}) };
        return;
      }
    }
  })();
  return {
    ...ANSWER_HEAD,
    units,
    outcome: () => outcome,
    async close() {
      sent.done();
      await units.return();
      answer.discard();
    },
  };
}

/** What the answer came to. Throws a fault where it is none that was asked for. */
function outcomeOf(message: Extract<UpstreamMessage, { kind: 'result' | 'error' }>, { connection, contradicted }: Sent): Outcome {
  const result = toolOutcome(message);
  if (!result.ok) {
    if (message.kind === 'error') contradicted();
    throw protocolFault(result.error.message);
  }
  // Of a server of the modern era every result says what it is; one that does not is of another era by now.
  if (message.kind === 'result' && connection.session.era === 'modern' && message.judged.at('resultType') === undefined) contradicted();
  if (message.kind === 'result') return { result: result.value };
  // Of the server's own words the agent hears all, and the record keeps the code.
  return { result: result.value, code: 'upstream_error', detail: `JSON-RPC error ${message.code}` };
}

function protocolFault(why: string): UpstreamFault {
  return new UpstreamFault('upstream_protocol', why, { wasSent: true });
}
