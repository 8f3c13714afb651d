/**
 * The one account of buffered bytes (`bytes_in_flight_max`): every body, answer, stream window and queued record holds
 * its share here before it reads, and a call that cannot hold is refused. Without it a few large bodies end the process.
 */

import { invariant } from '@sallyport/model';

/** A share of the account, in one owner's hands. */
export interface HeldBytes {
  readonly bytes: number;
  /** Adds to the share; false when the account has no more, and the share is as before. */
  grow(bytes: number): boolean;
  /** Gives back all but `bytes`; what was read may be less than what was announced. */
  shrinkTo(bytes: number): void;
  /** Gives back the whole share; a second time does nothing. */
  release(): void;
}

export interface BytesAccount {
  /** A share of `bytes`, or `undefined` when it would pass the maximum. */
  reserve(bytes: number): HeldBytes | undefined;
  readonly inFlight: number;
  readonly max: number;
}

export function bytesAccount(bytesInFlightMax: number): BytesAccount {
  // Owner: this account; changed by its shares alone.
  let inFlight = 0;
  const take = (bytes: number): boolean => {
    invariant(Number.isSafeInteger(bytes) && bytes >= 0, 'a share of the account is a whole number of bytes');
    if (inFlight + bytes > bytesInFlightMax) return false;
    inFlight += bytes;
    return true;
  };
  const hold = (initial: number): HeldBytes => {
    let held = initial;
    let isReleased = false;
    const shrinkTo = (bytes: number): void => {
      invariant(bytes >= 0 && bytes <= held, 'a share only shrinks');
      inFlight -= held - bytes;
      held = bytes;
    };
    return {
      get bytes() {
        return held;
      },
      grow(bytes) {
        invariant(!isReleased, 'a released share does not grow');
        if (!take(bytes)) return false;
        held += bytes;
        return true;
      },
      shrinkTo,
      release() {
        isReleased = true;
        shrinkTo(0);
      },
    };
  };
  return {
    reserve: (bytes) => (take(bytes) ? hold(bytes) : undefined),
    get inFlight() {
      return inFlight;
    },
    max: bytesInFlightMax,
  };
}
