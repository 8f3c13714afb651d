/** Every gate that exists, as the lists say, and a way to make any part of one fail. For tests of what then happens. */

import { ANSWER, CALL, HEAD } from '../../packages/sidecar/src/pipeline/pipeline.ts';

export interface PlacedGate {
  readonly list: 'HEAD' | 'CALL' | 'ANSWER';
  readonly name: string;
  /** Which run of this gate within one request it is: a gate may stand in two lists. */
  readonly nth: number;
}

/** In the order in which they run. */
export const GATES: readonly PlacedGate[] = [
  ...HEAD.gates.map(({ name }) => ({ list: 'HEAD', name, nth: 1 }) as const),
  ...CALL.gates.map(({ name }) => ({ list: 'CALL', name, nth: HEAD.gates.some((gate) => gate.name === name) ? 2 : 1 }) as const),
  ...ANSWER.map(({ name }) => ({ list: 'ANSWER', name, nth: 1 }) as const),
];

/** What of a gate can fail. */
export type GatePart = 'gather' | 'gather, later' | 'decide' | 'begin' | 'unit' | 'end' | 'end, later';

export const PARTS: Readonly<Record<PlacedGate['list'], readonly GatePart[]>> = {
  HEAD: ['gather', 'gather, later', 'decide'],
  CALL: ['gather', 'gather, later', 'decide'],
  ANSWER: ['begin', 'unit', 'end', 'end, later'],
};

/** Makes one part of a gate throw `failure` at its `nth` run; gives the way back. The gates of a process are shared: always take it. */
export function breakGate({ list, name, nth }: PlacedGate, part: GatePart, failure: unknown): () => void {
  let runs = 0;
  const isDue = (): boolean => ++runs === nth;
  if (list === 'ANSWER') return breakAnswerGate(name, part, failure);
  const gate = (list === 'HEAD' ? HEAD : CALL).gates.find((one) => one.name === name);
  if (gate === undefined) throw new Error(`no gate ${name} in ${list}`);
  const { gather, decide } = gate;
  if (part === 'decide') {
    gate.decide = (gathered) => {
      if (isDue()) throw failure;
      return decide.call(gate, gathered);
    };
  } else {
    gate.gather = (facts, ports) => {
      if (!isDue()) return gather.call(gate, facts, ports);
      if (part === 'gather') throw failure;
      return Promise.reject(failure as Error);
    };
  }
  return () => Object.assign(gate, { gather, decide });
}

function breakAnswerGate(name: string, part: GatePart, failure: unknown): () => void {
  const gate = ANSWER.find((one) => one.name === name);
  if (gate === undefined) throw new Error(`no gate ${name} in ANSWER`);
  const { begin } = gate;
  gate.begin = (call, ports) => {
    if (part === 'begin') throw failure;
    const running = begin.call(gate, call, ports);
    return {
      unit: (unit) => {
        if (part === 'unit') throw failure;
        return running.unit(unit);
      },
      end: (outcome) => {
        if (part === 'end') throw failure;
        return part === 'end, later' ? Promise.reject(failure as Error) : running.end(outcome);
      },
    };
  };
  return () => Object.assign(gate, { begin });
}
