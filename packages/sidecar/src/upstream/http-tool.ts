/** A tool of a plain HTTP server: one request built from the pinned route and the typed arguments, one whole answer. */

import { isSuccessStatus, mediaTypeOf, upstreamRequest } from '@sallyport/dialects';
import { deny } from '@sallyport/model';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import { readAnswer, singleHeader } from './answer-body.ts';
import type { ForwardOptions } from './forward-options.ts';
import { traceHeaders } from './trace-headers.ts';

/** Media types that reach an agent as they are; a page or a script is no tool's answer. */
const MEDIA_TYPES: ReadonlySet<string> = new Set(['application/json', 'application/problem+json', 'text/plain']);

/** Sends the call. Rejects with an `UpstreamFault`; an error status is a failure by value that names it. */
export async function forwardHttpTool(
  { server, tool, arguments: args }: Permitted,
  { destination, signal, traceparent }: ForwardContext,
  { upstreams, account, limits }: ForwardOptions,
): Promise<Answer | UpstreamFailure> {
  const request = upstreamRequest(server, tool, args);
  if (!request.ok) return { failure: request.error, result: 'not_forwarded', wasSent: false };
  const answer = await upstreams.request(destination, {
    method: request.value.method,
    path: request.value.target,
    headers: [...Object.entries(request.value.headers), ...traceHeaders(traceparent)],
    ...(request.value.body === undefined ? {} : { body: request.value.body }),
    // A write goes on to its end although the agent has left, so that what became of it is known.
    signal: tool.effect === 'read' ? signal : NEVER,
    bodyBytesMax: limits.answerBytesMax,
  });
  if (!isSuccessStatus(answer.status)) {
    answer.discard();
    const failure = deny('upstream_error', `${tool.name} answered ${answer.status}`);
    return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
  }
  const contentType = singleHeader(answer.rawHeaders, 'content-type');
  if (answer.status !== 204 && !MEDIA_TYPES.has(mediaTypeOf(contentType) ?? '')) {
    answer.discard();
    const failure = deny('upstream_error', `${tool.name} answered with content type \`${contentType ?? ''}\``);
    return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
  }
  const outcome: Outcome = { result: 'ok', upstreamStatus: answer.status };
  return {
    status: answer.status,
    headers: { ...(contentType === undefined ? {} : { 'content-type': contentType }), 'cache-control': 'no-store' },
    delivery: 'whole',
    units: (async function* whole(): AsyncGenerator<AnswerUnit, void, void> {
      const held = await readAnswer(answer, account);
      try {
        yield { bytes: held.bytes, isLast: true };
      } finally {
        held.release();
      }
    })(),
    outcome: () => outcome,
  };
}

const NEVER = new AbortController().signal;
