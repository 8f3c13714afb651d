/**
 * From a permit to the caller: forwards, passes every unit of the answer through the ANSWER gates, and lets go of the
 * last one only when they all ended. Whatever goes wrong on the way leaves no byte of the answer behind it.
 */

import { Fault, deny, type Denial, type DenialCode, type DenialEffect } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import type { CallFacts, HeadFacts } from './facts.ts';
import type { Ran } from './gate-list.ts';
import type { Answer, AnswerGate, AnswerUnit, Deny, Outcome } from './gate.ts';
import { settle } from './gates/settlement.ts';
import type { Permit } from './permit.ts';
import type { Ports, UpstreamFailure } from './ports.ts';
import { localBody, outcomeBody, type KnownFacts } from './records.ts';
import { denialAnswer } from './refusing.ts';

/** Answers a call from here: DECISION first, then the answer is made, then its OUTCOME. */
export async function deliverLocal(head: HeadFacts, ran: Extract<Ran<unknown>, { end: 'local' }>, ports: Ports): Promise<Answer> {
  const facts: KnownFacts = { ...head, ...(ran.facts as Partial<KnownFacts>) };
  try {
    await ports.recorder.decision(localBody(facts, { gate: ran.gate, ruleId: ran.answer.ruleId }, ports), {
      durability: 'kernel',
      frames: [],
    });
    ports.counters.decision('allow', '-', ran.gate);
    const answer = await ran.answer.produce();
    await ports.recorder.outcome(outcomeBody(facts, answer.outcome(), { bytes: null, ports }), { frames: [] });
    return answer;
  } catch (thrown) {
    const denial = thrown instanceof Fault ? deny('audit_unavailable', thrown.message) : deny('internal', describe(thrown));
    if (denial.code === 'internal') ports.counters.bug();
    return denialAnswer(facts, denial, { effect: 'none', outcome: { result: 'denied', code: denial.code }, ports });
  }
}

/** Forwards a permitted call and answers it. Never rejects. */
export async function deliver(
  permit: Permit,
  call: CallFacts,
  options: { gates: readonly AnswerGate<CallFacts, Ports>[]; ports: Ports },
): Promise<Answer> {
  const { ports } = options;
  ports.counters.decision('allow', '-', 'accountability');
  call.session.record('attempted', call.tool.tool.name);
  try {
    const { ask, session, destination, signal, head } = call;
    const traceparent = head.headers.get('traceparent');
    const forwarded = await ports.upstream.forward(permit, { ask, session, destination, signal, traceparent });
    if ('failure' in forwarded) return await failed(call, forwarded, { ports });
    return await released(forwarded, call, options);
  } catch (thrown) {
    return failed(call, failureOf(thrown), { ports });
  }
}

/**
 * Holds the head of an answer until its first unit passed the gates: most answers are one unit, so that what goes wrong
 * with them is a clean refusal and not a cut.
 */
async function released(
  answer: Answer,
  call: CallFacts,
  { gates, ports }: { gates: readonly AnswerGate<CallFacts, Ports>[]; ports: Ports },
): Promise<Answer> {
  const running = gates.filter((gate) => gate.dialects[call.dialect] === 'runs').map((gate) => gate.begin(call, ports));
  const source = answer.units[Symbol.asyncIterator]();
  const next = async (): Promise<AnswerUnit> => {
    const step = await source.next();
    if (step.done === true) throw new Fault('upstream_protocol', 'upstream', 'the answer ended before its last unit');
    let unit = step.value;
    for (const gate of running) {
      const judged = gate.unit(unit);
      if ('verdict' in judged) throw new Withheld(judged);
      unit = judged;
    }
    if (unit.isLast) {
      for (const gate of running) {
        const ended = await gate.end(answer.outcome());
        if (ended.verdict === 'deny') throw new Withheld(ended);
      }
    }
    return unit;
  };
  let first: AnswerUnit;
  try {
    first = await next();
  } catch (thrown) {
    return failed(call, failureOf(thrown), { ports, answer });
  }
  if (first.isLast) return { ...answer, delivery: 'whole', units: only(first, source) };
  return { ...answer, units: stream(first, next, { call, ports, answer }) };
}

