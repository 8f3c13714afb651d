/** Stands before a `node:http` server: whoever brings no good assertion is answered here, and never reaches the tool. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { TITLES, statusOf, type AssertionFailure } from './failure.ts';
import { readAuthorities } from './signing-certificate.ts';
import { verifyAssertion, type Assertion, type VerifyOptions } from './verify-assertion.ts';

export interface GuardOptions extends Omit<VerifyOptions, 'tool' | 'now' | 'arguments'> {
  /** The full name of the one tool behind it, or which tool a request calls; a request that calls none is refused. */
  readonly tool: string | ((request: IncomingMessage) => string | undefined);
  /** Milliseconds since 1970; by default the machine's clock. */
  readonly now?: () => number;
  /** Told of each refusal, for the tool's own log. */
  readonly onRefused?: (code: AssertionFailure, detail: string) => void;
}

/** The assertion of the request, or `undefined` where it was refused and answered. */
export type AssertionGuard = (request: IncomingMessage, response: ServerResponse) => Assertion | undefined;

/** A guard. Throws `TypeError` at once for options that would believe nobody or everybody. */
export function assertionGuard(options: GuardOptions): AssertionGuard {
  readAuthorities(options.authorities);
  const { tool, now, onRefused, ...fixed } = options;
  return (request, response) => {
    const called = typeof tool === 'string' ? tool : tool(request);
    const refuse = (code: AssertionFailure, detail: string): undefined => {
      onRefused?.(code, detail);
      answer(response, code);
    };
    // Of two assertions, whoever stands in between and this guard could read different ones.
    const [token, ...more] = request.headersDistinct['sallyport-assertion'] ?? [];
    if (token === undefined) return refuse('assertion_missing', 'no header field');
    if (more.length > 0) return refuse('malformed', 'more than one header field');
    const verified = verifyAssertion(token, { ...fixed, tool: called, ...(now === undefined ? {} : { now: now() }) });
    if (!verified.ok) return refuse(verified.code, verified.detail);
    return called === undefined ? refuse('tool_mismatch', 'the request calls no tool') : verified.assertion;
  };
}

/** RFC 9457; RFC 9110 section 11.6.1 wants a challenge with a 401. */
function answer(response: ServerResponse, code: AssertionFailure): void {
  const status = statusOf(code);
  const body = JSON.stringify({ type: 'about:blank', title: TITLES[code], status, code });
  const challenge = status === 401 ? { 'www-authenticate': 'Sallyport-Assertion' } : {};
  // The body of the refused request is not read: the connection is of no use to anybody after it.
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    connection: 'close',
    ...challenge,
  });
  response.end(body);
}
