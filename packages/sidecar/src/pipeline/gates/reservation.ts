/**
 * Takes, in one atomic step, everything that the allowing rule limits. Taken on attempt, so that parallel calls cannot
 * share one use; given back only when the call is refused later, or certainly had no effect.
 */

import { digestOf, utf8 } from '@sallyport/crypto';
import { deny, type Result } from '@sallyport/model';
import type { ReservationSpec } from '@sallyport/policy';
import { RESERVATION_KEY_CHARS_MAX, type CountLimit, type Refused, type Reserved } from '@sallyport/store';
import type { Asked, Authorized, HeadFacts, InSession, Named, Reserving, Validated } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

type Facts = HeadFacts & Asked & InSession & Named & Validated & Authorized;
type Gathered = { readonly taken: Reserving['reserved'] } | { readonly refused: Refused; readonly specs: readonly ReservationSpec[] };

export const reservation: Gate<Facts, Gathered, Reserving, Ports> = {
  name: 'reservation',
  dialects: { 'http-tool': 'runs', mcp: 'runs', session: { notApplicable: 'spends nothing' } },
  gather: ({ decision, decisionId, session }, { reservations, recorder, clock }) => {
    const specs = decision.reservations;
    if (specs.length === 0) return { taken: NOTHING };
    const limits = specs.map((spec) => limitOf(spec, session.id));
    const judged = (result: Result<Reserved, Refused>): Gathered => {
      if (!result.ok) return { refused: result.error, specs };
      const { id, frames } = result.value;
      return {
        taken: {
          frames,
          settle: async (outcome) => reservations.settle(id, outcome),
          cancel: async () => recorder.state(await reservations.cancel(id)),
        },
      };
    };
    const result = reservations.reserve({ id: decisionId, limits }, clock.wall());
    return result instanceof Promise ? result.then(judged) : judged(result);
  },
  decide: decideReservation,
  undo: ({ reserved }) => reserved.cancel(),
};

/** `call_limit_exceeded` with the rule whose limit is reached; `overloaded` when no more limits can be kept. */
export function decideReservation(gathered: Gathered): Judgement<Reserving> {
  if ('taken' in gathered) return pass({ reserved: gathered.taken });
  const { refused, specs } = gathered;
  if (refused.code === 'exhausted') return refuse(deny('overloaded', 'the store of reservations is full of live limits'));
  const ruleId = specs[refused.index]?.ruleId;
  // Not the key: it holds a value of the caller's. Its digest tells auditors which refusals are about the same one.
  const detail = `limit of rule ${ruleId ?? '-'} reached, counted under ${digestOf(utf8(refused.key)).slice(0, 'sha256:'.length + 16)}`;
  return refuse(deny('call_limit_exceeded', detail, ruleId === undefined ? {} : { ruleId }));
}

const NOTHING: Reserving['reserved'] = { frames: [], settle: async () => [], cancel: async () => {} };

function limitOf(spec: ReservationSpec, session: InSession['session']['id']): CountLimit {
  const count = { kind: 'count', key: boundedKey(spec), max: spec.max } as const;
  if (spec.scope === 'session' || spec.windowMs === undefined) return { ...count, window_ms: null, session };
  return { ...count, window_ms: spec.windowMs, session: null };
}

/** A key holds a value that the caller chose: one that is too long is named by its digest, which no shorter key looks like. */
function boundedKey({ key, ruleId }: ReservationSpec): string {
  return key.length <= RESERVATION_KEY_CHARS_MAX ? key : `once:${ruleId}#${digestOf(utf8(key))}`.slice(-RESERVATION_KEY_CHARS_MAX);
}
