/**
 * The last gate of an answer: keeps what became of the call before the caller sees it. Writes the OUTCOME, settles what
 * was reserved, and notes in the session what certainly succeeded; only that satisfies a later `after`.
 */

import { notesOf, remembersResult } from '@sallyport/policy';
import type { SettleOutcome } from '@sallyport/store';
import type { CallFacts } from '../facts.ts';
import { pass, type AnswerGate, type AnswerUnit, type Outcome } from '../gate.ts';
import type { Ports } from '../ports.ts';
import { outcomeBody } from '../records.ts';
import { resultOf } from '../result.ts';

export const settlement: AnswerGate<CallFacts, Ports> = {
  name: 'settlement',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: { notApplicable: 'a session has nothing to settle' } },
  begin: (call, ports) => {
    // Owner: this answer's own units, in order.
    let bytes = 0;
    let last: AnswerUnit | undefined;
    return {
      unit: (unit) => {
        // Before it is let go: a failing tool, or an answer that never ends, would otherwise show what is then not known.
        call.session.saw(call.tool.tool);
        bytes += unit.bytes.byteLength;
        if (unit.isLast && remembersResult(call.tool.tool)) last = unit;
        return unit;
      },
      end: async (outcome) => {
        try {
          await settle(call, outcome, { bytes, ports, ...(last === undefined ? {} : { answer: last }) });
        } catch (cause) {
          throw new Unsettled(cause);
        }
        return pass({});
      },
    };
  },
};

/** The OUTCOME could not be kept (`cause` says why): the answer is withheld, and nobody may settle the call again. */
export class Unsettled extends Error {
  constructor(cause: unknown) {
    super('the call could not be settled', { cause });
  }
}

/** Settles a call, once: reservation, session facts, OUTCOME in one batch. Rejects with a Fault when it cannot be kept. */
export async function settle(call: CallFacts, outcome: Outcome, measured: Measured): Promise<void> {
  const what = SETTLED_AS[outcome.result];
  // A definite failure before any effect gives the use back; everything else counts, also what we do not know.
  const frames = outcome.isDefiniteFailure === true ? [] : await call.reserved.settle(what);
  if (outcome.isDefiniteFailure === true) await call.reserved.cancel();
  call.session.record(what === 'succeeded' ? 'completed' : 'failed', call.tool.tool.name);
  if (what === 'succeeded') noteCall(call, measured.answer);
  await measured.ports.recorder.outcome(outcomeBody(call, outcome, { ...detailOf(outcome), ...measured }), { frames });
}

interface Measured {
  readonly bytes: number;
  readonly ports: Ports;
  readonly detail?: string;
  /** The last unit of the answer, where the tool's declaration reads results. */
  readonly answer?: AnswerUnit;
}

/** What later rules of the session may ask of this call: only what it really did. */
function noteCall({ session, decision, tool: { tool }, args }: CallFacts, answer: AnswerUnit | undefined): void {
  const result = answer === undefined ? undefined : resultOf(answer);
  session.note(tool, notesOf({ tool, args, result, comparedArguments: decision.comparedArguments }));
}

function detailOf({ detail }: Outcome): { readonly detail?: string } {
  return detail === undefined ? {} : { detail };
}

const SETTLED_AS: Readonly<Record<Outcome['result'], SettleOutcome>> = {
  ok: 'succeeded',
  local: 'succeeded',
  tool_error: 'failed',
  upstream_error: 'unknown',
  upstream_timeout: 'unknown',
  denied: 'unknown',
  not_forwarded: 'failed',
  cut: 'unknown',
};
