/**
 * The streams that clients of the legacy era hold open by GET. One is a lease like a call that is out: it is looked at
 * every second, and sooner after a revocation; it ends with its session, its credential, its freshness or the drain. All that it ever says is that the
 * listing has changed; the caller then asks for it. docs/spec/mcp.md, section 4.
 */

import { listChanged } from '@sallyport/dialects';
import type { Clock, Denial } from '@sallyport/model';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import { LEASE_RECHECK_MS, REVOKED_RECHECK_MS } from '../pipeline/leases.ts';
import type { McpStreamOf, McpStreams, McpStreamView } from '../pipeline/ports.ts';

export interface McpStreamsOptions {
  readonly clock: Clock;
  /** Open at once; each holds a connection of the agent's. */
  readonly streamsMax: number;
  /** What a stream's caller may see now, or why it may go on no longer. */
  readonly judge: (stream: McpStreamOf) => Denial | McpStreamView;
  /** The last revocation that is in force here. */
  readonly revocationSeq: () => number;
  readonly isDraining: () => boolean;
}

interface Open {
  readonly of: McpStreamOf;
  /** Owner: `look`. The facts that the caller was last judged by, and what they let it see. */
  generation: number;
  revocationSeq: number;
  listing: string;
  /** Owner: `look` and the reader, which takes it. Many changes are one. */
  isChanged: boolean;
  /** Owner: `end`. */
  ended: Outcome | undefined;
  /** Owner: the reader; called by whoever has news for it. */
  wake: (() => void) | undefined;
}

export function mcpStreams({ clock, streamsMax, judge, revocationSeq, isDraining }: McpStreamsOptions): McpStreams {
  // Owner: these streams. One for each MCP session.
  const streams = new Map<string, Open>();
  let isSweeping = false;
  // Nothing stops the looking but that no stream is left.
  const { signal } = new AbortController();

  const end = (stream: Open, outcome: Outcome): void => {
    if (stream.ended !== undefined) return;
    stream.ended = outcome;
    if (streams.get(stream.of.mcpSession) === stream) streams.delete(stream.of.mcpSession);
    stream.wake?.();
  };
  const look = (stream: Open): void => {
    if (isDraining()) return end(stream, OVER);
    const judged = judge(stream.of);
    if ('code' in judged) return end(stream, { result: 'cut', code: judged.code });
    stream.revocationSeq = judged.revocationSeq;
    if (judged.generation === stream.generation) return undefined;
    const listing = judged.listing();
    stream.generation = judged.generation;
    if (listing === stream.listing) return undefined;
    stream.listing = listing;
    stream.isChanged = true;
    return stream.wake?.();
  };
  /** When all are looked at again; between, whoever a revocation may touch. Counted in time, since a machine may sleep. */
  let allDueAt: number = clock.boot();
  const sweep = (): void => {
    const isFull = clock.boot() >= allDueAt;
    if (isFull) allDueAt = clock.boot() + LEASE_RECHECK_MS;
    const seq = revocationSeq();
    for (const stream of streams.values()) {
      if (!isFull && stream.revocationSeq === seq) continue;
      try {
        look(stream);
      } catch {
        // What cannot be judged cannot go on.
        end(stream, { result: 'cut', code: 'internal' });
      }
    }
    isSweeping = streams.size > 0;
    if (isSweeping) clock.timer(REVOKED_RECHECK_MS, sweep, { signal });
  };

  return {
    open(of) {
      const before = streams.get(of.mcpSession);
      // A client that comes again has lost the one it had, whatever the connection under that still looks like.
      if (before !== undefined) end(before, OVER);
      const judged = judge(of);
      if ('code' in judged) return judged;
      if (streams.size >= streamsMax) return undefined;
      const { generation, revocationSeq: seq } = judged;
      const listing = judged.listing();
      const stream: Open = { of, generation, revocationSeq: seq, listing, isChanged: false, ended: undefined, wake: undefined };
      streams.set(of.mcpSession, stream);
      const onGone = (): void => end(stream, OVER);
      if (of.signal.aborted) onGone();
      else of.signal.addEventListener('abort', onGone, { once: true });
      if (!isSweeping) {
        isSweeping = true;
        allDueAt = clock.boot() + LEASE_RECHECK_MS;
        clock.timer(REVOKED_RECHECK_MS, sweep, { signal });
      }
      return answerOf(stream, onGone);
    },
    end(mcpSession) {
      const stream = streams.get(mcpSession);
      if (stream !== undefined) end(stream, OVER);
    },
  };
}

/** Ended by its client, for its client, or with this process: nothing went wrong. */
const OVER: Outcome = { result: 'local' };

function answerOf(stream: Open, onGone: () => void): Answer {
  const units = (async function* told(): AsyncGenerator<AnswerUnit, void, void> {
    while (stream.ended === undefined) {
      if (!stream.isChanged) {
        await new Promise<void>((resolve) => {
          stream.wake = resolve;
        });
        continue;
      }
      stream.isChanged = false;
      yield { bytes: listChanged(), isLast: false };
    }
  })();
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    delivery: 'messages',
    units,
    outcome: () => stream.ended ?? OVER,
    async close() {
      onGone();
      stream.of.signal.removeEventListener('abort', onGone);
      await units.return();
    },
  };
}
