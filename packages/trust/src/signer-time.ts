/**
 * What the signers' clocks read, as far as this receiver can know without trusting its own wall clock: anchored by live
 * proofs, carried on by time since boot, raised by every statement. docs/spec/trust-v1.md section 9.1.
 */

import { addMs } from '@sallyport/model';
import type { BootMs, Instant } from '@sallyport/model';
import { BOOT_DRIFT_MAX } from './limits.ts';

/** Two readings of one moment. `boot` orders and measures; `wall` may lie. */
export interface Now {
  readonly wall: Instant;
  readonly boot: BootMs;
}

/** At `boot` the signers' clocks read at least `instant`. */
export interface SignerTime {
  readonly instant: Instant;
  readonly boot: BootMs;
  /**
   * Time that may have passed beyond that before restarts, one interval for each. It makes statements older, and never
   * counts against a proof: otherwise a process that crashes in a loop could no longer be proven anything.
   */
  readonly slackMs: number;
  /** A live proof has anchored it since this process started. */
  readonly isProven: boolean;
}

/** The estimate at a later moment of the same boot clock. */
export function signerInstant(time: SignerTime, boot: BootMs): Instant {
  return addMs(time.instant, time.slackMs + Math.max(0, boot - time.boot));
}

/**
 * The least that a later proof may show: what is certain, less what a boot clock running fast may have added. It never
 * goes back, so that a thief of a freshness key cannot turn time back proof by proof.
 */
export function signerInstantMin(time: SignerTime, boot: BootMs): Instant {
  return addMs(time.instant, Math.floor(Math.max(0, boot - time.boot) * (1 - BOOT_DRIFT_MAX)));
}

/** After a live proof: its `issued_at` stood at the moment the nonce was sent, or later. */
export function anchorSignerTime(time: SignerTime | undefined, issuedAt: Instant, sentAt: BootMs): SignerTime {
  const least = time === undefined ? issuedAt : signerInstantMin(time, sentAt);
  return { instant: Math.max(issuedAt, least) as Instant, boot: sentAt, slackMs: 0, isProven: true };
}

/** After a statement: the signers' clocks had reached its `issued_at` when it arrived. */
export function raiseSignerTime(time: SignerTime, issuedAt: Instant, boot: BootMs): SignerTime {
  const certain = addMs(time.instant, Math.max(0, boot - time.boot));
  if (certain >= issuedAt) return time;
  return { ...time, instant: issuedAt, boot, slackMs: Math.max(0, signerInstant(time, boot) - issuedAt) };
}

/**
 * The instant at which signed expiries are judged. Without a proof in this process the wall clock counts too, as the
 * only witness of the time that passed while it did not run.
 */
export function estimateSignerTime(time: SignerTime | undefined, now: Now): Instant {
  if (time === undefined) return now.wall;
  const estimate = signerInstant(time, now.boot);
  return time.isProven ? estimate : (Math.max(estimate, now.wall) as Instant);
}
