/**
 * The words of the pipeline: what a call is, what a gate may answer, and what passing leaves behind. A gate gathers its
 * facts (the only place with I/O), then judges them in a pure function. There is no answer that means "continue": a
 * call goes on because `decide` said pass, and is forwarded only by a Permit. docs/spec/pipeline-v1.md.
 */

import type { OutcomeResult } from '@sallyport/audit';
import type { McpAsk } from '@sallyport/dialects';
import type { BootMs, DecisionId, Denial, DenialCode, RequestId, RuleId } from '@sallyport/model';

export type Leg = 'inbound' | 'outbound';

/** How a call is spelled on the wire. A new dialect does not compile until every gate says what it does with it. */
export type Dialect = 'http-tool' | 'mcp' | 'agent' | 'session';

export const DIALECTS: readonly Dialect[] = ['http-tool', 'mcp', 'agent', 'session'];

/** Every gate that exists. One exists when it does something. */
export type GateName =
  | 'admission'
  | 'framing'
  | 'freshness'
  | 'authentication'
  | 'route'
  | 'content'
  | 'session'
  | 'tool'
  | 'envelope'
  | 'validation'
  | 'authorization'
  | 'reservation'
  | 'accountability'
  | 'settlement';

/** Where a refusal can come from: a gate, or forwarding itself. */
export type Place = GateName | 'forward';

/**
 * Whether a gate runs for a dialect; `not applicable` needs its reason. No gate passes silently. `instead`: what later gates
 * find in place of what passing would have proved, where the call goes on to be forwarded.
 */
export type Cell<Y = object> = 'runs' | { readonly notApplicable: string; readonly instead?: Y };

/** The gate is passed, and this is what passing proves: facts that only a later gate can need. */
export interface Pass<Y> {
  readonly verdict: 'pass';
  readonly facts: Y;
}
export interface Deny {
  readonly verdict: 'deny';
  readonly denial: Denial;
  /** What the gate had proven before it refused; for the record. */
  readonly proven?: object;
}
/** An answer made here. It is recorded and passes ANSWER like any other; `produce` runs only after the record is kept. */
export interface LocalAnswer {
  readonly verdict: 'local';
  readonly what: 'session' | Exclude<McpAsk['kind'], 'call_tool'>;
  readonly ruleId: RuleId;
  /** A denial where it cannot be made after all. */
  produce(): Answer | Denial | Promise<Answer | Denial>;
}
/** The release switched under the call: CALL runs again under the new one, before anything is written. */
export interface Again {
  readonly verdict: 'again';
}
export type Judgement<Y> = Pass<Y> | Deny | LocalAnswer | Again;

export function pass<Y>(facts: Y): Pass<Y> {
  return { verdict: 'pass', facts };
}

/** A refusal by a gate; `detail` goes to the record and never to the caller, and so does what was proven until then. */
export function refuse(denial: Denial, proven?: object): Deny {
  return proven === undefined ? { verdict: 'deny', denial } : { verdict: 'deny', denial, proven };
}

/**
 * One step. `gather` collects by I/O what the judgement needs (`G`), from the facts that earlier gates proved (`F`);
 * `decide` is pure and never throws to deny; what passing proves (`Y`) joins the facts. `P` is the ports.
 */
export interface Gate<F, G, Y, P> {
  readonly name: GateName;
  /** A missing cell does not compile. */
  readonly dialects: Readonly<Record<Dialect, Cell<Y>>>;
  gather(facts: F, ports: P): G | Promise<G>;
  decide(gathered: G): Judgement<Y>;
  /** Gives back what passing took (a reservation) when a later gate refuses, before anything was forwarded. */
  undo?(proven: Y): void | Promise<void>;
}

/** One unit of an answer: a whole body, or one message of a stream. `isLast` marks the one that is held until ANSWER ends. */
export interface AnswerUnit {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
  /** Of a stream: it was cut here, and must not look finished. */
  readonly isCut?: true;
  /** Of an MCP answer: the result as its server spelled it, whatever the caller's protocol makes of it. Valid as long as the unit is. */
  readonly result?: Uint8Array;
}

/** What was signed of the request that was sent last; written by the way out, kept by the record. */
export interface SentEvidence {
  /** Of the body. */
  digest?: string;
  /** Base64. */
  signature?: string;
}

/** What came of forwarding, for settlement: the record's `result` and what a session may count as done. */
export interface Outcome {
  readonly result: OutcomeResult;
  readonly code?: DenialCode;
  readonly upstreamStatus?: number;
  /** For the record: why, in words of ours; never the upstream's. */
  readonly detail?: string;
  /** True only when the effect certainly did not happen; a reservation may then be cancelled. */
  readonly isDefiniteFailure?: boolean;
  /** Of a request that was signed. */
  readonly evidence?: SentEvidence;
}

/** A head and a sequence of units; `outcome` is known when the units are at their end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** `whole`: one unit, sent with a length. `messages`: one server-sent event per unit. `stream`: units are sent as they are. */
  readonly delivery: 'whole' | 'messages' | 'stream';
  /** Read by one reader, once. */
  readonly units: AsyncIterable<AnswerUnit>;
  outcome(): Outcome;
  /**
   * Always called by whoever took the answer, once it is delivered or nobody is there to hear it: lets go of what it
   * holds, and settles what was not read to its end. Never rejects.
   */
  close(): Promise<void>;
}

/** An answer with some of its members replaced. Named one by one: a spread would lose those that a class has. */
export function answerWith(answer: Answer, changed: Partial<Answer>): Answer {
  return {
    status: changed.status ?? answer.status,
    headers: changed.headers ?? answer.headers,
    delivery: changed.delivery ?? answer.delivery,
    units: changed.units ?? answer.units,
    outcome: changed.outcome ?? (() => answer.outcome()),
    close: changed.close ?? (() => answer.close()),
  };
}

/** An ANSWER gate: begun once per answer, sees every unit in order, and keeps its look-back inside. */
export interface AnswerGate<C, P> {
  readonly name: GateName;
  readonly dialects: Readonly<Record<Dialect, Cell>>;
  begin(
    call: C,
    ports: P,
  ): {
    unit(unit: AnswerUnit): AnswerUnit | Deny;
    /** After the last unit and before it is released; a refusal withholds it. */
    end(outcome: Outcome): Pass<unknown> | Deny | Promise<Pass<unknown> | Deny>;
  };
}

/** Who is asking and when; the facts that every call has before its first gate. */
export interface CallIds {
  readonly requestId: RequestId;
  readonly decisionId: DecisionId;
  readonly receivedAt: BootMs;
}
