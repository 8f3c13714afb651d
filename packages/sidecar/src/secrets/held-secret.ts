/**
 * One secret as the sidecar holds it: read when it is due, by one reader at a time, and used on while its source is
 * away, for so long and no longer. Nothing of this object shows its value when it is printed or serialised.
 */

import type { BootMs, Clock, Fault, Instant } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { ReadSecret, Secret, SecretFailure, Sourced } from './secret-source.ts';

export interface SecretTimes {
  /** A value is used for so long without looking at its source again. */
  readonly refreshMs: number;
  /** And for so long after its source last confirmed it. */
  readonly lastGoodMsMax: number;
  /** For one look. */
  readonly readMsMax: number;
}

/** What may be known of it outside of the room. */
export interface SecretState {
  readonly isUsable: boolean;
  /** Since its source last confirmed it; `undefined` before that. */
  readonly confirmedMsAgo: number | undefined;
  /** By its source. */
  readonly madeAt: Instant | undefined;
  /** Of the last look; `undefined` where that succeeded. */
  readonly failure: SecretFailure | undefined;
  /** How often a request carried it. */
  readonly uses: number;
  readonly lastUsedAt: Instant | undefined;
}

/** A source that fails, or an upstream that refuses a value, is not asked more often than this. */
const AGAIN_MS_MIN = 1_000;

/** Owner of its fields. */
export class HeldSecret {
  readonly #read: ReadSecret;
  readonly #clock: Clock;
  readonly #times: SecretTimes;
  #secret: Secret | undefined;
  #confirmedAt = 0 as BootMs;
  #triedAt: BootMs | undefined;
  #refusedAt: BootMs | undefined;
  #failure: SecretFailure | undefined;
  #reading: Promise<void> | undefined;
  #uses = 0;
  #lastUsedAt: Instant | undefined;

  constructor(read: ReadSecret, { clock, times }: { readonly clock: Clock; readonly times: SecretTimes }) {
    this.#read = read;
    this.#clock = clock;
    this.#times = times;
  }

  /** Looks at the source if it is time to. Afterwards `value` is the latest there is. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#isDue()) await this.#look();
  }

  /** The value, while it may be used. */
  value(): string | undefined {
    return this.#isUsable() ? this.#secret?.value : undefined;
  }

  /** The value for a request that goes out. */
  use(): string | undefined {
    this.#uses += 1;
    this.#lastUsedAt = this.#clock.wall();
    return this.value();
  }

  /** An upstream has refused the value: looks again, now. Whether there is another one. */
  async isReplaced(): Promise<boolean> {
    const now = this.#clock.boot();
    if (this.#refusedAt !== undefined && now - this.#refusedAt < AGAIN_MS_MIN) return false;
    this.#refusedAt = now;
    const refused = this.#secret?.value;
    await this.#look();
    return this.#secret !== undefined && this.#secret.value !== refused;
  }

  get state(): SecretState {
    return {
      isUsable: this.#isUsable(),
      confirmedMsAgo: this.#secret === undefined ? undefined : this.#clock.boot() - this.#confirmedAt,
      madeAt: this.#secret?.madeAt,
      failure: this.#failure,
      uses: this.#uses,
      lastUsedAt: this.#lastUsedAt,
    };
  }

  #isDue(): boolean {
    if (this.#triedAt === undefined || this.#reading !== undefined) return true;
    // Of what ends by itself, half of its life is left for failures.
    const lookMs = this.#secret?.lifetimeMs === undefined ? this.#times.refreshMs : this.#secret.lifetimeMs / 2;
    const waitMs = this.#failure === undefined ? lookMs : Math.min(AGAIN_MS_MIN, lookMs);
    return this.#clock.boot() - this.#triedAt >= waitMs;
  }

  #isUsable(): boolean {
    if (this.#secret === undefined) return false;
    return this.#clock.boot() - this.#confirmedAt <= (this.#secret.lifetimeMs ?? this.#times.lastGoodMsMax);
  }

  #look(): Promise<void> {
    return (this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    }));
  }

  async #readOnce(): Promise<void> {
    const fault = (): Fault => new UpstreamFault('upstream_timeout', 'a source of secrets took too long', { wasSent: false });
    const limit = deadline(this.#clock, this.#times.readMsMax, { fault });
    // What is confirmed is what was there when it was asked for.
    const asked = this.#clock.boot();
    const sourced = await endedBy(limit.signal, this.#read(limit.signal));
    limit.clear();
    this.#triedAt = this.#clock.boot();
    if ('failure' in sourced) {
      this.#failure = sourced.failure;
      if (!this.#isUsable()) this.#secret = undefined;
      return;
    }
    this.#failure = undefined;
    this.#secret = sourced;
    this.#confirmedAt = asked;
  }
}

/** A disk that hangs hears no signal; whoever waits for it goes on. */
function endedBy(signal: AbortSignal, reading: Promise<Sourced>): Promise<Sourced> {
  return new Promise((resolve) => {
    const end = (): void => resolve({ failure: 'unreachable' });
    signal.addEventListener('abort', end, { once: true });
    void reading.then(resolve, end);
  });
}
