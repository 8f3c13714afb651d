/** JSON that was judged: unambiguous by construction, with the exact text of the numbers that a double would bend. */

import { Bug, deny } from '@sallyport/model';
import type { Denial, Json, Result } from '@sallyport/model';

/** Bounds on one document. Exceeding any is a refusal. */
export interface JudgeLimits {
  readonly bytesMax: number;
  /** Nesting of arrays and objects; a scalar has depth 0. */
  readonly depthMax: number;
  /** Object members and array elements together, in the whole document. */
  readonly membersMax: number;
}

export const JUDGE_LIMITS: JudgeLimits = { bytesMax: 1_048_576, depthMax: 64, membersMax: 100_000 };

export interface JudgeOptions {
  readonly limits?: Partial<JudgeLimits>;
  /**
   * Objects at this depth and above (the root is 1) may not hold keys that differ by case alone, because readers that
   * fold case would take another member than we do. 0, the default, looks nowhere; schemas guard the names they know.
   */
  readonly caseDistinctDepth?: number;
}

export type JsonProblemCode =
  | 'invalid_utf8'
  | 'invalid_json'
  | 'duplicate_key'
  | 'colliding_key'
  | 'too_deep'
  | 'too_many_members'
  | 'lone_surrogate'
  | 'too_large';

export interface JsonProblem {
  readonly code: JsonProblemCode;
  /** Where, as in `Problem`: `params.items[3].name`. Empty where no place is known, or for the whole. */
  readonly path: string;
  /** For the log and the record; may quote the sender's keys, cut short. */
  readonly message: string;
}

/** A step into a document: an object's key or an array's index. */
export type Step = string | number;

/**
 * A judged document, or a part of one. `tree` is what `JSON.parse` made; it has no duplicate keys and no lone
 * surrogates. Whoever needs a number exactly asks `numberText` before trusting the double in the tree.
 */
export interface Judged {
  readonly tree: Json;
  /**
   * The source text of the number at `key` of `holder` (an object or array of this very tree), where a double cannot
   * hold it exactly or where it is spelled with an exponent; `undefined` for every other number. For a document that is
   * one number, `holder` is `undefined`.
   */
  numberText(holder: object | undefined, key: Step): string | undefined;
  /** The part under own members only: never a prototype's. `undefined` where there is none. */
  at(...steps: readonly Step[]): Judged | undefined;
}

/**
 * Judges UTF-8 bytes as one JSON document (RFC 8259) without byte order mark, with nothing after its value. Refuses what
 * two readers could read differently. All problems of the first failing stage are returned, at least one, at most 16.
 */
export function judge(_source: Uint8Array, _options: JudgeOptions = {}): Result<Judged, readonly JsonProblem[]> {
  throw new Bug('to come');
}

/** The refusal for a document: `payload_too_large` where it is too large, else `malformed_request`. */
export function denyJson(problems: readonly JsonProblem[]): Denial {
  const isTooLarge = problems.some((problem) => problem.code === 'too_large');
  const detail = problems.map(({ code, path, message }) => `${code}${path === '' ? '' : ` at ${path}`}: ${message}`).join('; ');
  return deny(isTooLarge ? 'payload_too_large' : 'malformed_request', detail);
}
