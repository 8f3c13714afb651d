/**
 * One sidecar on its policy stream: what it has been offered, what it has answered, and what it is sent next. One offer
 * is outstanding at a time; what comes after is worked out from what is current then, so that a newer offer takes the
 * place of one that waits. Revocations wait for nothing. docs/spec/control-plane.md section 6.
 */

import { Verdict_Outcome } from '@sallyport/contract';
import type { ServerMessage, Verdict } from '@sallyport/contract';
import { equalBytes } from '@sallyport/crypto';
import type { SpiffeId } from '@sallyport/identity';
import type { Clock, Digest } from '@sallyport/model';
import type { StreamWriter } from '@sallyport/net';
import type { Place } from '../publish/api.ts';
import { reconnectMessage, revocationMessage, snapshotMessage } from './messages.ts';
import type { Message, Offer } from './messages.ts';

/** What the stream has to know of the rest of the control plane. */
export interface SubscriberSources {
  /** What this place should hold, most wanted first: bundles of the current release, the release, what is to be staged. */
  readonly wanted: () => readonly Wanted[];
  /** The offer of a wanted object; `undefined` where it cannot be made, because it was edited on disk. */
  readonly offer: (wanted: Wanted) => Offer | undefined;
  readonly revocationsAfter: (seq: number, limit: number) => Promise<readonly { readonly seq: number; readonly envelope: Uint8Array }[]>;
  readonly snapshot: () => { readonly seq: number; readonly envelope: Uint8Array };
  /** How a bundle was answered. */
  readonly answered: (bundle: Digest, isStaged: boolean) => void;
  /** A release is enforced there: what was refused before is history. */
  readonly activated: () => void;
  readonly rejected: (what: Wanted, detail: string) => void;
}

export interface Wanted {
  readonly kind: 'bundle' | 'release';
  readonly digest: Digest;
  /** Of a release: the bundles that it joins. */
  readonly bundles?: readonly Digest[];
}

export interface SubscriberOptions {
  readonly spiffeId: SpiffeId;
  readonly place: Place;
  readonly out: StreamWriter<ServerMessage>;
  readonly clock: Clock;
  readonly sources: SubscriberSources;
  /** The last revocation that it says it holds. */
  readonly revocationSeq: number;
  readonly verdictWaitMsMax: number;
  /** The release that it says it enforces: what it enforces it need not be offered. */
  readonly active: Digest | undefined;
}

/** Entries sent one by one before a snapshot is the shorter way. */
const REVOCATIONS_ONE_BY_ONE_MAX = 64;
const REVOCATIONS_PAGE = 256;
/** A snapshot goes down the stream only if it is as small as any other message. */
const SNAPSHOT_BYTES_MAX = 16_000;
/** A sidecar that has dropped a bundle gets it again when its release is refused for that, this many times. */
const REPEATS_MAX = 2;
/** Of the bundles that it has answered, a sidecar surely still holds this many of the last: it keeps four, and what it enforces. */
const SURELY_HELD = 3;
const RECONNECT_AFTER_MS = 250;
const RECONNECT_JITTER_MS = 4_000;

