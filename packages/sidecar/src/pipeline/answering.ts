/**
 * From a permit to the caller: forwards, passes every unit of the answer through the ANSWER gates, and lets go of the
 * last one only when they all ended. Whatever goes wrong on the way leaves no byte of the answer behind it, and exactly
 * one OUTCOME.
 */

import { SESSION_TOKEN_MS, tiedTrace } from '@sallyport/identity';
import { Fault, deny, serverOf, type Denial, type DenialCode, type DenialEffect } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import type { CallFacts, HeadFacts } from './facts.ts';
import type { Ran } from './gate-list.ts';
import { answerWith, type Answer, type AnswerGate, type AnswerUnit, type Deny, type Outcome, type SentEvidence } from './gate.ts';
import { settle, Unsettled } from './gates/settlement.ts';
import type { Lease } from './leases.ts';
import type { Permit } from './permit.ts';
import type { ForwardContext, Ports, UpstreamFailure } from './ports.ts';
import { localBody, outcomeBody, type KnownFacts } from './records.ts';
import { denialAnswer } from './refusing.ts';
import { mayTie } from './session-caller.ts';

/** Answers a call from here: DECISION first, then the answer is made, then its OUTCOME. Never rejects. */
export async function deliverLocal(head: HeadFacts, ran: Extract<Ran<unknown>, { end: 'local' }>, ports: Ports): Promise<Answer> {
  const facts: KnownFacts = { ...head, ...(ran.facts as Partial<KnownFacts>) };
  const decision = localBody(facts, { gate: ran.gate, ruleId: ran.answer.ruleId }, ports);
  const refused = async (denial: Denial): Promise<Answer> => {
    if (denial.code === 'internal') ports.counters.bug();
    return denialAnswer(facts, denial, { effect: 'none', outcome: { result: 'denied', code: denial.code }, ports });
  };
  try {
    await ports.recorder.decision(decision, { durability: 'kernel', frames: [] });
  } catch (thrown) {
    return refused(lostOf(thrown));
  }
  ports.counters.decision('allow', '-', ran.gate);
  const made = await produced(ran.answer);
  if ('units' in made && ran.answer.what === 'open_stream') return recordedAtItsEnd(made, facts, ports);
  const outcome: Outcome = 'units' in made ? made.outcome() : { result: 'denied', code: made.code };
  try {
    const { detail } = outcome;
    await ports.recorder.outcome(outcomeBody(facts, outcome, { bytes: null, ports, ...(detail === undefined ? {} : { detail }) }), {
      frames: [],
    });
  } catch (thrown) {
    ports.counters.unrecorded();
    return refused(lostOf(thrown));
  }
  return 'units' in made ? made : refused(made);
}

/** A stream has its OUTCOME when it is over, however it ended. */
function recordedAtItsEnd(stream: Answer, facts: KnownFacts, ports: Ports): Answer {
  return answerWith(stream, {
    async close() {
      await stream.close();
      try {
        await ports.recorder.outcome(outcomeBody(facts, stream.outcome(), { bytes: null, ports }), { frames: [] });
      } catch {
        // The stream is over; its DECISION is kept.
        ports.counters.unrecorded();
      }
    },
  });
}

async function produced(answer: Extract<Ran<unknown>, { end: 'local' }>['answer']): Promise<Answer | Denial> {
  try {
    return await answer.produce();
  } catch (thrown) {
    return deny('internal', describe(thrown));
  }
}

/** What an ANSWER works with: the permitted call, its lease, and the gates. */
interface Delivery {
  readonly call: CallFacts;
  readonly lease: Lease;
  readonly gates: readonly AnswerGate<CallFacts, Ports>[];
  readonly ports: Ports;
  /** Owner: `deliver`. Of a call whose request is signed. */
  evidence?: SentEvidence;
}

/** Forwards a permitted call and answers it. Never rejects. */
export async function deliver(
  permit: Permit,
  call: CallFacts,
  { gates, ports }: { gates: readonly AnswerGate<CallFacts, Ports>[]; ports: Ports },
): Promise<Answer> {
  ports.counters.decision('allow', '-', 'accountability');
  const { observed, shadow = [] } = call.decision;
  if (observed !== undefined) ports.counters.observed(observed.code);
  for (const { ruleId, would } of shadow) ports.counters.shadow(ruleId, would);
  call.session.record('attempted', call.tool.tool.name);
  const lease = ports.leases.open(call);
  const delivery: Delivery = { call, lease, gates, ports };
  try {
    const { ask, session, head } = call;
    if (isSigned(call)) delivery.evidence = {};
    const { evidence } = delivery;
    const client = clientOf(call, ports);
    const shown = head.headers.get('traceparent');
    const context = {
      ask,
      session,
      signal: lease.signal,
      traceparent: client.client?.tie === undefined ? shown : tiedTrace(shown, call.decisionId),
      ...client,
      ...(evidence === undefined ? {} : { evidence }),
    };
    const forwarded = await ports.upstream.forward(permit, context);
    if (!('failure' in forwarded)) return await released(told(withEvidence(forwarded, evidence), call), delivery);
    return await failed(forwarded, delivery);
  } catch (thrown) {
    return failed(failureOf(thrown, lease), delivery);
  }
}

