/**
 * The reservation store of one process: memory, rebuilt from the journal's snapshot and state frames. Exact because every
 * step is one synchronous turn. Counts of a session live in memory alone, since sessions end with the process.
 */

import { fromUtf8, utf8 } from '@sallyport/crypto';
import { fail, invariant, ok } from '@sallyport/model';
import type { Instant, Result, SessionId } from '@sallyport/model';
import type { StateFrame } from './journal.ts';
import { RESERVATION_KEY_CHARS_MAX } from './reservations.ts';
import type { CountLimit, Refused, ReservationStore, Reserved, ReserveRequest, SettleOutcome } from './reservations.ts';

export interface MemoryReservations extends ReservationStore {
  reserve(request: ReserveRequest, now: Instant): Result<Reserved, Refused>;
  settle(id: string, outcome: SettleOutcome): readonly StateFrame[];
  cancel(id: string): readonly StateFrame[];
  forgetSession(session: SessionId): void;
  /** Everything that must survive a restart, for the journal's snapshot frame. */
  snapshot(): Uint8Array;
  /** Live counted attempts. */
  readonly entries: number;
}

export interface MemoryReservationsOptions {
  /** Live counted attempts and calls under way, each; beyond, reserving is refused: a live limit is never evicted. */
  readonly entriesMax: number;
  /** What the journal recovered. Calls that were under way stay counted: they may have had their effect. */
  readonly recovered?: { readonly snapshot: Uint8Array | null; readonly mutations: readonly StateFrame[] };
}

/** Throws a Bug for recovered bytes that are not of this writer: the journal's checksums have already vouched for them. */
export function memoryReservations(options: MemoryReservationsOptions): MemoryReservations {
  return new Memory(options);
}

/** One attempt under one counter. */
interface Attempt {
  readonly id: string;
  readonly at: number;
  /** Null: until its session ends. */
  readonly expiresAt: number | null;
}

interface Counter {
  readonly key: string;
  readonly session: SessionId | null;
  /** Oldest first. */
  readonly attempts: Attempt[];
}

/** What a frame or snapshot says of an attempt that survives a restart. */
interface DurableAttempt extends Attempt {
  readonly key: string;
  readonly expiresAt: number;
}

class Memory implements MemoryReservations {
  readonly #entriesMax: number;
  // All fields below: written and read by this store alone, within one turn at a time.
  readonly #counters: Map<string, Counter> = new Map();
  readonly #sessions: Map<SessionId, Set<string>> = new Map();
  /** Calls under way, and the counters that each of them is in. */
  readonly #open: Map<string, readonly string[]> = new Map();
  #entries = 0;
  /** No attempt expires before this: looking for expired ones earlier is in vain. */
  #sweepAt = -Infinity;

  constructor({ entriesMax, recovered }: MemoryReservationsOptions) {
    this.#entriesMax = entriesMax;
    if (recovered === undefined) return;
    const known = new Set<string>();
    const { snapshot, mutations } = recovered;
    if (snapshot !== null && snapshot.length > 0) this.#restore(snapshot, known);
    for (const { kind, bytes } of mutations) {
      if (kind === 'reservation') this.#restore(bytes, known);
      else if (kind === 'settlement') this.#replaySettlement(bytes);
    }
    // What was under way when the process ended stays counted, and nobody is left to settle it.
    this.#open.clear();
  }

  get entries(): number {
    return this.#entries;
  }

