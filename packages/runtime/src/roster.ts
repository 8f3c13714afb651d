/**
 * Who is there: members that join and leave, thousands a second, in no order. A `Set` would do but for its memory: it
 * copies its table every few changes, and an old table that has reached the old generation holds the next one, and what
 * that held, until a full collection. Here the last member takes the place of whoever leaves.
 */

/** A member's place. */
export interface Seat {
  /** Gives the place back; a second time does nothing. */
  leave(): void;
}

export interface Roster<T> {
  join(member: T): Seat;
  /** A copy, so that members may leave while it is read. */
  members(): readonly T[];
  readonly size: number;
}

export function roster<T>(): Roster<T> {
  // Owner: this roster.
  const seats: Taken<T>[] = [];
  return {
    join: (member) => new Taken(seats, member),
    members: () => seats.map((seat) => seat.member),
    get size() {
      return seats.length;
    },
  };
}

/** Owner of its index: itself, and whoever moves it as they leave. */
class Taken<T> implements Seat {
  readonly #seats: Taken<T>[];
  readonly member: T;
  #index: number;

  constructor(seats: Taken<T>[], member: T) {
    this.#seats = seats;
    this.member = member;
    this.#index = seats.push(this) - 1;
  }

  leave(): void {
    const last = this.#seats.at(-1);
    if (this.#index === -1 || last === undefined) return;
    this.#seats[this.#index] = last;
    last.#index = this.#index;
    this.#index = -1;
    this.#seats.pop();
  }
}
