/**
 * An ordered list of gates whose types chain: a gate that needs a fact does not compile in front of the gate that
 * proves it. `runGates` is the only loop over them; whatever is not a pass ends it.
 */

import { Bug, Fault, deny, invariant, type Denial } from '@sallyport/model';
import type { Dialect, Gate, GateName, Judgement, LocalAnswer } from './gate.ts';

/** A gate with its facts erased, as the loop sees it. Only `GateList.gate` takes one in, after the chain was checked. */
type AnyGate<P> = Gate<object, unknown, object, P>;

/** `S`: the facts at the start; `F`: those after the last gate; `P`: the ports. */
export interface GateList<S extends object, F extends S, P> {
  readonly gates: readonly AnyGate<P>[];
  gate<G, Y extends object>(gate: Gate<F, G, Y, P>): GateList<S, F & Y, P>;
}

/** An empty list over the facts that are there before the first gate. */
export function gates<S extends object, P>(): GateList<S, S, P> {
  return extend<S, S, P>([]);
}

function extend<S extends object, F extends S, P>(list: readonly AnyGate<P>[]): GateList<S, F, P> {
  return {
    gates: list,
    gate: <G, Y extends object>(gate: Gate<F, G, Y, P>): GateList<S, F & Y, P> => extend<S, F & Y, P>([...list, gate]),
  };
}

/** How a run over a list ended. */
export type Ran<F> =
  | { readonly end: 'passed'; readonly facts: F; giveBack(): Promise<void> }
  | { readonly end: 'again' }
  | { readonly end: 'denied'; readonly gate: GateName; readonly denial: Denial; readonly facts: object; readonly cause?: unknown }
  | { readonly end: 'local'; readonly gate: GateName; readonly answer: LocalAnswer; readonly facts: object };

/**
 * Runs the gates in order and stops at the first that does not pass. An exception, whatever threw it, is a refusal
 * with `internal`. What earlier gates took is given back on anything but a pass, latest first; after a pass the caller
 * has `giveBack`, until it forwards.
 */
export async function runGates<S extends object, F extends S, P>(
  list: GateList<S, F, P>,
  start: S,
  options: { ports: P; dialect: Dialect | undefined },
): Promise<Ran<F>> {
  const taken: (() => void | Promise<void>)[] = [];
  const giveBack = async (): Promise<void> => {
    for (const undo of taken.toReversed()) await quietly(undo);
  };
  let facts: object = start;
  for (const gate of list.gates) {
    // A gate that does not apply says so in the table; before routing no dialect is known and every gate runs.
    const cell = options.dialect === undefined ? 'runs' : gate.dialects[options.dialect];
    if (cell !== 'runs') {
      facts = { ...facts, ...cell.instead };
      continue;
    }
    let judgement: Judgement<object>;
    let cause: unknown;
    try {
      const gathered = gate.gather(facts, options.ports);
      // A promise costs a turn; most gates gather without one.
      judgement = checked(gate.decide(gathered instanceof Promise ? await gathered : gathered));
    } catch (thrown) {
      cause = thrown;
      judgement = { verdict: 'deny', denial: deny('internal', describeThrown(gate.name, thrown)) };
    }
    if (judgement.verdict === 'pass') {
      const proven = judgement.facts;
      if (gate.undo !== undefined) taken.push(() => gate.undo?.(proven));
      facts = { ...facts, ...proven };
      continue;
    }
    await giveBack();
    if (judgement.verdict === 'again') return { end: 'again' };
    if (judgement.verdict === 'local') return { end: 'local', gate: gate.name, answer: judgement, facts };
    const known = judgement.proven === undefined ? facts : { ...facts, ...judgement.proven };
    return { end: 'denied', gate: gate.name, denial: judgement.denial, facts: known, ...(cause === undefined ? {} : { cause }) };
  }
  return { end: 'passed', facts: facts as F, giveBack };
}

/** The compiler knows these for all that there are; a cast somewhere must still not read as a pass. */
function checked(judgement: Judgement<object>): Judgement<object> {
  switch (judgement.verdict) {
    case 'pass':
      invariant(typeof judgement.facts === 'object', 'a pass proves facts');
      return judgement;
    case 'deny':
      invariant(typeof judgement.denial === 'object', 'a refusal has a denial');
      return judgement;
    case 'local':
    case 'again':
      return judgement;
    default:
      throw new Bug('a gate gave no verdict');
  }
}

async function quietly(undo: () => void | Promise<void>): Promise<void> {
  try {
    await undo();
  } catch {
    // The refusal stands whatever happens here; a reservation that stays taken refuses more, never less.
  }
}

/** What an exception inside a gate says in the record. */
function describeThrown(gate: GateName, thrown: unknown): string {
  const kind = thrown instanceof Bug ? 'bug' : thrown instanceof Fault ? `fault ${thrown.code}` : 'exception';
  return `${kind} in gate ${gate}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
}