function isSigned({ tool: { tool }, ask }: CallFacts): boolean {
  return tool.signs !== undefined || ask.dialect === 'agent';
}

function withEvidence(answer: Answer, evidence: SentEvidence | undefined): Answer {
  return evidence === undefined ? answer : answerWith(answer, { outcome: () => ({ ...answer.outcome(), evidence }) });
}

/** What forwarding to an agent needs to know of its client. */
function clientOf({ caller, head, opened, held, session }: CallFacts, ports: Ports): Pick<ForwardContext, 'client'> {
  if (caller.kind !== 'client') return {};
  const { client, operator } = caller;
  // Each call that another agent hands on has a session of its own, to which it does not come back.
  const isOld = client === undefined || client.expiresAt - ports.clock.wall() < SESSION_TOKEN_MS / 2;
  const renewsToken = operator.delegation === undefined && isOld;
  const tie = mayTie(held, ports) ? ports.sessions.tieOf(session.id) : undefined;
  return { client: { headers: head.headers, isOpened: opened !== undefined, renewsToken, ...(tie === undefined ? {} : { tie }) } };
}

/** The caller is told which of its arguments were changed on the way; their names are the schema's own. */
function told(answer: Answer, { narrowed }: CallFacts): Answer {
  if (narrowed.length === 0) return answer;
  return answerWith(answer, { headers: { ...answer.headers, 'sallyport-narrowed': narrowed.join(', ') } });
}

/**
 * Holds the head of an answer until its first unit passed the gates: most answers are one unit, so that what goes wrong
 * with them is a clean refusal and not a cut.
 */
async function released(answer: Answer, delivery: Delivery): Promise<Answer> {
  const { lease } = delivery;
  let next: () => Promise<AnswerUnit>;
  let first: AnswerUnit;
  try {
    next = passing(answer, delivery);
    first = await next();
  } catch (thrown) {
    await answer.close();
    return failed(failureOf(thrown, lease), { ...delivery, answer });
  }
  if (!first.isLast) return streamed(first, next, { ...delivery, answer });
  lease.close();
  return answerWith(answer, { delivery: 'whole', units: onlyUnit(first) });
}

/** The next unit that passed every gate; after the last one has, they have all ended. Rejects where one refused, or the answer broke off. */
function passing(answer: Answer, { call, gates, ports }: Delivery): () => Promise<AnswerUnit> {
  const running = gates.filter((gate) => gate.dialects[call.dialect] === 'runs').map((gate) => gate.begin(call, ports));
  const source = answer.units[Symbol.asyncIterator]();
  return async () => {
    const step = await source.next();
    if (step.done === true) throw new Fault('upstream_protocol', 'upstream', 'the answer ended before its last unit');
    let unit = step.value;
    for (const gate of running) {
      const judged = gate.unit(unit);
      if ('verdict' in judged) throw new Withheld(judged);
      unit = judged;
    }
    for (const gate of unit.isLast ? running : []) {
      const ended = await gate.end(answer.outcome());
      if (ended.verdict === 'deny') throw new Withheld(ended);
    }
    return unit;
  };
}

async function* onlyUnit(unit: AnswerUnit): AsyncGenerator<AnswerUnit, void, void> {
  yield unit;
}

/**
 * After the head has gone a failure is a last unit in the dialect's own form, and the OUTCOME says `cut`. An agent that
 * leaves has not cancelled its call (MCP 2025-11-25, transports): closing reads the answer to its end, so that what
 * became of the call is recorded and counts. No generator: one that is never begun would run nothing when it is ended.
 */
function streamed(first: AnswerUnit, next: () => Promise<AnswerUnit>, delivery: Delivery & { answer: Answer }): Answer {
  const { answer, lease } = delivery;
  // Owner: this stream; written in `take` alone, which runs one at a time.
  let ready: AnswerUnit | undefined = first;
  let isOver = false;
  const take = async (): Promise<IteratorResult<AnswerUnit, undefined>> => {
    let unit = ready;
    ready = undefined;
    if (unit !== undefined) return { done: false, value: unit };
    if (isOver) return { done: true, value: undefined };
    try {
      unit = await next();
    } catch (thrown) {
      unit = await cutShort(failureOf(thrown, lease), delivery);
    }
    isOver = unit.isLast;
    if (isOver) lease.close();
    return { done: false, value: unit };
  };
  let turn: Promise<unknown> = Promise.resolve();
  const step = (): Promise<IteratorResult<AnswerUnit, undefined>> => {
    const taken = turn.then(take);
    turn = taken;
    return taken;
  };
  return answerWith(answer, {
    units: { [Symbol.asyncIterator]: () => ({ next: step }) },
    async close() {
      while ((await step()).done !== true);
      await answer.close();
    },
  });
}

