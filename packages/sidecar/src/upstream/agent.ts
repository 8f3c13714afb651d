/**
 * The way in: a permitted request to the agent beside this sidecar, and its answer. Of the caller's head only what may travel
 * goes on; what the agent is told of the caller is its session's token, which it calls out with. docs/spec/inbound.md.
 */

import { headersFromAgent, headersToAgent, mediaTypeOf, type AgentAsk } from '@sallyport/dialects';
import { SESSION_TOKEN_MS, formatTraceTie } from '@sallyport/identity';
import { Bug, deny } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import { judge, readHeaders } from '@sallyport/strict';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import { readAnswer, refuseEncoded } from './answer-body.ts';
import type { Header } from '../secrets/credentials.ts';
import { ASSERTION_HEADER, type AgentSide, type ForwardOptions } from './forward-options.ts';
import { traceHeaders } from './trace-headers.ts';

/** Sends the request, once. Rejects with an `UpstreamFault`; an answer that cannot be passed on is a failure by value. */
export async function forwardToAgent(
  request: AgentAsk,
  assertion: string,
  { context, options }: { context: ForwardContext; options: ForwardOptions },
): Promise<Answer | UpstreamFailure> {
  const { agent, account, limits, clock, signers } = options;
  if (agent === undefined || context.client === undefined) throw new Bug('an invocation without an inbound leg');
  const grant = { sessionId: context.session.id, operator: context.session.principal.id, agent: context.session.agent };
  const token = await agent.tokens.agent.mint(grant, clock.wall());
  const { method } = request.route;
  const path = `${agent.basePath}${request.route.target}`;
  const sent: readonly Header[] = [...requestHeaders(request, context, agent), ['Sallyport-Session', token], [ASSERTION_HEADER, assertion]];
  const sign = signers.for({
    assertion,
    destination: agent.destination,
    fields: context.client.tie === undefined ? SIGNED_FIELDS : SIGNED_WITH_TIE,
    evidence: context.evidence,
  });
  const answer = await agent.upstreams.request(agent.destination, {
    method,
    path,
    headers: await sign({ method, path, headers: sent, body: request.body?.bytes }),
    ...(request.body === undefined ? {} : { body: request.body.bytes }),
    signal: context.signal,
    // Of a stream each part is passed on and none kept; a whole answer has a bound of its own below.
    bodyBytesMax: Number.MAX_SAFE_INTEGER,
  });
  const refuse = (why: string): UpstreamFailure => {
    answer.discard();
    return {
      failure: deny('upstream_error', `the agent answered ${why}`),
      result: 'upstream_error',
      upstreamStatus: answer.status,
      wasSent: true,
    };
  };
  if (!isPassable(answer.status)) return refuse(`with status ${answer.status}`);
  const headers = readHeaders(answer.rawHeaders);
  if (!headers.ok) return refuse(`with a head of two meanings: ${headers.error.detail}`);
  refuseEncoded(answer);
  const clientToken = context.client.renewsToken ? await agent.tokens.client.mint(grant, clock.wall()) : undefined;
  const head = {
    ...headersFromAgent(headers.value),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'sallyport-session-id': grant.sessionId,
    ...(clientToken === undefined ? {} : { 'sallyport-session': clientToken }),
  };
  const mediaType = mediaTypeOf(headers.value.get('content-type'));
  if (mediaType === 'text/event-stream') return new StreamedAnswer(answer, head);
  const isNamed = request.route.isInvoke && isSuccess(answer.status) && mediaType === 'application/json';
  const session = isNamed ? { session_id: grant.sessionId, ...(clientToken === undefined ? {} : tokenMembers(clientToken)) } : undefined;
  return new WholeAgentAnswer(answer, head, { account, bytesMax: limits.answerBytesMax, session });
}

/** The session belongs to the request: with another one the agent would call out in another's name. */
const SIGNED_FIELDS: readonly string[] = ['sallyport-session'];
const SIGNED_WITH_TIE: readonly string[] = [...SIGNED_FIELDS, 'tracestate'];

