/**
 * How processes on one PostgreSQL hear of each other's commits. A notification wakes; a number, counted up in every
 * transaction that announces, says whether something was missed. A lost notification delays by one poll, no more.
 */

import type { Client, ClientConfig } from 'pg';
import type { Clock } from '@sallyport/model';

export interface Announcements {
  /** An own transaction has committed announcement `number`. */
  committed(number: number): void;
  listen(listener: () => void): void;
  close(): Promise<void>;
}

export interface AnnouncementsOptions {
  readonly clock: Clock;
  readonly connect: (config: ClientConfig) => Client;
  readonly config: ClientConfig;
  /** Names the channel. */
  readonly schema: string;
  /** The number of the last announcement that is committed. */
  readonly last: () => Promise<number>;
  readonly onFailure: (error: unknown) => void;
}

const POLL_MS = 2_000;

/** Resolves when it listens, or has failed to once. `seen` is the number of the last announcement at the start. */
export async function createAnnouncements(options: AnnouncementsOptions, seen: number): Promise<Announcements> {
  const { clock, onFailure } = options;
  // Owner: this closure.
  const listeners: (() => void)[] = [];
  const ended = new AbortController();
  let heard = seen;
  let client: Client | undefined;
  let looking: Promise<void> | undefined;

  const tell = (): void => {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        onFailure(error);
      }
    }
  };

  const look = async (): Promise<void> => {
    try {
      const last = await options.last();
      if (last <= heard) return;
      heard = last;
      tell();
    } catch (error) {
      onFailure(error);
    }
  };
  /** One look at a time; who asks during one gets another after it. */
  const wake = (): void => {
    if (ended.signal.aborted) return;
    looking = (looking ?? Promise.resolve()).then(look);
  };

  const subscribe = async (): Promise<void> => {
    if (client !== undefined || ended.signal.aborted) return;
    const made = options.connect(options.config);
    client = made;
    const lose = (error?: unknown): void => {
      if (client !== made) return;
      client = undefined;
      if (error !== undefined && !ended.signal.aborted) onFailure(error);
    };
    made.on('error', lose);
    made.on('end', () => lose());
    made.on('notification', wake);
    try {
      await made.connect();
      await made.query(`listen ${options.schema}_announcements`);
      // What was announced before this could not be heard.
      wake();
    } catch (error) {
      lose(error);
      await made.end().catch(() => undefined);
    }
  };

  const poll = (): void => {
    void subscribe();
    wake();
    clock.timer(POLL_MS, poll, { signal: ended.signal });
  };
  clock.timer(POLL_MS, poll, { signal: ended.signal });
  await subscribe();

  return {
    committed(number) {
      // Where somebody else's came in between, the next look finds a number beyond, or this very one: both are told.
      if (number === heard + 1) heard = number;
    },
    listen: (listener) => void listeners.push(listener),
    async close() {
      ended.abort();
      await looking;
      await client?.end().catch(() => undefined);
    },
  };
}