  reserve(request: ReserveRequest, now: Instant): Result<Reserved, Refused> {
    invariant(!this.#open.has(request.id), 'an attempt is reserved once');
    for (const limit of request.limits) assertLimit(limit);
    const reached = this.#firstReached(request.limits, now);
    if (reached !== undefined) return fail(reached);
    const wanted = wantedAttempts(request, now);
    if (!this.#hasRoom(wanted.length, now)) return fail({ code: 'exhausted' });
    for (const { counter, attempt } of wanted) this.#add(counter, attempt);
    this.#open.set(
      request.id,
      wanted.map(({ counter }) => nameOf(counter)),
    );
    const durable = wanted.flatMap(({ counter, attempt }) => durableAttempts(counter, [attempt]));
    return ok({ id: request.id, frames: durable.length === 0 ? [] : [{ kind: 'reservation', bytes: writeAttempts(durable) }] });
  }

  settle(id: string, outcome: SettleOutcome): readonly StateFrame[] {
    return this.#end(id, outcome);
  }

  cancel(id: string): readonly StateFrame[] {
    const names = this.#open.get(id);
    const frames = this.#end(id, 'cancelled');
    for (const name of names ?? []) this.#remove(name, id);
    return frames;
  }

  forgetSession(session: SessionId): void {
    for (const name of this.#sessions.get(session) ?? []) {
      this.#entries -= this.#counters.get(name)?.attempts.length ?? 0;
      this.#counters.delete(name);
    }
    this.#sessions.delete(session);
  }

  snapshot(): Uint8Array {
    return writeAttempts([...this.#counters.values()].flatMap((counter) => durableAttempts(counter, counter.attempts)));
  }

  #firstReached(limits: readonly CountLimit[], now: Instant): Refused | undefined {
    for (const [index, limit] of limits.entries()) {
      const attempts = this.#counters.get(nameOf(limit))?.attempts ?? [];
      const from = limit.window_ms === null ? 0 : firstWithin(attempts, now - limit.window_ms);
      if (attempts.length - from < limit.max) continue;
      // The attempt whose leaving makes room: the oldest, or a later one where a new policy lowered the limit.
      const leaving = limit.max === 0 ? undefined : attempts[attempts.length - limit.max];
      const retryAfterMs = limit.window_ms === null || leaving === undefined ? null : leaving.at + limit.window_ms - now;
      return { code: 'limit', index, key: limit.key, retryAfterMs };
    }
    return undefined;
  }

  #hasRoom(wanted: number, now: Instant): boolean {
    const fits = (): boolean => this.#entries + wanted <= this.#entriesMax && this.#open.size < this.#entriesMax;
    if (!fits() && now >= this.#sweepAt) this.#sweep(now);
    return fits();
  }

  /** Forgets attempts whose window is over. */
  #sweep(now: Instant): void {
    this.#sweepAt = Infinity;
    for (const [name, counter] of this.#counters) {
      const live = counter.attempts.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
      for (const { expiresAt } of live) this.#sweepAt = Math.min(this.#sweepAt, expiresAt ?? Infinity);
      this.#entries -= counter.attempts.length - live.length;
      counter.attempts.splice(0, counter.attempts.length, ...live);
      if (live.length === 0) this.#drop(name, counter);
    }
  }

  #add({ key, session }: CounterName, attempt: Attempt): void {
    const name = nameOf({ key, session });
    const counter = this.#counters.get(name) ?? { key, session, attempts: [] };
    this.#counters.set(name, counter);
    if (session !== null) this.#sessions.set(session, (this.#sessions.get(session) ?? new Set()).add(name));
    // Wall time may step back, so the place of the newest attempt is not always the last.
    counter.attempts.splice(firstWithin(counter.attempts, attempt.at), 0, attempt);
    this.#sweepAt = Math.min(this.#sweepAt, attempt.expiresAt ?? Infinity);
    this.#entries += 1;
  }

