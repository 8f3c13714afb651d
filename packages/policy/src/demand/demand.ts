/**
 * What one field of a rule demands of the circumstances of a call. Each is read, written, judged, explained and mended in
 * one place; the files `demand-*.ts` hold them by subject, and `demands.ts` lists them. Spec: policy-v1 section 4.
 */

import type { Json } from '@sallyport/model';
import type { PolicyInput } from '../input.ts';
import type { Step } from '../reader/locate.ts';
import type { Reader } from '../reader/read.ts';

/** Why a demand is not met. */
export interface Lack {
  /** What is at fault, in the words of the rule. */
  readonly subject: string;
  /** What was wanted, in the policy's own words; for the record and the log, never for the caller. */
  readonly detail: string;
}

/** A condition inside of a demand. */
export interface DemandExpression {
  /** Where it stands below the demand's field. */
  readonly steps: readonly Step[];
  readonly text: string;
  readonly wants: 'bool' | 'text';
}

/** The call as a demand sees it. */
export interface Circumstances {
  readonly input: PolicyInput;
  /** The value of one of the demand's own conditions; a CelFailure where it has none. */
  readonly value: (text: string) => unknown;
}

/** The fields of rules that are demands, as authors write them. */
export type DemandField =
  | 'task'
  | 'require_purpose'
  | 'delegation'
  | 'session'
  | 'valid'
  | 'hours'
  | 'justification'
  | 'risk'
  | 'step_up'
  | 'reviewed'
  | 'approval'
  | 'isolation';

export interface Demand<V> {
  readonly field: DemandField;
  readonly read: Reader<V>;
  readonly encode: (value: V) => Json;
  readonly expressions?: (value: V) => readonly DemandExpression[];
  /** `undefined` where it is met. What is not known does not meet it. */
  readonly judge: (value: V, call: Circumstances) => Lack | undefined;
  /** What it was judged by, by what it is called in conditions; for explanations. */
  readonly facts: (input: PolicyInput) => Readonly<Record<string, unknown>>;
  /** What would meet it, as a sentence. */
  readonly remedy: (value: V) => string;
}