function requestHeaders({ body }: AgentAsk, { client, traceparent }: ForwardContext, { headers }: AgentSide): [string, string][] {
  const passed = client === undefined ? [] : headersToAgent(client.headers, headers);
  const own = body === undefined ? [] : [['content-type', body.type] as const];
  const tie = client?.tie === undefined ? [] : [['tracestate', formatTraceTie(client.tie)] as const];
  return [...passed, ...own, ...traceHeaders(traceparent), ...tie].map(([name, value]) => [name, value]);
}

function tokenMembers(token: string): { readonly session_token: string; readonly expires_in: number } {
  return { session_token: token, expires_in: SESSION_TOKEN_MS / 1_000 };
}

/** A redirect would lead past this gateway; what comes before an answer is none. */
function isPassable(status: number): boolean {
  return (status >= 200 && status < 300) || status === 304 || (status >= 400 && status < 600);
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

const NOTHING = new Uint8Array();

/** Common to both kinds. Owner of its fields. */
abstract class AgentAnswer implements Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  abstract readonly delivery: Answer['delivery'];
  abstract readonly units: AsyncGenerator<AnswerUnit, void, void>;
  protected readonly answer: UpstreamAnswer;
  protected isWhole = false;

  constructor(answer: UpstreamAnswer, headers: Readonly<Record<string, string>>) {
    this.status = answer.status;
    this.headers = headers;
    this.answer = answer;
  }

  outcome(): Outcome {
    const result = this.status < 400 ? 'ok' : 'tool_error';
    return { result: this.isWhole ? result : 'cut', upstreamStatus: this.status };
  }

  async close(): Promise<void> {
    await this.units.return();
    this.answer.discard();
  }
}

/** Server-sent events, passed on as they come. */
class StreamedAnswer extends AgentAnswer {
  readonly delivery = 'stream';
  readonly units: AsyncGenerator<AnswerUnit, void, void> = this.#read();

  async *#read(): AsyncGenerator<AnswerUnit, void, void> {
    // The head goes at once: an agent may think for long before it says anything.
    yield { bytes: NOTHING, isLast: false };
    for await (const bytes of this.answer.body) yield { bytes, isLast: false };
    this.isWhole = true;
    yield { bytes: NOTHING, isLast: true };
  }
}

type Bounds = Parameters<typeof readAnswer>[1] & { readonly session: object | undefined };

/** Anything else, in one unit. */
class WholeAgentAnswer extends AgentAnswer {
  readonly delivery = 'whole';
  readonly units: AsyncGenerator<AnswerUnit, void, void>;

  constructor(answer: UpstreamAnswer, headers: Readonly<Record<string, string>>, bounds: Bounds) {
    super(answer, headers);
    this.units = this.#read(bounds);
  }

  async *#read({ session, ...bounds }: Bounds): AsyncGenerator<AnswerUnit, void, void> {
    const held = await readAnswer(this.answer, bounds);
    try {
      const bytes = session === undefined ? held.bytes : inEnvelope(held.bytes, session);
      this.isWhole = true;
      yield { bytes, isLast: true };
    } finally {
      held.release();
    }
  }
}

/** `{"session_id":…,"result":<what the agent said>}`. The agent's bytes stay as they are, and must be one document for that. */
function inEnvelope(bytes: Uint8Array, session: object): Uint8Array {
  if (!judge(bytes, { limits: { bytesMax: Math.max(1, bytes.byteLength) } }).ok)
    throw new UpstreamFault('upstream_protocol', 'the agent’s answer is not one JSON document', { wasSent: true });
  const head = new TextEncoder().encode(`${JSON.stringify(session).slice(0, -1)},"result":`);
  const whole = new Uint8Array(head.byteLength + bytes.byteLength + 1);
  whole.set(head);
  whole.set(bytes, head.byteLength);
  whole[whole.byteLength - 1] = 0x7d;
  return whole;
}
