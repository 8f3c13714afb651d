/** The reservation store of one process: memory, rebuilt from the journal's snapshot and state frames. */

import { Bug } from '@sallyport/model';
import type { Instant, Result, SessionId } from '@sallyport/model';
import type { StateFrame } from './journal.ts';
import type { Refused, ReservationStore, Reserved, ReserveRequest, SettleOutcome } from './reservations.ts';

export interface MemoryReservations extends ReservationStore {
  reserve(request: ReserveRequest, now: Instant): Result<Reserved, Refused>;
  settle(id: string, outcome: SettleOutcome): readonly StateFrame[];
  cancel(id: string): readonly StateFrame[];
  forgetSession(session: SessionId): void;
  /** Everything that must survive a restart, for the journal's snapshot frame. */
  snapshot(): Uint8Array;
  readonly entries: number;
}

export interface MemoryReservationsOptions {
  /** Live counted attempts, together; beyond, reserving is refused: a live limit is never evicted. */
  readonly entriesMax: number;
  /** What the journal recovered. Calls that were under way count as `unknown`: they may have had their effect. */
  readonly recovered?: { readonly snapshot: Uint8Array | null; readonly mutations: readonly StateFrame[] };
}

export function memoryReservations(_options: MemoryReservationsOptions): MemoryReservations {
  throw new Bug('to come');
}