export class Subscriber {
  readonly #options: SubscriberOptions;
  // Owner of what follows: this subscriber. `settled` is what was answered on this stream.
  readonly #settled = new Set<Digest>();
  readonly #repeats = new Map<Digest, number>();
  /** Bundles that were answered last, the newest answer last. */
  readonly #answered: Digest[] = [];
  /** Releases before which forgotten bundles have been offered again: once, whatever becomes of them. */
  readonly #prepared = new Set<Digest>();
  readonly #ended = new AbortController();
  #outstanding: { readonly offer: Offer; readonly wanted: Wanted; readonly timer: AbortController } | undefined;
  #revocationSeq: number;
  /** Sending of revocations, one at a time: two at once would send the same entries. */
  #telling: Promise<void> = Promise.resolve();

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#revocationSeq = options.revocationSeq;
  }

  get spiffeId(): SpiffeId {
    return this.#options.spiffeId;
  }

  get place(): Place {
    return this.#options.place;
  }

  /** Aborts when the stream is to end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** A message for all; false when the stream cannot take it, and then it ends. */
  send(message: Message): boolean {
    return this.#send(message, false);
  }

  /** Offers what is most wanted and not answered yet, unless an answer is still out. */
  offerNext(): void {
    if (this.#outstanding !== undefined || this.#ended.signal.aborted) return;
    const { sources, active } = this.#options;
    this.#offerForgottenAgain();
    for (const wanted of sources.wanted()) {
      if (this.#settled.has(wanted.digest)) continue;
      if (wanted.digest === active) {
        this.#settle(wanted, true);
        continue;
      }
      // What is enforced there is held there.
      if (wanted.kind === 'bundle' && this.#isActive(wanted.digest)) {
        this.#settle(wanted, true);
        continue;
      }
      const offer = sources.offer(wanted);
      if (offer === undefined) continue;
      if (this.#send(offer.message, false)) this.#await(offer, wanted);
      return;
    }
  }

  /** Sends what is new in the revocation log, ahead of everything that waits. Rejects where it cannot be read. */
  async sendRevocations(): Promise<void> {
    const mine = this.#telling.then(async () => this.#sendRevocations());
    this.#telling = mine.catch(() => undefined);
    return mine;
  }

  async #sendRevocations(): Promise<void> {
    const { sources } = this.#options;
    const snapshot = sources.snapshot();
    if (snapshot.seq - this.#revocationSeq > REVOCATIONS_ONE_BY_ONE_MAX && snapshot.envelope.byteLength <= SNAPSHOT_BYTES_MAX) {
      if (this.#send(snapshotMessage(snapshot.envelope), true)) this.#revocationSeq = snapshot.seq;
      return;
    }
    for (;;) {
      const page = await sources.revocationsAfter(this.#revocationSeq, REVOCATIONS_PAGE);
      if (page.length === 0) return;
      for (const { seq, envelope } of page) {
        if (!this.#send(revocationMessage(envelope), true)) return;
        this.#revocationSeq = seq;
      }
    }
  }

  /** Takes a verdict; false for one that says nothing. A late answer, or one that nobody asked for, settles nothing. */
  verdict(verdict: Verdict): boolean {
    if (verdict.outcome === Verdict_Outcome.UNSPECIFIED) return false;
    const answered = this.#outstanding;
    if (answered === undefined || !equalBytes(verdict.nonce, answered.offer.nonce)) return true;
    answered.timer.abort();
    this.#outstanding = undefined;
    const isTaken = verdict.outcome !== Verdict_Outcome.REJECTED;
    const { sources } = this.#options;
    if (!isTaken) sources.rejected(answered.wanted, `${verdict.code}: ${verdict.detail}`);
    else if (answered.wanted.kind === 'release') sources.activated();
    if (isTaken || verdict.code !== 'DIGEST' || !this.#repeat(answered.wanted)) this.#settle(answered.wanted, isTaken);
    this.offerNext();
    return true;
  }

  /** Asks it to come again, and ends the stream. */
  reconnect(reason: string): void {
    if (this.#ended.signal.aborted) return;
    const message = reconnectMessage({ afterMs: RECONNECT_AFTER_MS, jitterMs: RECONNECT_JITTER_MS, reason });
    this.#options.out.write(message, { priority: true });
    this.stop();
  }

  /** The stream is over: nothing is sent or awaited any more. */
  stop(): void {
    this.#outstanding?.timer.abort();
    this.#ended.abort();
  }

  #send(message: Message, priority: boolean): boolean {
    if (this.#ended.signal.aborted) return false;
    if (this.#options.out.write(message, { priority })) return true;
    // Too slow to be kept current on this stream: whatever it would miss, it gets anew on the next.
    this.reconnect('too much is unsent');
    return false;
  }

  #await(offer: Offer, wanted: Wanted): void {
    const timer = new AbortController();
    this.#outstanding = { offer, wanted, timer };
    this.#options.clock.timer(this.#options.verdictWaitMsMax, () => this.reconnect('an offer was not answered'), { signal: timer.signal });
  }

  #settle(wanted: Wanted, isTaken: boolean): void {
    this.#settled.add(wanted.digest);
    if (wanted.kind !== 'bundle') return;
    this.#options.sources.answered(wanted.digest, isTaken);
    this.#answered.push(wanted.digest);
    if (this.#answered.length > SURELY_HELD) this.#answered.shift();
  }

  /** Before a release goes back to a bundle of long ago: it may have been dropped since it was answered. */
  #offerForgottenAgain(): void {
    for (const { kind, digest, bundles = [] } of this.#options.sources.wanted()) {
      if (kind !== 'release' || this.#settled.has(digest) || this.#prepared.has(digest)) continue;
      this.#prepared.add(digest);
      for (const bundle of bundles) if (!this.#answered.includes(bundle)) this.#settled.delete(bundle);
    }
  }

  #isActive(bundle: Digest): boolean {
    const { sources, active } = this.#options;
    return active !== undefined && sources.wanted().some(({ digest, bundles }) => digest === active && bundles?.includes(bundle) === true);
  }

  /** A release that was refused for want of a bundle: the bundle is offered again, and then the release. */
  #repeat(wanted: Wanted): boolean {
    const times = (this.#repeats.get(wanted.digest) ?? 0) + 1;
    this.#repeats.set(wanted.digest, times);
    if (wanted.kind !== 'release' || times > REPEATS_MAX) return false;
    for (const digest of wanted.bundles ?? []) this.#settled.delete(digest);
    return true;
  }
}
