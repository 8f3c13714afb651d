/** Answers that the listener gives by itself, where no exchange came to be: a problem (RFC 9457) and a closed connection. */

import { deny, publicDenial } from '@sallyport/model';

/** What may be answered without looking further. */
export type OwnAnswer = 'malformed_request' | 'headers_too_large' | 'expectation_failed' | 'head_timeout' | 'body_timeout';

const LINES: Readonly<Record<OwnAnswer, string>> = {
  malformed_request: '400 Bad Request',
  headers_too_large: '431 Request Header Fields Too Large',
  expectation_failed: '417 Expectation Failed',
  head_timeout: '408 Request Timeout',
  body_timeout: '408 Request Timeout',
};

export function statusOf(answer: OwnAnswer): number {
  return Number(LINES[answer].slice(0, 3));
}

/** What is said, whatever carries it. */
export function ownProblem(answer: OwnAnswer, decisionId: string | undefined): { readonly status: number; readonly body: string } {
  const denial = deny(answer === 'headers_too_large' ? 'headers_too_large' : 'malformed_request', '');
  const { decision_id, ...problem } = publicDenial(denial, { decisionId: decisionId ?? '', effect: 'none' });
  const named = decisionId === undefined ? problem : { decision_id, ...problem };
  const status = statusOf(answer);
  return { status, body: JSON.stringify({ ...named, status }) };
}

/** The whole response of HTTP/1.1, for a connection that ends with it. */
export function ownAnswer(answer: OwnAnswer, decisionId: string | undefined): string {
  const { body } = ownProblem(answer, decisionId);
  return [
    `HTTP/1.1 ${LINES[answer]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
