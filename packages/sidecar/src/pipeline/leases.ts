/**
 * Calls that were let out and have not come back. A permit is a lease (pipeline-v1, section 4): a read that outlives its
 * release, its session or its freshness is judged anew and cut where it would no longer be allowed, and no call at all
 * outlives `call_ms_max`. One timer for all of them, none per call, and many are judged in slices.
 */

import type { RpcId } from '@sallyport/dialects';
import { deny, type BootMs, type Clock, type Denial } from '@sallyport/model';
import { roster } from '@sallyport/runtime';
import type { CallFacts, Fresh } from './facts.ts';
import type { Held, McpBinding } from './ports.ts';

/** How late the end of a lease may be noticed. */
export const LEASE_RECHECK_MS = 1_000;
/** How late a revocation may be. Beside it every call is compared by one number, so that this may be often. */
export const REVOKED_RECHECK_MS = 250;
/** Calls that are judged anew in one go; then the sockets have their turn. */
const SLICE = 64;
const SLICE_PAUSE_MS = 1;

/** One call's lease, in the hands of whoever forwards it. */
export interface Lease {
  /** Aborts when the exchange must end. */
  readonly signal: AbortSignal;
  /** Why it was ended, where it was not the caller who did. */
  readonly ended: Denial | undefined;
  /** The caller has cancelled it, in its protocol's own way; nobody waits for an answer. */
  readonly isCancelled: boolean;
  /** The call has come back; always called. */
  close(): void;
}

export interface Leases {
  /** A lease for a call that has its permit. */
  open(call: CallFacts): Lease;
  /** Ends the calls that an MCP client names as no longer wanted: those of its own session and server alone. */
  cancel(named: Cancelled): void;
  /** Ends every call that is out, writes too: the process is leaving. Later ones end at once. */
  cutAll(): void;
  readonly size: number;
}

/** A call as its own client names it. Every member must be equal, so that nobody can cancel another's. */
export interface Cancelled extends McpBinding {
  readonly mcpSession: string | undefined;
  readonly id: RpcId;
}

export interface LeasesOptions {
  readonly clock: Clock;
  /** The longest that a call may be out, whatever it is doing. */
  readonly callMsMax: number;
  readonly bundle: { read(): Held };
  /** Whether a call would still be allowed by what is in force: the refusal, or `undefined`. */
  readonly judge: (call: CallFacts, now: Fresh & { readonly hasSwitched: boolean }) => Promise<Denial | undefined>;
}

interface Entry {
  readonly call: CallFacts;
  readonly openedAt: BootMs;
  readonly over: AbortController;
  /** Owner: `look`. The release and revocations that the call was last judged by. */
  generation: number;
  revocationSeq: number;
  /** Owner: `end`. */
  ended: Denial | undefined;
  /** Owner: `cancel`. */
  isCancelled: boolean;
}

