/**
 * The key sets of issuers that publish them, held for as long as the bundle says and fetched when a token needs them: one
 * flight at a time and a pause between two, so that tokens of unknown keys cannot make us a weapon against the issuer, or
 * it one against us. A set that is too old verifies nothing, and there is no going on with it. docs/spec/sessions.md, 2a.
 */

import { digestOf, utf8 } from '@sallyport/crypto';
import { type Clock, Fault, type Issuer, type KeySource } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import { BoundedCache } from './bounded-cache.ts';
import { fetchKeySet } from './key-fetch.ts';
import type { IssuerKey, KeySet } from './key-set.ts';

export interface KeySetLimits {
  /** For discovery and key set together. */
  readonly fetchMsMax: number;
  /** Between two fetches of one source, where the last one succeeded. */
  readonly pauseMs: number;
  /** The same where it failed. */
  readonly pauseAfterFailureMs: number;
  /** Sources remembered; more than a bundle can have issuers. */
  readonly sourcesMax: number;
}

export const KEY_SET_LIMITS: KeySetLimits = { fetchMsMax: 5_000, pauseMs: 30_000, pauseAfterFailureMs: 5_000, sourcesMax: 256 };

/** What is known of a `kid`: the key, that there is none, or that nobody can say. */
export type Found =
  | { readonly state: 'known'; readonly key: IssuerKey; readonly generation: number }
  | { readonly state: 'unknown' }
  | { readonly state: 'unavailable'; readonly why: string };

/** An issuer whose keys are fetched. */
export type FetchedIssuer = Issuer & { readonly keySource: KeySource };

export interface KeySets {
  /** The key of this name, fetched where what is held does not say. Never rejects. */
  find(issuer: FetchedIssuer, kid: string): Promise<Found>;
  /** Names the keys that are held and young enough, `undefined` where there are none. Another number: other keys. */
  generation(issuer: FetchedIssuer): number | undefined;
  /** Ends what is under way; from now on only what is held is known. */
  close(): void;
}

export interface KeySetsOptions {
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  readonly limits?: Partial<KeySetLimits>;
  /** A fetch failed, in words for the log; what is held stays good for as long as it is. */
  readonly onFailure?: (issuer: string, detail: string) => void;
}

/** Holds nothing until the first token of an issuer asks. */
export function keySets(options: KeySetsOptions): KeySets {
  const limits = { ...KEY_SET_LIMITS, ...options.limits };
  const sources = new BoundedCache<Source>(limits.sourcesMax);
  const over = new AbortController();
  let generations = 0;
  const sourceOf = (issuer: FetchedIssuer): Source => {
    const { jwksUri = '', network } = issuer.keySource;
    const name = `${network} ${jwksUri} ${issuer.issuer}`;
    const held = sources.get(name);
    if (held !== undefined) return held;
    const made = new Source({ ...options, limits, signal: over.signal, nextGeneration: () => (generations += 1) });
    sources.set(name, made);
    return made;
  };
  return {
    find: (issuer, kid) => sourceOf(issuer).find(issuer, kid),
    generation: (issuer) => sourceOf(issuer).generation(issuer),
    close: () => over.abort(),
  };
}

interface SourceOptions extends KeySetsOptions {
  readonly limits: KeySetLimits;
  readonly signal: AbortSignal;
  readonly nextGeneration: () => number;
}

interface HeldKeys {
  readonly keys: KeySet;
  readonly digest: string;
  readonly generation: number;
  /** When its fetch began: what the issuer has withdrawn since is not known. */
  readonly askedAt: number;
}

/** One issuer's keys. Owner of its fields; `#fetch` alone writes them. */
class Source {
  readonly #with: SourceOptions;
  #held: HeldKeys | undefined;
  #flight: Promise<void> | undefined;
  #mayAskAt = Number.NEGATIVE_INFINITY;
  #failure = 'nothing was fetched yet';

  constructor(options: SourceOptions) {
    this.#with = options;
  }

  generation(issuer: FetchedIssuer): number | undefined {
    const held = this.#usable(issuer);
    if (held !== undefined) this.#renewEarly(issuer, held);
    return held?.generation;
  }

  async find(issuer: FetchedIssuer, kid: string): Promise<Found> {
    const before = this.#usable(issuer);
    const known = before?.keys.get(kid);
    if (before !== undefined && known !== undefined) {
      this.#renewEarly(issuer, before);
      return { state: 'known', key: known, generation: before.generation };
    }
    await (this.#flight ?? this.#begin(issuer));
    const held = this.#usable(issuer);
    if (held === undefined) return { state: 'unavailable', why: this.#failure };
    const key = held.keys.get(kid);
    return key === undefined ? { state: 'unknown' } : { state: 'known', key, generation: held.generation };
  }

  #usable({ keySource }: FetchedIssuer): HeldKeys | undefined {
    const held = this.#held;
    return held !== undefined && this.#with.clock.boot() - held.askedAt < keySource.ageMsMax ? held : undefined;
  }

  /** At half its age a set is renewed while it is still good, so that no call waits for it and none fails for a short outage. */
  #renewEarly(issuer: FetchedIssuer, { askedAt }: HeldKeys): void {
    const isYoung = this.#with.clock.boot() - askedAt < issuer.keySource.ageMsMax / 2;
    if (!isYoung && this.#flight === undefined) void this.#begin(issuer);
  }

  /** A fetch, unless the last one was too short a while ago. Never rejects. */
  #begin(issuer: FetchedIssuer): Promise<void> | undefined {
    const { clock, signal } = this.#with;
    if (signal.aborted || clock.boot() < this.#mayAskAt) return undefined;
    this.#flight = this.#fetch(issuer).finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  async #fetch(issuer: FetchedIssuer): Promise<void> {
    const { clock, upstreams, signal, limits, onFailure } = this.#with;
    const askedAt = clock.boot();
    try {
      const keys = await fetchKeySet(issuer, issuer.keySource, { upstreams, clock, signal, fetchMsMax: limits.fetchMsMax });
      const digest = digestOf(utf8(JSON.stringify([...keys.values()])));
      const generation = this.#held?.digest === digest ? this.#held.generation : this.#with.nextGeneration();
      this.#held = { keys, digest, generation, askedAt };
      // A set that lives shortly is asked for as often as it must be.
      this.#mayAskAt = clock.boot() + Math.min(limits.pauseMs, issuer.keySource.ageMsMax / 2);
    } catch (thrown) {
      // Whatever it was, nothing is known anew; what is held goes on for as long as its age allows.
      this.#mayAskAt = clock.boot() + limits.pauseAfterFailureMs;
      this.#failure = thrown instanceof Fault ? `${thrown.code}: ${thrown.message}` : String(thrown);
      if (!signal.aborted) onFailure?.(issuer.issuer, this.#failure);
    }
  }
}
