/**
 * One request to an agent by its sidecar's inbound port, as a caller makes it. Over TLS alone, to the host that was named, no
 * redirect followed, and no more than a bounded answer read.
 */

import { Fault } from '@sallyport/model';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { reasonOf } from '../../files.ts';

export interface InboundRequest {
  readonly url: URL;
  readonly agent: string;
  /** PEM; the machine's own authorities where it is absent. */
  readonly ca?: string;
  readonly token: string;
  readonly body: string;
  readonly traceparent: string;
  readonly signal: AbortSignal;
}

export interface InboundAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const ANSWER_BYTES_MAX = 4_194_304;

/** Rejects with a Fault where nobody answers, or nobody who can be believed. */
export function invokeAgent({ url, agent, ca, token, body, traceparent, signal }: InboundRequest): Promise<InboundAnswer> {
  return new Promise((resolve, reject) => {
    const fault = (error: unknown): void =>
      reject(new Fault('upstream_unreachable', 'upstream', `while asking \`${url.host}\`: ${reasonOf(error)}`, { cause: error }));
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', traceparent };
    const path = `/agents/${encodeURIComponent(agent)}/invoke`;
    const { hostname, port } = url;
    const host = hostname.replace(/^\[|\]$/g, '');
    const options = { host, port: port === '' ? 443 : Number(port), method: 'POST', path, headers, signal, agent: false } as const;
    const sent = request({ ...options, ...(ca === undefined ? {} : { ca }) }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > ANSWER_BYTES_MAX) answer.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      answer.on('error', fault);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.on('error', fault);
    sent.end(body);
  });
}
