/**
 * How many sessions of the agent are being served: of which a request is under way at the agent, or a call of the agent's. One
 * number, and one for each open session; nothing is looked up or kept by name. docs/spec/sessions.md, section 7.
 */

import { invariant } from '@sallyport/model';
import type { SessionsServed, UnderWay } from '../pipeline/ports.ts';

export function sessionsServed(): SessionsServed {
  // Owner: this function.
  let served = 0;
  return {
    get count() {
      return served;
    },
    begin(session) {
      session.exchanges += 1;
      if (session.exchanges === 1) served += 1;
    },
    end(session) {
      invariant(session.exchanges > 0, 'what ends has begun');
      session.exchanges -= 1;
      if (session.exchanges === 0) served -= 1;
    },
  };
}

/** What one exchange serves: at most one session, from when its call is judged until the exchange is over, however it ends. */
export class Serving {
  readonly #all: SessionsServed;
  /** Owner: this object. */
  #session: UnderWay | undefined;
  #isOver = false;

  constructor(all: SessionsServed) {
    this.#all = all;
  }

  /** Again for the same session, as where a call is judged anew, changes nothing. */
  begin(session: UnderWay): void {
    if (this.#isOver || this.#session === session) return;
    if (this.#session !== undefined) this.#all.end(this.#session);
    this.#session = session;
    this.#all.begin(session);
  }

  end(): void {
    this.#isOver = true;
    if (this.#session !== undefined) this.#all.end(this.#session);
    this.#session = undefined;
  }
}