/** The one unit, and then the end of its source, which lets go of what it held. */
async function* only(unit: AnswerUnit, source: AsyncIterator<AnswerUnit>): AsyncGenerator<AnswerUnit, void, void> {
  try {
    yield unit;
  } finally {
    await source.return?.();
  }
}

/**
 * After the head has gone a failure is a last unit in the dialect's own form, and the OUTCOME says `cut`. An agent that
 * leaves has not cancelled its call (MCP 2025-11-25, transports), so the answer is still read to its end and settled.
 */
async function* stream(
  first: AnswerUnit,
  next: () => Promise<AnswerUnit>,
  { call, ports, answer }: { call: CallFacts; ports: Ports; answer: Answer },
): AsyncGenerator<AnswerUnit, void, void> {
  let unit = first;
  try {
    yield unit;
    while (!unit.isLast) {
      unit = await next();
      yield unit;
    }
  } catch (thrown) {
    const cut = await failed(call, { ...failureOf(thrown), result: 'cut' }, { ports, answer });
    unit = { ...unit, isLast: true };
    yield* cut.units;
  } finally {
    if (!unit.isLast) await settleUnheard(next, { call, ports, answer });
  }
}

/** Nobody listens any more; what became of the call is still recorded and still counts. */
async function settleUnheard(
  next: () => Promise<AnswerUnit>,
  { call, ports, answer }: { call: CallFacts; ports: Ports; answer: Answer },
): Promise<void> {
  try {
    while (!(await next()).isLast);
  } catch (thrown) {
    await failed(call, { ...failureOf(thrown), result: 'cut' }, { ports, answer });
  }
}

/** An ANSWER gate refused; carried as an exception so that one place ends the answer. */
class Withheld extends Error {
  readonly denial: Denial;
  constructor({ denial }: Deny) {
    super(denial.detail);
    this.denial = denial;
  }
}

/** A failure on the way back. `isSettled`: settlement itself failed, and must not be tried again. */
type Failure = UpstreamFailure & { readonly isSettled?: boolean };

function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Withheld) return { failure: thrown.denial, result: 'denied', wasSent: true };
  if (thrown instanceof Fault && thrown.source === 'upstream') {
    const { code, result } = UPSTREAM_CODES[thrown.code] ?? { code: 'upstream_error', result: 'upstream_error' };
    return { failure: deny(code, thrown.message), result, wasSent: !(thrown instanceof UpstreamFault) || thrown.wasSent };
  }
  // The journal is the one other thing that an answer waits for, and settlement the one gate that writes it.
  if (thrown instanceof Fault)
    return { failure: deny('audit_unavailable', thrown.message), result: 'denied', wasSent: true, isSettled: true };
  return { failure: deny('internal', describe(thrown)), result: 'denied', wasSent: true };
}

const UPSTREAM_CODES: Readonly<Partial<Record<Fault['code'], { code: DenialCode; result: Outcome['result'] }>>> = {
  upstream_timeout: { code: 'upstream_timeout', result: 'upstream_timeout' },
  upstream_untrusted: { code: 'upstream_untrusted', result: 'upstream_error' },
  aborted: { code: 'upstream_error', result: 'cut' },
};

/** Settles a call that went wrong and answers it. What the denial says of the effect is what we know, never a hope. */
async function failed(call: CallFacts, failure: Failure, { ports, answer }: { ports: Ports; answer?: Answer }): Promise<Answer> {
  const { code, detail } = failure.failure;
  if (code === 'internal') ports.counters.bug();
  const outcome: Outcome = {
    result: failure.result,
    code,
    isDefiniteFailure: !failure.wasSent,
    ...(failure.upstreamStatus === undefined ? {} : { upstreamStatus: failure.upstreamStatus }),
  };
  try {
    if (failure.isSettled !== true) await settle(call, outcome, { bytes: 0, ports, detail });
  } catch {
    // The OUTCOME is lost with the journal; the DECISION is kept, the refusal stands, and no further call is permitted.
    ports.counters.unrecorded();
  }
  return denialAnswer(call, failure.failure, { effect: effectOf(call, failure, answer), outcome, ports });
}

function effectOf(call: CallFacts, failure: Failure, answer: Answer | undefined): DenialEffect {
  if (!failure.wasSent || call.tool.tool.effect === 'read') return 'none';
  return answer?.outcome().result === 'ok' ? 'done' : 'possible';
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}
