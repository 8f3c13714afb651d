/**
 * Small HTTP requests to this machine: a sidecar's administration socket, its health port, the demo's own services.
 * Never anything else: no names are resolved, no redirects followed, no more than a bounded answer read.
 */

import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { Fault } from '@sallyport/model';
import { reasonOf } from './files.ts';

export type LocalTarget = { readonly socketPath: string } | { readonly host: '127.0.0.1'; readonly port: number };

export interface LocalRequest {
  readonly target: LocalTarget;
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface LocalAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const ANSWER_BYTES_MAX = 4_194_304;

/** Rejects with a Fault where nobody answers. */
export function ask({ target, method = 'GET', path, headers = {}, body, signal }: LocalRequest): Promise<LocalAnswer> {
  return new Promise((resolve, reject) => {
    const fault = (why: string, cause?: unknown): void => {
      const where = 'socketPath' in target ? target.socketPath : `${target.host}:${target.port}`;
      reject(new Fault('upstream_unreachable', 'upstream', `while asking \`${where}\`: ${why}`, { cause }));
    };
    const sent = request({ ...target, method, path, headers, signal, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > ANSWER_BYTES_MAX) answer.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      answer.on('error', (error) => fault(reasonOf(error), error));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.on('error', (error) => fault(reasonOf(error), error));
    sent.end(body);
  });
}
