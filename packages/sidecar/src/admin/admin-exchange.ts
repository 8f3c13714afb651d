/**
 * The administration socket, in a folder that the agent cannot enter: what the sidecar knows of itself and of its last
 * decisions. It works without the control plane. Everything only reads; the one act is drain. docs/spec/sidecar-admin.md.
 */

import type { Clock } from '@sallyport/model';
import { Fault } from '@sallyport/model';
import type { HttpExchange } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { CredentialEntry } from '../secrets/credential-register.ts';
import { json } from './answers.ts';
import { DECISIONS_MAX, type Decisions } from './decisions.ts';
import type { Readiness } from './readiness.ts';

export interface AdminOptions {
  readonly readiness: () => Readiness;
  readonly decisions: Decisions;
  /** Those of the policy in force. */
  readonly credentials: () => readonly CredentialEntry[];
  readonly clock: Clock;
  readonly drain: () => void;
}

const LIST_DEFAULT = 100;
const SINCE_MAX = 200;
const WAIT_MS_MAX = 30_000;

/** `GET /status`, `GET /credentials`, `GET /decisions`, `GET /decisions/<id>`, `POST /drain`. */
export function adminExchange(of: AdminOptions): (exchange: HttpExchange) => Promise<void> {
  return async (exchange) => {
    const { method, target } = exchange;
    const [path = '', query = ''] = target.split('?', 2);
    if (method === 'GET' && target === '/status') return json(exchange, 200, of.readiness());
    if (method === 'GET' && target === '/credentials') return json(exchange, 200, { credentials: of.credentials() });
    if (method === 'GET' && path === '/decisions') return listed(exchange, new URLSearchParams(query), of);
    if (method === 'GET' && target.startsWith('/decisions/')) {
      const found = of.decisions.find(target.slice('/decisions/'.length));
      return found === undefined
        ? json(exchange, 404, { error: `not among the last ${DECISIONS_MAX} decisions of this start` })
        : json(exchange, 200, found);
    }
    if (method === 'POST' && target === '/drain') {
      await json(exchange, 202, { draining: true });
      return of.drain();
    }
    return json(exchange, 404, { error: 'not found' });
  };
}

const PARAMETERS = ['limit', 'session', 'after', 'wait_ms'] as const;
type Asked = { readonly [K in 'limit' | 'after' | 'wait_ms']?: number } & { readonly session?: string };

/** The newest, or with `after` what changed since, waiting for it up to `wait_ms`. */
async function listed(exchange: HttpExchange, query: URLSearchParams, { decisions, clock }: AdminOptions): Promise<void> {
  const asked = readQuery(query);
  if (asked === undefined) return json(exchange, 400, { error: `only ${PARAMETERS.join(', ')}, each once, numbers in range` });
  const { limit = LIST_DEFAULT, session, after, wait_ms: waitMs = 0 } = asked;
  if (after === undefined) {
    const wanted = decisions.list().filter(({ decision }) => session === undefined || decision.session_id === session);
    return json(exchange, 200, { decisions: wanted.slice(0, limit), next: decisions.place });
  }
  if (after === decisions.place && waitMs > 0) {
    const over = deadline(clock, waitMs, { signal: exchange.signal, fault: () => new Fault('aborted', 'internal', 'the wait is over') });
    await decisions.changed(over.signal);
    over.clear();
    // Whoever waited has gone: there is nobody to answer.
    if (exchange.signal.aborted) return exchange.cut();
  }
  return json(exchange, 200, decisions.since(after, SINCE_MAX));
}

function readQuery(query: URLSearchParams): Asked | undefined {
  const read: Record<string, string | number> = {};
  for (const [name, value] of query) {
    if (!(PARAMETERS as readonly string[]).includes(name) || Object.hasOwn(read, name)) return undefined;
    if (name !== 'session' && !/^(0|[1-9][0-9]{0,14})$/.test(value)) return undefined;
    read[name] = name === 'session' ? value : Number(value);
  }
  const asked: Asked = read;
  const isInRange = (asked.limit ?? 1) >= 1 && (asked.limit ?? 1) <= DECISIONS_MAX && (asked.wait_ms ?? 0) <= WAIT_MS_MAX;
  return isInRange ? asked : undefined;
}
