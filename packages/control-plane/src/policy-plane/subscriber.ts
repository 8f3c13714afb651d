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
  readonly revocationsAfter: (seq: number, limit: number) => readonly { readonly seq: number; readonly envelope: Uint8Array }[];
  readonly snapshot: () => { readonly seq: number; readonly envelope: Uint8Array };
  /** How a bundle was answered. */
  readonly answered: (bundle: Digest, isStaged: boolean) => void;
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

export interface Subscriber {
  readonly spiffeId: SpiffeId;
  readonly place: Place;
  /** Something may be wanted that was not before. */
  offerNext(): void;
  /** Sends what is new in the revocation log, ahead of everything. */
  sendRevocations(): void;
  /** A message for all; false when the stream cannot take it. */
  send(message: Message): boolean;
  /** False for a verdict that no stream of ours could have asked for. */
  verdict(verdict: Verdict): boolean;
  /** Asks it to come again, and ends the stream. */
  reconnect(reason: string): void;
  /** The stream is over: nothing is sent or awaited any more. */
  stop(): void;
  /** Aborts when the stream is to end. */
  readonly ended: AbortSignal;
}

/** Entries sent one by one before a snapshot is the shorter way. */
const REVOCATIONS_ONE_BY_ONE_MAX = 64;
const REVOCATIONS_PAGE = 256;
/** A snapshot goes down the stream only if it is as small as any other message. */
const SNAPSHOT_BYTES_MAX = 16_000;
/** A sidecar that has dropped a bundle gets it once more when its release is refused for that. */
const REPEATS_MAX = 2;
const RECONNECT_AFTER_MS = 250;
const RECONNECT_JITTER_MS = 4_000;

export function createSubscriber(options: SubscriberOptions): Subscriber {
  const { out, clock, sources } = options;
  const ended = new AbortController();
  // Owner: this subscriber. `settled` is what was answered on this stream, `outstanding` the offer that waits for its verdict.
  const settled = new Map<Digest, 'taken' | 'refused'>();
  const repeats = new Map<Digest, number>();
  let outstanding: { readonly offer: Offer; readonly wanted: Wanted; readonly timer: AbortController } | undefined;
  let { revocationSeq } = options;

  const stop = (): void => {
    outstanding?.timer.abort();
    ended.abort();
  };

  const reconnect = (reason: string): void => {
    if (ended.signal.aborted) return;
    out.write(reconnectMessage({ afterMs: RECONNECT_AFTER_MS, jitterMs: RECONNECT_JITTER_MS, reason }), { priority: true });
    stop();
  };

  const send = (message: Message, priority = false): boolean => {
    if (ended.signal.aborted) return false;
    if (out.write(message, { priority })) return true;
    // Too slow to be kept current on this stream: whatever it would miss, it gets anew on the next.
    reconnect('too much is unsent');
    return false;
  };

  const settle = (wanted: Wanted, isTaken: boolean): void => {
    settled.set(wanted.digest, isTaken ? 'taken' : 'refused');
    if (wanted.kind === 'bundle') sources.answered(wanted.digest, isTaken);
  };

  const offerNext = (): void => {
    if (outstanding !== undefined || ended.signal.aborted) return;
    for (const wanted of sources.wanted()) {
      if (settled.has(wanted.digest)) continue;
      if (wanted.kind === 'release' && wanted.digest === options.active) {
        settle(wanted, true);
        for (const digest of wanted.bundles ?? []) settle({ kind: 'bundle', digest }, true);
        continue;
      }
      const offer = sources.offer(wanted);
      if (offer === undefined) continue;
      if (!send(offer.message)) return;
      const timer = new AbortController();
      outstanding = { offer, wanted, timer };
      clock.timer(options.verdictWaitMsMax, () => reconnect('an offer was not answered'), { signal: timer.signal });
      return;
    }
  };

  /** A release that was refused for want of a bundle: the bundle is offered again, and then the release. */
  const repeat = (wanted: Wanted): boolean => {
    const times = (repeats.get(wanted.digest) ?? 0) + 1;
    repeats.set(wanted.digest, times);
    if (wanted.kind !== 'release' || times > REPEATS_MAX) return false;
    for (const digest of wanted.bundles ?? []) settled.delete(digest);
    return true;
  };

  return {
    spiffeId: options.spiffeId,
    place: options.place,
    ended: ended.signal,
    offerNext,
    reconnect,
    stop,
    send: (message) => send(message),
    sendRevocations() {
      const snapshot = sources.snapshot();
      if (snapshot.seq - revocationSeq > REVOCATIONS_ONE_BY_ONE_MAX && snapshot.envelope.byteLength <= SNAPSHOT_BYTES_MAX) {
        if (send(snapshotMessage(snapshot.envelope), true)) revocationSeq = snapshot.seq;
        return;
      }
      for (let page = sources.revocationsAfter(revocationSeq, REVOCATIONS_PAGE); page.length > 0; ) {
        for (const { seq, envelope } of page) {
          if (!send(revocationMessage(envelope), true)) return;
          revocationSeq = seq;
        }
        page = sources.revocationsAfter(revocationSeq, REVOCATIONS_PAGE);
      }
    },
    verdict(verdict) {
      // A late answer to an offer that was replaced, or a made-up one: it settles nothing.
      if (outstanding === undefined || !equalBytes(verdict.nonce, outstanding.offer.nonce)) return verdict.outcome !== Verdict_Outcome.UNSPECIFIED;
      const { wanted, timer } = outstanding;
      timer.abort();
      outstanding = undefined;
      switch (verdict.outcome) {
        case Verdict_Outcome.STAGED:
        case Verdict_Outcome.ACTIVE:
        case Verdict_Outcome.ALREADY:
          settle(wanted, true);
          break;
        case Verdict_Outcome.REJECTED:
          sources.rejected(wanted, `${verdict.code}: ${verdict.detail}`);
          if (verdict.code !== 'DIGEST' || !repeat(wanted)) settle(wanted, false);
          break;
        default:
          return false;
      }
      offerNext();
      return true;
    },
  };
}
