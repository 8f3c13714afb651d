/** A tool of a plain HTTP server: one request built from the pinned route and the typed arguments, one whole answer. */

import { isSuccessStatus, mediaTypeOf, upstreamRequest } from '@sallyport/dialects';
import { deny, type Denial } from '@sallyport/model';
import type { UpstreamAnswer } from '@sallyport/net';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import { readAnswer, singleHeader } from './answer-body.ts';
import { NOTHING_CARRIED, type Header } from '../secrets/credentials.ts';
import { ASSERTION_HEADER, type ForwardOptions, type Outgoing } from './forward-options.ts';
import { traceHeaders } from './trace-headers.ts';

/** Media types that reach an agent; a page or a script is no tool's answer, and neither is a text in another alphabet than we read. */
const MEDIA_TYPES: ReadonlySet<string> = new Set(['application/json', 'application/problem+json', 'text/plain']);
const CHARSET = /;[ \t]*charset[ \t]*=[ \t]*"?([^";]*)"?/i;

/** Sends the call. Rejects with an `UpstreamFault`; an error status is a failure by value that names it. */
export async function forwardHttpTool(
  { permitted, carried, assertion, sign }: Outgoing,
  { session, signal, traceparent }: ForwardContext,
  { upstreams, account, limits, delegations }: ForwardOptions,
): Promise<Answer | UpstreamFailure> {
  const { server, destination, tool, arguments: args } = permitted;
  const request = upstreamRequest(server, tool, args);
  if (!request.ok) return { failure: request.error, result: 'not_forwarded', wasSent: false };
  const isRead = tool.effect === 'read';
  // Owner: this call. Why nothing was handed on to the agent that was reached.
  let unhanded: Denial | undefined;
  const headersFor = async (peerCertificate: Uint8Array): Promise<readonly Header[]> => {
    const shown = await delegations.handOn(permitted, session, peerCertificate);
    if (shown.ok) return shown.value;
    unhanded = shown.error;
    throw new Error(shown.error.detail);
  };
  const { method, target: path, body } = request.value;
  const send = async (): Promise<UpstreamAnswer> => {
    const headers: readonly Header[] = [
      ...Object.entries(request.value.headers),
      ...carried.headers(destination.server),
      [ASSERTION_HEADER, assertion],
      ...traceHeaders(traceparent),
    ];
    return upstreams.request(destination, {
      method,
      path,
      headers: sign === undefined ? headers : await sign({ method, path, headers, body }),
      ...(body === undefined ? {} : { body }),
      ...(server.agent === undefined ? {} : { headersFor }),
      onlyReads: isRead,
      signal,
      bodyBytesMax: limits.answerBytesMax,
    });
  };
  let answer: UpstreamAnswer;
  try {
    answer = await send();
  } catch (thrown) {
    if (unhanded !== undefined) return { failure: unhanded, result: 'not_forwarded', wasSent: false };
    throw thrown;
  }
  // The key may have been replaced a moment ago. Only a read goes out again, and only once.
  if (answer.status === 401 && carried !== NOTHING_CARRIED && (await carried.isReplaced()) && isRead) {
    answer.discard();
    answer = await send();
  }
  const refuse = (why: string): UpstreamFailure => {
    answer.discard();
    const failure = deny('upstream_error', `${tool.name} answered ${why}`);
    return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
  };
  if (!isSuccessStatus(answer.status)) return refuse(String(answer.status));
  const mediaType = passableType(singleHeader(answer.rawHeaders, 'content-type'));
  if (mediaType === undefined && answer.status !== 204) return refuse('with a content type that does not reach agents');
  return new WholeAnswer(answer, mediaType, { account, bytesMax: limits.answerBytesMax });
}

/**
 * One unit. Owner of its fields. A head that says yes is not yet an answer: its body may break off. A class, because a
 * generator made for each answer would bring a hidden class of its own, which keeps the call in memory (`RequestBody`).
 */
class WholeAnswer implements Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly delivery = 'whole';
  readonly units: AsyncGenerator<AnswerUnit, void, void>;
  readonly #answer: UpstreamAnswer;
  #result: Outcome['result'] = 'cut';

  constructor(answer: UpstreamAnswer, mediaType: string | undefined, bounds: Parameters<typeof readAnswer>[1]) {
    this.status = answer.status;
    // Written anew: of the upstream's own header only its meaning travels.
    this.headers = mediaType === undefined ? NOT_STORED : { 'content-type': mediaType, ...NOT_STORED };
    this.#answer = answer;
    this.units = this.#read(bounds);
  }

  outcome(): Outcome {
    return { result: this.#result, upstreamStatus: this.status };
  }

  async close(): Promise<void> {
    await this.units.return();
    this.#answer.discard();
  }

  async *#read(bounds: Parameters<typeof readAnswer>[1]): AsyncGenerator<AnswerUnit, void, void> {
    const held = await readAnswer(this.#answer, bounds);
    try {
      this.#result = 'ok';
      yield { bytes: held.bytes, isLast: true };
    } finally {
      held.release();
    }
  }
}

const NOT_STORED = { 'cache-control': 'no-store' } as const;

/** The media type as it may be passed on, or `undefined`. JSON is UTF-8 (RFC 8259, section 8.1), and so must other texts be. */
function passableType(contentType: string | undefined): string | undefined {
  const type = mediaTypeOf(contentType);
  const charset = CHARSET.exec(contentType ?? '')?.[1]
    ?.trim()
    .toLowerCase();
  if (!MEDIA_TYPES.has(type) || !(charset === undefined || charset === 'utf-8' || charset === 'us-ascii')) return undefined;
  return type === 'text/plain' ? 'text/plain; charset=utf-8' : type;
}