/** The last unit of a stream that failed. Never rejects. */
async function cutShort(failure: Failure, delivery: Delivery & { answer: Answer }): Promise<AnswerUnit> {
  const denial = await failed({ ...failure, result: 'cut' }, delivery);
  // Of a stream that is not ours to write nothing can be said any more; its connection ends instead.
  if (delivery.answer.delivery === 'stream') return { bytes: new Uint8Array(), isLast: true, isCut: true };
  for await (const { bytes } of denial.units) return { bytes, isLast: true };
  return { bytes: new Uint8Array(), isLast: true };
}

/** An ANSWER gate refused; carried as an exception so that one place ends the answer. */
class Withheld extends Error {
  readonly denial: Denial;
  constructor({ denial }: Deny) {
    super(denial.detail);
    this.denial = denial;
  }
}

/**
 * A failure on the way back. `isSettled`: settlement itself failed, and must not be tried again. `isCancelled`: nothing
 * failed, the caller has cancelled its call.
 */
type Failure = UpstreamFailure & { readonly isSettled?: boolean; readonly isCancelled?: boolean };

const CANCELLED: Denial = deny('upstream_error', 'cancelled by its caller');

function failureOf(thrown: unknown, lease: Lease): Failure {
  if (thrown instanceof Unsettled) return { failure: lostOf(thrown.cause), result: 'denied', wasSent: true, isSettled: true };
  if (thrown instanceof Withheld) return { failure: thrown.denial, result: 'denied', wasSent: true };
  const wasSent = !(thrown instanceof UpstreamFault) || thrown.wasSent;
  if (lease.isCancelled) return { failure: CANCELLED, result: 'cut', wasSent, isCancelled: true };
  if (lease.ended !== undefined) return { failure: lease.ended, result: LEASE_RESULTS[lease.ended.code] ?? 'cut', wasSent };
  if (thrown instanceof Fault && thrown.source === 'upstream') {
    const { code, result } = UPSTREAM_CODES[thrown.code] ?? { code: 'upstream_error', result: 'upstream_error' };
    return { failure: deny(code, thrown.message), result, wasSent };
  }
  return { failure: deny('internal', describe(thrown)), result: 'denied', wasSent: true };
}

/** A lease that ended for what the upstream did not do is the upstream's failure; any other is ours. */
const LEASE_RESULTS: Readonly<Partial<Record<DenialCode, Outcome['result']>>> = { upstream_timeout: 'upstream_timeout' };

const UPSTREAM_CODES: Readonly<Partial<Record<Fault['code'], { code: DenialCode; result: Outcome['result'] }>>> = {
  upstream_timeout: { code: 'upstream_timeout', result: 'upstream_timeout' },
  upstream_untrusted: { code: 'upstream_untrusted', result: 'upstream_error' },
  aborted: { code: 'upstream_error', result: 'cut' },
};

const UPSTREAM_FAILURES: ReadonlySet<DenialCode> = new Set(['upstream_error', 'upstream_timeout', 'upstream_untrusted']);

/** Settles a call that went wrong and answers it. What the denial says of the effect is what we know, never a hope. Never rejects. */
async function failed(failure: Failure, { call, lease, ports, answer, evidence }: Delivery & { answer?: Answer }): Promise<Answer> {
  lease.close();
  // Its client has never heard of it, and its agent neither.
  if (!failure.wasSent) call.opened?.close();
  const { code, detail } = failure.failure;
  if (code === 'internal') ports.counters.bug();
  if (UPSTREAM_FAILURES.has(code) && failure.isCancelled !== true)
    ports.counters.upstreamFailed(serverOf(call.tool.tool.name), code, detail);
  const outcome: Outcome = {
    result: failure.result,
    ...(failure.isCancelled === true ? {} : { code }),
    isDefiniteFailure: !failure.wasSent,
    ...(failure.upstreamStatus === undefined ? {} : { upstreamStatus: failure.upstreamStatus }),
    ...(evidence === undefined || !failure.wasSent ? {} : { evidence }),
  };
  try {
    if (failure.isSettled === true) ports.counters.unrecorded();
    else await settle(call, outcome, { bytes: 0, ports, detail });
  } catch {
    // The OUTCOME is lost with the journal; the DECISION is kept, the refusal stands, and no further call is permitted.
    ports.counters.unrecorded();
  }
  if (failure.isCancelled === true) return silence(outcome);
  return denialAnswer(call, failure.failure, { effect: effectOf(call, failure, answer), outcome, ports });
}

/** A cancelled call is not answered (2025-11-25, cancellation): an event stream that ends without an event. */
function silence(outcome: Outcome): Answer {
  return {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    delivery: 'messages',
    units: (async function* nothing() {})(),
    outcome: () => outcome,
    close: async () => {},
  };
}

function effectOf(call: CallFacts, failure: Failure, answer: Answer | undefined): DenialEffect {
  if (!failure.wasSent || call.tool.tool.effect === 'read') return 'none';
  return answer?.outcome().result === 'ok' ? 'done' : 'possible';
}

/** A record that could not be kept; anything but the journal's own failure is a defect. */
function lostOf(thrown: unknown): Denial {
  return thrown instanceof Fault ? deny('audit_unavailable', thrown.message) : deny('internal', describe(thrown));
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}
