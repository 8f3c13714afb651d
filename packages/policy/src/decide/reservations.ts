/** What a call has to reserve: one for each limit of the rules that let it pass. Spec: policy-v1 section 6.7. */

import type { CompiledRule } from '../compile/compile.ts';
import { reservationOf } from '../demand/limit.ts';
import type { ReservationSpec } from '../demand/limit.ts';
import type { Call } from './requirements.ts';

/** A limit that cannot be asked for has no reservation: whoever asks has seen to it that there is none. */
export function reservationsOf(call: Call, rules: readonly CompiledRule[]): readonly ReservationSpec[] {
  let list: ReservationSpec[] | undefined;
  for (const { rule, limits } of rules) {
    for (const limit of limits) {
      const reservation = reservationOf(limit, rule.id, (condition) => call.value(condition));
      if (reservation !== undefined) (list ??= []).push(reservation);
    }
  }
  return list ?? NONE;
}

const NONE: readonly never[] = [];