/** The leases of one process. */
export function createLeases({ clock, callMsMax, bundle, judge }: LeasesOptions): Leases {
  // Owner: these leases.
  const out = roster<Entry>();
  const leaving = new AbortController();
  let isSweeping = false;

  const look = async (entry: Entry): Promise<Denial | undefined> => {
    const age = clock.boot() - entry.openedAt;
    if (age >= callMsMax) return deny('upstream_timeout', `not done after call_ms_max (${callMsMax} ms)`);
    // What a write does is done, and its agent had better hear of it; a read can be cut and harms nothing.
    // An agent's answer may go on for as long as it likes: whoever hears it must still be somebody who may.
    const isCut = entry.call.tool.tool.effect === 'read' || entry.call.dialect === 'agent';
    if (!isCut) return undefined;
    const held = bundle.read();
    const isRevoking = revocationSeqOf(held) !== entry.revocationSeq;
    if (age < LEASE_RECHECK_MS && !isRevoking) return undefined;
    if (held.state !== 'fresh') return deny('policy_stale', 'the bundle turned stale while the call was out');
    const hasSwitched = held.snapshot.generation !== entry.generation;
    entry.generation = held.snapshot.generation;
    entry.revocationSeq = held.snapshot.revocations.seq;
    return judge(entry.call, { held, hasSwitched });
  };
  const lookAll = (due: readonly Entry[]): void => {
    for (const entry of due.slice(0, SLICE)) {
      look(entry).then(
        (why) => why && end(entry, why),
        // What cannot be judged cannot go on.
        () => end(entry, deny('internal', 'the call could not be judged anew')),
      );
    }
    if (due.length > SLICE) clock.timer(SLICE_PAUSE_MS, () => lookAll(due.slice(SLICE)), { signal: leaving.signal });
    else again();
  };
  /** When all are looked at again; between, whoever a revocation may touch. Counted in time, since a machine may sleep. */
  let allDueAt: number = clock.boot();
  const sweep = (): void => {
    const isFull = clock.boot() >= allDueAt;
    if (isFull) allDueAt = clock.boot() + LEASE_RECHECK_MS;
    const seq = revocationSeqOf(bundle.read());
    lookAll([...out.members()].filter((entry) => isFull || entry.revocationSeq !== seq));
  };
  const again = (): void => {
    isSweeping = out.size > 0;
    if (isSweeping) clock.timer(REVOKED_RECHECK_MS, sweep, { signal: leaving.signal });
  };

  return {
    open(call) {
      const { generation, revocations } = call.held.snapshot;
      const entry: Entry = {
        call,
        openedAt: clock.boot(),
        over: new AbortController(),
        generation,
        revocationSeq: revocations.seq,
        ended: undefined,
        isCancelled: false,
      };
      const seat = out.join(entry);
      if (leaving.signal.aborted) end(entry, LEAVING);
      if (!isSweeping) {
        allDueAt = clock.boot() + LEASE_RECHECK_MS;
        again();
      }
      const unfollow = followCaller(entry);
      return new OpenLease(entry, () => {
        seat.leave();
        unfollow();
      });
    },
    cancel(named) {
      for (const entry of out.members()) if (isNamed(entry.call, named)) cancel(entry);
    },
    cutAll() {
      leaving.abort();
      for (const entry of out.members()) end(entry, LEAVING);
    },
    get size() {
      return out.size;
    },
  };
}

/** The last revocation in force; -1, which no call was judged by, where nothing is. */
export function revocationSeqOf(held: Held): number {
  return held.state === 'absent' ? -1 : held.snapshot.revocations.seq;
}

/** What the entry says, to whoever forwards the call. */
class OpenLease implements Lease {
  readonly #entry: Entry;
  readonly close: () => void;

  constructor(entry: Entry, close: () => void) {
    this.#entry = entry;
    this.close = close;
  }

  get signal(): AbortSignal {
    return this.#entry.over.signal;
  }

  get ended(): Denial | undefined {
    return this.#entry.ended;
  }

  get isCancelled(): boolean {
    return this.#entry.isCancelled;
  }
}

const LEAVING: Denial = deny('overloaded', 'cut: the sidecar is leaving');

function end(entry: Entry, why: Denial): void {
  if (entry.over.signal.aborted) return;
  entry.ended = why;
  entry.over.abort();
}

function cancel(entry: Entry): void {
  if (entry.over.signal.aborted) return;
  entry.isCancelled = true;
  entry.over.abort();
}

function isNamed({ ask, session, server }: CallFacts, named: Cancelled): boolean {
  if (ask.dialect !== 'mcp' || ask.message.kind !== 'call_tool' || ask.message.era !== 'legacy') return false;
  const { id, mcpSession } = ask.message;
  return id === named.id && mcpSession === named.mcpSession && session.id === named.session && server.name === named.server;
}

/**
 * A read over plain HTTP ends when nobody waits for it. A write goes on, so that what became of it is known. Over MCP a
 * caller's leaving is the cancellation itself in the modern era (2026-07-28, cancellation), and none in the legacy one
 * (2025-11-25, transports).
 */
function followCaller(entry: Entry): () => void {
  const { call } = entry;
  const isModern = call.ask.dialect === 'mcp' && call.ask.message.kind === 'call_tool' && call.ask.message.era === 'modern';
  const endsRead = call.dialect === 'agent' || (call.dialect === 'http-tool' && call.tool.tool.effect === 'read');
  if (!isModern && !endsRead) return () => {};
  const { signal } = call;
  const onGone = (): void => (isModern ? cancel(entry) : entry.over.abort());
  if (signal.aborted) onGone();
  else signal.addEventListener('abort', onGone, { once: true });
  return () => signal.removeEventListener('abort', onGone);
}
