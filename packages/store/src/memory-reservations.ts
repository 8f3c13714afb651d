/**
 * The reservation store of one process: memory, rebuilt from the journal's snapshot and state frames. Exact because every
 * step is one synchronous turn. Counts of a session live in memory alone, since sessions end with the process.
 */

import { utf8 } from '@sallyport/crypto';
import { Decimal, fail, invariant, ok } from '@sallyport/model';
import type { Instant, Result, SessionId } from '@sallyport/model';
import { attemptRows } from './attempt-rows.ts';
import type { AttemptRows } from './attempt-rows.ts';
import { NOTHING, durableAttempts, readAttempts, readJson, writeAttempts } from './attempts.ts';
import type { Attempt, Counter } from './attempts.ts';
import type { StateFrame } from './journal.ts';
import { RESERVATION_KEY_CHARS_MAX } from './reservations.ts';
import type {
  CountLimit,
  Limit,
  Refused,
  ReservationStore,
  Reserved,
  ReserveRequest,
  RunLimit,
  SettleOutcome,
  SumLimit,
} from './reservations.ts';

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

/** A call under way: the counters it is in, and the session whose rows it is a step of. */
interface Open {
  readonly names: readonly string[];
  readonly session: SessionId | undefined;
}

class Memory implements MemoryReservations {
  readonly #entriesMax: number;
  // All fields below: written and read by this store alone, within one turn at a time.
  readonly #counters: Map<string, Counter> = new Map();
  readonly #sessions: Map<SessionId, Set<string>> = new Map();
  readonly #open: Map<string, Open> = new Map();
  readonly #rows: AttemptRows = attemptRows();
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
    this.#rows.step(request);
    this.#open.set(request.id, { names: wanted.map(({ counter }) => nameOf(counter)), session: request.session });
    const durable = wanted.flatMap(({ counter, attempt }) => durableAttempts(counter, [attempt]));
    return ok({
      id: request.id,
      frames: durable.length === 0 ? [] : [{ kind: 'reservation', bytes: writeAttempts(durable) }],
      sums: request.limits.flatMap((limit) => (limit.kind === 'sum' ? [{ key: limit.key, sum: this.#sumWithin(limit, now) }] : [])),
    });
  }

  settle(id: string, outcome: SettleOutcome): readonly StateFrame[] {
    return this.#end(id, outcome);
  }

  cancel(id: string): readonly StateFrame[] {
    const open = this.#open.get(id);
    const frames = this.#end(id, 'cancelled');
    for (const name of open?.names ?? []) this.#remove(name, id);
    if (open?.session !== undefined) this.#rows.takeBack(id, open.session);
    return frames;
  }

  forgetSession(session: SessionId): void {
    for (const name of this.#sessions.get(session) ?? []) {
      this.#entries -= this.#counters.get(name)?.attempts.length ?? 0;
      this.#counters.delete(name);
    }
    this.#sessions.delete(session);
    this.#rows.forgetSession(session);
  }

  snapshot(): Uint8Array {
    return writeAttempts([...this.#counters.values()].flatMap((counter) => durableAttempts(counter, counter.attempts)));
  }

  #firstReached(limits: readonly Limit[], now: Instant): Refused | undefined {
    for (const [index, limit] of limits.entries()) {
      const reached =
        limit.kind === 'run'
          ? this.#runReached(limit)
          : limit.kind === 'sum'
            ? this.#sumReached(limit, now)
            : this.#countReached(limit, now);
      if (reached !== undefined) return { code: 'limit', index, key: limit.key, ...reached };
    }
    return undefined;
  }

  #countReached(limit: CountLimit, now: Instant): { retryAfterMs: number | null } | undefined {
    const attempts = this.#counters.get(nameOf(limit))?.attempts ?? [];
    const from = limit.window_ms === null ? 0 : firstWithin(attempts, now - limit.window_ms);
    if (attempts.length - from < limit.max) return undefined;
    // The attempt whose leaving makes room: the oldest, or a later one where a new policy lowered the limit.
    const leaving = limit.max === 0 ? undefined : attempts[attempts.length - limit.max];
    return { retryAfterMs: limit.window_ms === null || leaving === undefined ? null : leaving.at + limit.window_ms - now };
  }

  #sumReached(limit: SumLimit, now: Instant): { retryAfterMs: number | null; sum: Decimal } | undefined {
    const sum = this.#sumWithin(limit, now);
    if (sum.add(limit.amount).compare(limit.max) <= 0) return undefined;
    // An amount that is too much by itself never fits; another waits for those before it to leave.
    if (limit.window_ms === null || limit.amount.compare(limit.max) > 0) return { retryAfterMs: null, sum };
    const attempts = this.#counters.get(nameOf(limit))?.attempts ?? [];
    let left = sum;
    for (const { at, amount } of attempts.slice(firstWithin(attempts, now - limit.window_ms))) {
      left = left.subtract(amount);
      if (left.add(limit.amount).compare(limit.max) <= 0) return { retryAfterMs: at + limit.window_ms - now, sum };
    }
    return { retryAfterMs: null, sum };
  }

  /** Most windows of one key are of one length, so that what has left them is forgotten and the rest is summed already. */
  #sumWithin(limit: SumLimit, now: Instant): Decimal {
    const counter = this.#counters.get(nameOf(limit));
    if (counter === undefined) return NOTHING;
    if (limit.window_ms === null) return counter.sum;
    this.#forgetFirst(counter, now);
    const before = firstWithin(counter.attempts, now - limit.window_ms);
    return counter.attempts.slice(0, before).reduce((sum, { amount }) => sum.subtract(amount), counter.sum);
  }

  #forgetFirst(counter: Counter, now: Instant): void {
    const live = counter.attempts.findIndex(({ expiresAt }) => expiresAt === null || expiresAt > now);
    const gone = counter.attempts.splice(0, live === -1 ? counter.attempts.length : live);
    this.#entries -= gone.length;
    for (const { amount } of gone) counter.sum = counter.sum.subtract(amount);
    if (counter.attempts.length === 0) this.#drop(nameOf(counter), counter);
  }

