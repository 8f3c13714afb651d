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
  return new Account(bytesInFlightMax);
}

class Account implements BytesAccount {
  readonly max: number;
  /** Owner: this account; changed by its shares alone. */
  #inFlight = 0;

  constructor(bytesInFlightMax: number) {
    this.max = bytesInFlightMax;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  reserve(bytes: number): HeldBytes | undefined {
    return this.take(bytes) ? new Share(this, bytes) : undefined;
  }

  /** For a share: takes more, or says that there is none. */
  take(bytes: number): boolean {
    invariant(Number.isSafeInteger(bytes) && bytes >= 0, 'a share of the account is a whole number of bytes');
    if (this.#inFlight + bytes > this.max) return false;
    this.#inFlight += bytes;
    return true;
  }

  /** For a share. */
  giveBack(bytes: number): void {
    this.#inFlight -= bytes;
  }
}

/** Owner of its fields. */
class Share implements HeldBytes {
  readonly #account: Account;
  #bytes: number;
  #isReleased = false;

  constructor(account: Account, bytes: number) {
    this.#account = account;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  grow(bytes: number): boolean {
    invariant(!this.#isReleased, 'a released share does not grow');
    if (!this.#account.take(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  shrinkTo(bytes: number): void {
    invariant(bytes >= 0 && bytes <= this.#bytes, 'a share only shrinks');
    this.#account.giveBack(this.#bytes - bytes);
    this.#bytes = bytes;
  }

  release(): void {
    this.#isReleased = true;
    this.shrinkTo(0);
  }
}
