/**
 * The time that goes into statements. It follows the wall clock, but never runs backwards and never stands: where the
 * wall clock is set back, time goes on from the last statement by the boot clock. Statements that went back in time
 * would look old to every sidecar that has seen a later one, and a clock moved by an attacker or by a wrong time server
 * would stop the fleet. docs/spec/control-plane.md section 6.2.
 */

import type { Clock, Instant } from '@sallyport/model';

export interface SignerClock {
  now(): Instant;
}

export interface SignerClockOptions {
  readonly clock: Clock;
  /** The last instant that was signed, also before this start. */
  readonly last: Instant | undefined;
  /** A step between wall and boot clock that is larger than this is told, once each time it begins. */
  readonly stepMsMax: number;
  readonly onStep: (step: { readonly direction: 'back' | 'ahead'; readonly byMs: number }) => void;
}

export function signerClock({ clock, last, stepMsMax, onStep }: SignerClockOptions): SignerClock {
  // Owner: this clock. `instant` is the last answer, given at `boot`; before the first there is no `boot` to count from.
  let instant = last;
  let boot: number | undefined;
  let isBehind = false;
  return {
    now() {
      const wall = clock.wall();
      const bootNow = clock.boot();
      const elapsed = boot === undefined ? 0 : bootNow - boot;
      const expected = instant === undefined ? wall : instant + elapsed;
      const step = wall - expected;
      if (step < -stepMsMax && !isBehind) onStep({ direction: 'back', byMs: -step });
      // After a start nobody knows how long the process was away: only a running one can tell that time has jumped.
      if (step > stepMsMax && boot !== undefined) onStep({ direction: 'ahead', byMs: step });
      isBehind = step < -stepMsMax;
      instant = Math.max(wall, Math.floor(expected)) as Instant;
      boot = bootNow;
      return instant;
    },
  };
}