  #runReached(limit: RunLimit): { retryAfterMs: null } | undefined {
    return this.#rows.isReached(limit) ? { retryAfterMs: null } : undefined;
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
      counter.sum = sumOf(live);
      if (live.length === 0) this.#drop(name, counter);
    }
  }

  #add({ kind, key, session }: CounterName, attempt: Attempt): void {
    const name = nameOf({ kind, key, session });
    const counter = this.#counters.get(name) ?? { kind, key, session, attempts: [], sum: NOTHING };
    counter.sum = counter.sum.add(attempt.amount);
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
    const [removed] = counter.attempts.splice(index, 1);
    counter.sum = counter.sum.subtract(removed?.amount ?? NOTHING);
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
    const open = this.#open.get(id);
    invariant(open !== undefined, 'a reservation is settled or cancelled once');
    this.#open.delete(id);
    const isDurable = open.names.some((name) => this.#counters.get(name)?.session === null);
    return isDurable ? [{ kind: 'settlement', bytes: utf8(JSON.stringify({ v: 1, id, outcome })) }] : [];
  }

  /** Replaying is idempotent: a snapshot may already hold what a frame after it says. */
  #restore(bytes: Uint8Array, known: Set<string>): void {
    for (const { kind, key, ...attempt } of readAttempts(bytes)) {
      const { id } = attempt;
      const name = nameOf({ kind, key, session: null });
      if (known.has(`${id} ${name}`)) continue;
      known.add(`${id} ${name}`);
      this.#open.set(id, { names: [...(this.#open.get(id)?.names ?? []), name], session: undefined });
      this.#add({ kind, key, session: null }, attempt);
    }
  }

  #replaySettlement(bytes: Uint8Array): void {
    const { id, outcome } = readJson(bytes) as { readonly id: string; readonly outcome: string };
    if (outcome === 'cancelled') for (const name of this.#open.get(id)?.names ?? []) this.#remove(name, id);
    this.#open.delete(id);
  }
}

type CounterName = Pick<Counter, 'kind' | 'key' | 'session'>;

function sumOf(attempts: readonly Attempt[]): Decimal {
  return attempts.reduce((sum, { amount }) => sum.add(amount), NOTHING);
}

/** Policy names keys and sessions; a JSON list keeps one from reading as another. */
function nameOf({ kind, key, session }: CounterName): string {
  return session === null ? JSON.stringify([kind, key]) : JSON.stringify([kind, key, session]);
}

function assertLimit(limit: Limit): void {
  invariant(limit.key !== '' && limit.key.length <= RESERVATION_KEY_CHARS_MAX, 'a limit has a key of bounded length');
  if (limit.kind === 'sum') {
    invariant(limit.amount.compare(NOTHING) >= 0 && limit.max.compare(NOTHING) >= 0, 'no amount is negative');
    // What cannot be read back would keep the next start from reading anything.
    invariant(Decimal.parse(limit.amount.toString()) !== undefined, 'an amount is a decimal');
  } else invariant(Number.isSafeInteger(limit.max) && limit.max >= 0, 'a limit is a count');
  if (limit.kind === 'run') return;
  invariant(limit.window_ms === null ? limit.session !== null : limit.window_ms > 0, 'a limit ends with its window or with its session');
}

/** One attempt a counter, however many limits look at it; it lives as long as the longest of their windows. */
function wantedAttempts({ id, limits }: ReserveRequest, now: Instant): readonly { counter: CounterName; attempt: Attempt }[] {
  const wanted = new Map<string, { counter: CounterName; attempt: Attempt }>();
  for (const limit of limits) {
    if (limit.kind === 'run') continue;
    const { kind, key, session } = limit;
    const name = nameOf(limit);
    const before = wanted.get(name)?.attempt.expiresAt;
    const expiresAt = limit.window_ms === null || before === null ? null : Math.max(before ?? 0, now + limit.window_ms);
    const amount = limit.kind === 'sum' ? limit.amount : NOTHING;
    wanted.set(name, { counter: { kind, key, session }, attempt: { id, at: now, expiresAt, amount } });
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