  #remove(name: string, id: string): void {
    const counter = this.#counters.get(name);
    const index = counter?.attempts.findIndex((attempt) => attempt.id === id) ?? -1;
    if (counter === undefined || index === -1) return;
    counter.attempts.splice(index, 1);
    this.#entries -= 1;
    if (counter.attempts.length === 0) this.#drop(name, counter);
  }

  #drop(name: string, { session }: Counter): void {
    this.#counters.delete(name);
    if (session === null) return;
    const names = this.#sessions.get(session);
    names?.delete(name);
    if (names?.size === 0) this.#sessions.delete(session);
  }

  #end(id: string, outcome: SettleOutcome | 'cancelled'): readonly StateFrame[] {
    const names = this.#open.get(id);
    invariant(names !== undefined, 'a reservation is settled or cancelled once');
    this.#open.delete(id);
    const isDurable = names.some((name) => this.#counters.get(name)?.session === null);
    return isDurable ? [{ kind: 'settlement', bytes: utf8(JSON.stringify({ v: 1, id, outcome })) }] : [];
  }

  /** Replaying is idempotent: a snapshot may already hold what a frame after it says. */
  #restore(bytes: Uint8Array, known: Set<string>): void {
    for (const { key, id, at, expiresAt } of readAttempts(bytes)) {
      const name = nameOf({ key, session: null });
      if (known.has(`${id} ${name}`)) continue;
      known.add(`${id} ${name}`);
      this.#open.set(id, [...(this.#open.get(id) ?? []), name]);
      this.#add({ key, session: null }, { id, at, expiresAt });
    }
  }

  #replaySettlement(bytes: Uint8Array): void {
    const { id, outcome } = readJson(bytes) as { readonly id: string; readonly outcome: string };
    if (outcome === 'cancelled') for (const name of this.#open.get(id) ?? []) this.#remove(name, id);
    this.#open.delete(id);
  }
}

type CounterName = Pick<Counter, 'key' | 'session'>;

/** Policy names keys and sessions; a JSON pair keeps one from reading as another. */
function nameOf({ key, session }: CounterName): string {
  return session === null ? JSON.stringify([key]) : JSON.stringify([key, session]);
}

function assertLimit({ key, max, window_ms: windowMs, session }: CountLimit): void {
  invariant(key !== '' && key.length <= RESERVATION_KEY_CHARS_MAX, 'a limit has a key of bounded length');
  invariant(Number.isSafeInteger(max) && max >= 0, 'a limit is a count');
  invariant(windowMs === null ? session !== null : windowMs > 0, 'a limit ends with its window or with its session');
}

/** One attempt a counter, however many limits look at it; it lives as long as the longest of their windows. */
function wantedAttempts({ id, limits }: ReserveRequest, now: Instant): readonly { counter: CounterName; attempt: Attempt }[] {
  const wanted = new Map<string, { counter: CounterName; attempt: Attempt }>();
  for (const limit of limits) {
    const name = nameOf(limit);
    const before = wanted.get(name)?.attempt.expiresAt;
    const expiresAt = limit.window_ms === null || before === null ? null : Math.max(before ?? 0, now + limit.window_ms);
    wanted.set(name, { counter: { key: limit.key, session: limit.session }, attempt: { id, at: now, expiresAt } });
  }
  return [...wanted.values()];
}

/** Index of the first attempt after `instant`. */
function firstWithin(attempts: readonly Attempt[], instant: number): number {
  let [low, high] = [0, attempts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((attempts[middle]?.at ?? Infinity) > instant) high = middle;
    else low = middle + 1;
  }
  return low;
}

function durableAttempts({ key, session }: CounterName, attempts: readonly Attempt[]): readonly DurableAttempt[] {
  if (session !== null) return [];
  return attempts.flatMap(({ id, at, expiresAt }) => (expiresAt === null ? [] : [{ key, id, at, expiresAt }]));
}

function writeAttempts(attempts: readonly DurableAttempt[]): Uint8Array {
  const written = attempts.map(({ key, id, at, expiresAt }) => ({ key, id, at_ms: at, expires_at_ms: expiresAt }));
  return utf8(JSON.stringify({ v: 1, attempts: written }));
}

function readAttempts(bytes: Uint8Array): readonly DurableAttempt[] {
  const { attempts } = readJson(bytes) as { attempts: readonly { key: string; id: string; at_ms: number; expires_at_ms: number }[] };
  return attempts.map(({ key, id, at_ms: at, expires_at_ms: expiresAt }) => ({ key, id, at, expiresAt }));
}

function readJson(bytes: Uint8Array): unknown {
  const json: unknown = JSON.parse(fromUtf8(bytes) ?? 'null');
  invariant(typeof json === 'object' && json !== null && 'v' in json && json.v === 1, 'a state frame is of version 1');
  return json;
}
