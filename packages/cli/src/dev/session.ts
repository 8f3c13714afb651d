/** The session that `dev` keeps open for the agent: opened with a token of the development key, and anew when it has ended. */

import { SESSION_TOKEN_MS } from '@sallyport/identity';
import { Fault } from '@sallyport/model';
import type { BootMs, JsonObject } from '@sallyport/model';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import type { DevOperator } from './operator.ts';

export interface Opened {
  readonly id: string;
  readonly token: string;
}

export interface DevSession {
  /** The open session; opens one where there is none, or its token is about to end. Rejects with a Fault that says what refused it. */
  current(): Promise<Opened>;
  /** What was refused for its session is over; the next call gets another. */
  isOver(token: string): void;
}

export interface SessionOptions {
  /** Of the sidecar, on 127.0.0.1. */
  readonly port: number;
  /** Asked each time: the policy may have changed who there can be. */
  readonly operator: () => DevOperator;
  readonly io: Pick<Io, 'clock' | 'signal'>;
  readonly onOpened: (opened: Opened, isFirst: boolean) => void;
}

/** A token is not used in its last minute: a call may take its time. */
const MARGIN_MS = 60_000;

export function devSession({ port, operator, io, onOpened }: SessionOptions): DevSession {
  // Owner: this session. One opening at a time, shared by all who wait for it.
  let held: (Opened & { readonly until: BootMs }) | undefined;
  let opening: Promise<Opened> | undefined;
  let isFirst = true;
  const open = async (): Promise<Opened> => {
    const until = (io.clock.boot() + SESSION_TOKEN_MS - MARGIN_MS) as BootMs;
    const opened = await openSession(port, operator(), io);
    held = { ...opened, until };
    onOpened(opened, isFirst);
    isFirst = false;
    return opened;
  };
  return {
    async current() {
      if (held !== undefined && io.clock.boot() < held.until) return held;
      opening ??= open().finally(() => {
        opening = undefined;
      });
      return opening;
    },
    isOver(token) {
      if (held?.token === token) held = undefined;
    },
  };
}

async function openSession(port: number, operator: DevOperator, { clock, signal }: Pick<Io, 'clock' | 'signal'>): Promise<Opened> {
  const answer = await ask({
    target: { host: '127.0.0.1', port },
    method: 'POST',
    path: '/session',
    headers: { authorization: `Bearer ${operator.token(clock.wall())}`, 'content-type': 'application/json' },
    body: '{}',
    signal,
  });
  const body = parsed(answer.body);
  const { session_id: id, token, code, decision_id: decision } = body;
  if (answer.status === 201 && typeof id === 'string' && typeof token === 'string') return { id, token };
  const why = typeof code === 'string' ? code : `status ${answer.status}`;
  throw new Fault(
    'upstream_protocol',
    'upstream',
    `while opening a session for \`${operator.subject}\`: ${why}${typeof decision === 'string' ? `; sallyport explain ${decision} says why` : ''}`,
  );
}

function parsed(body: string): JsonObject {
  try {
    return JSON.parse(body) as JsonObject;
  } catch {
    // Not JSON: then it says nothing that we look for.
    return {};
  }
}
