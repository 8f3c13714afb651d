/**
 * Takes, in one atomic step, everything that the allowing rule limits. Taken on attempt, so that parallel calls cannot
 * share one use; given back only when the call is refused later, or certainly had no effect.
 */

import { digestOf, utf8 } from '@sallyport/crypto';
import { deny, type Decimal, type Result } from '@sallyport/model';
import { describeReached, type ReservationSpec } from '@sallyport/policy';
import { RESERVATION_KEY_CHARS_MAX, type Limit, type Refused, type Reserved } from '@sallyport/store';
import type { Asked, Authorized, HeadFacts, InSession, Named, Reserving, Validated } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

type Facts = HeadFacts & Asked & InSession & Named & Validated & Authorized;
type Gathered =
  | { readonly taken: Reserving['reserved'] }
  | { readonly served: number; readonly servedMax: number }
  | { readonly refused: Refused; readonly specs: readonly ReservationSpec[] };

/** For a session that is served now to end. */
const RETRY_AFTER_MS = 1_000;
const NOTHING: Reserving['reserved'] = { frames: [], budgets: [], settle: async () => [], cancel: async () => {} };

export const reservation: Gate<Facts, Gathered, Reserving, Ports> = {
  name: 'reservation',
  dialects: {
    'http-tool': 'runs',
    mcp: 'runs',
    agent: { notApplicable: 'spends nothing', instead: { reserved: NOTHING } },
    session: { notApplicable: 'spends nothing' },
  },
  gather: ({ decision, decisionId, session }, { reservations, recorder, clock, sessionsServed }) => {
    const { reservations: specs, sessionsConcurrentMax: servedMax } = decision;
    // An agent that serves several people at once can mix them up.
    if (servedMax !== undefined && sessionsServed.count > servedMax) return { served: sessionsServed.count, servedMax };
    if (specs.length === 0 && !decision.isStep) return { taken: NOTHING };
    const limits = specs.map((spec) => limitOf(spec, session.id));
    const judged = (result: Result<Reserved, Refused>): Gathered => {
      if (!result.ok) return { refused: result.error, specs };
      const { id, frames, sums } = result.value;
      return {
        taken: {
          frames,
          budgets: specs.flatMap((spec, index) => budgetOf(spec, sums.find(({ key }) => key === limits[index]?.key)?.sum) ?? []),
          settle: async (outcome) => reservations.settle(id, outcome),
          cancel: async () => recorder.state(await reservations.cancel(id)),
        },
      };
    };
    const result = reservations.reserve({ id: decisionId, session: session.id, limits }, clock.wall());
    return result instanceof Promise ? result.then(judged) : judged(result);
  },
  decide: decideReservation,
  undo: ({ reserved }) => reserved.cancel(),
};

/** The code of the limit that is reached, with its rule; `overloaded` when no more limits can be kept. */
export function decideReservation(gathered: Gathered): Judgement<Reserving> {
  if ('taken' in gathered) return pass({ reserved: gathered.taken });
  if ('served' in gathered)
    return refuse(
      deny(
        'rate_limited',
        `the agent serves ${gathered.served} sessions at once, and may call this tool while it serves ${gathered.servedMax}`,
        {
          retryAfterMs: RETRY_AFTER_MS,
        },
      ),
    );
  const { refused, specs } = gathered;
  if (refused.code === 'exhausted') return refuse(deny('overloaded', 'the store of reservations is full of live limits'));
  const spec = specs[refused.index];
  // Not the key: it holds a value of the caller's. Its digest tells auditors which refusals are about the same one.
  const under = digestOf(utf8(refused.key)).slice(0, 'sha256:'.length + 16);
  if (spec === undefined) return refuse(deny('call_limit_exceeded', `a limit is reached, counted under ${under}`));
  return refuse(
    deny(spec.code, `${describeReached(spec, refused.sum)}, counted under ${under}`, {
      ruleId: spec.ruleId,
      // Of a row there is a way on, which the table's answer to what is used up would deny.
      ...(spec.kind === 'run' ? { nextAction: 'use_allowed_tool' } : {}),
    }),
  );
}

/** What a budget has come to with this call, for the record. */
function budgetOf(spec: ReservationSpec, sum: Decimal | undefined): string | undefined {
  if (spec.kind !== 'sum' || sum === undefined) return undefined;
  return `budget of rule ${spec.ruleId}: ${sum.toString()} of ${spec.max.toString()} used`;
}

function limitOf(spec: ReservationSpec, session: InSession['session']['id']): Limit {
  const key = boundedKey(spec);
  if (spec.kind === 'run') return { kind: 'run', key, max: spec.max, session };
  const span =
    spec.scope === 'session' || spec.windowMs === undefined
      ? ({ window_ms: null, session } as const)
      : ({ window_ms: spec.windowMs, session: null } as const);
  return spec.kind === 'sum'
    ? { kind: 'sum', key, amount: spec.amount, max: spec.max, ...span }
    : { kind: 'count', key, max: spec.max, ...span };
}

/** A key holds a value that the caller chose: one that is too long is named by its digest, which no shorter key looks like. */
function boundedKey({ key, ruleId }: ReservationSpec): string {
  const limit = key.slice(0, key.indexOf(':'));
  return key.length <= RESERVATION_KEY_CHARS_MAX ? key : `${limit}:${ruleId}#${digestOf(utf8(key))}`.slice(-RESERVATION_KEY_CHARS_MAX);
}
