/**
 * JSON that was judged: unambiguous by construction, with the exact text of the numbers that a double would bend. One
 * byte pass, `JSON.parse`, one walk; the slow look at places is taken only for documents that have something to show.
 * docs/spec/arguments-v1.md section 1.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { deny, fail, ok } from '@sallyport/model';
import type { Denial, Json, Result } from '@sallyport/model';
import { collectNumberTexts, findDuplicateKeys, ROOT } from './json-trace.ts';
import type { NumberTexts } from './json-trace.ts';
import { scanJson } from './json-scan.ts';
import { walkTree } from './json-walk.ts';
import { formatPlace } from './place.ts';
import type { Step } from './place.ts';

/** Bounds on one document. Exceeding any is a refusal. */
export interface JudgeLimits {
  readonly bytesMax: number;
  /** Nesting of arrays and objects; a scalar has depth 0. At most 512, whatever is asked. */
  readonly depthMax: number;
  /** Object members and array elements together, in the whole document. An empty array or object counts as one. */
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
  /** For the log and the record; quotes nothing of the sender's but keys, cut short. */
  readonly message: string;
}

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

/** A document less members at its top, its numbers as exact as before. For an object alone. */
export function withoutMembers(judged: Judged, names: ReadonlySet<string>): Judged {
  const whole = judged.tree as { readonly [key: string]: Json };
  const rest = Object.fromEntries(Object.entries(whole).filter(([name]) => !names.has(name)));
  return {
    tree: rest,
    numberText: (holder, key) => judged.numberText(holder === rest ? whole : holder, key),
    at: (...steps) => {
      if (steps.length === 0) return withoutMembers(judged, names);
      return names.has(String(steps[0])) ? undefined : judged.at(...steps);
    },
  };
}

/** How many places one refusal names. */
const PROBLEMS_MAX = 16;
const DEPTH_CEILING = 512;

/**
 * Judges UTF-8 bytes as one JSON document (RFC 8259) without byte order mark, with nothing after its value. Refuses what
 * two readers could read differently. All problems of the first failing stage are returned, at least one, at most 16.
 */
export function judge(source: Uint8Array, options: JudgeOptions = {}): Result<Judged, readonly JsonProblem[]> {
  const limits = options.limits === undefined ? JUDGE_LIMITS : { ...JUDGE_LIMITS, ...options.limits };
  if (source.byteLength > limits.bytesMax) return one('too_large', `the document has more than ${limits.bytesMax} bytes`);
  // Bounds first: a hostile document is refused before a tree of it is built.
  const scan = scanJson(source);
  const depthMax = Math.min(limits.depthMax, DEPTH_CEILING);
  if (scan.depth > depthMax) return one('too_deep', `nested more than ${depthMax} deep`);
  if (scan.items > limits.membersMax) return one('too_many_members', `more than ${limits.membersMax} members and elements`);

  const text = fromUtf8(source);
  if (text === undefined) return one('invalid_utf8', 'not UTF-8');
  let tree: Json;
  try {
    tree = JSON.parse(text) as Json;
  } catch {
    // A byte order mark is refused here too. The engine's own message quotes the document, which may hold secrets.
    return one('invalid_json', 'not one JSON document');
  }

  const walk = walkTree(tree, {
    caseDistinctDepth: options.caseDistinctDepth ?? 0,
    isSurrogateSought: text.includes('\\u'),
    problemsMax: PROBLEMS_MAX,
  });
  // The tree keeps one member of each name; the source has spelled more of them.
  if (walk.members !== scan.members) {
    const places = findDuplicateKeys(text, PROBLEMS_MAX);
    return fail(places.map((place) => ({ code: 'duplicate_key', path: formatPlace(place), message: 'the key stands twice' })));
  }
  if (walk.problems.length > 0) return fail(walk.problems);
  const texts = scan.hasSpecialNumber ? collectNumberTexts(text, tree) : NO_TEXTS;
  return ok(new JudgedTree(tree, texts, texts.get(ROOT)?.get('')));
}

/** The refusal for a document: `payload_too_large` where it is too large, else `malformed_request`. */
export function denyJson(problems: readonly JsonProblem[]): Denial {
  const isTooLarge = problems.some((problem) => problem.code === 'too_large');
  const detail = problems.map(({ code, path, message }) => `${code}${path === '' ? '' : ` at ${path}`}: ${message}`).join('; ');
  return deny(isTooLarge ? 'payload_too_large' : 'malformed_request', detail);
}

const NO_TEXTS: NumberTexts = new Map();

function one(code: JsonProblemCode, message: string): { readonly ok: false; readonly error: readonly JsonProblem[] } {
  return fail([{ code, path: '', message }]);
}

class JudgedTree implements Judged {
  readonly tree: Json;
  readonly #texts: NumberTexts;
  readonly #ownText: string | undefined;

  constructor(tree: Json, texts: NumberTexts, ownText: string | undefined) {
    this.tree = tree;
    this.#texts = texts;
    this.#ownText = ownText;
  }

  numberText(holder: object | undefined, key: Step): string | undefined {
    return holder === undefined ? this.#ownText : this.#texts.get(holder)?.get(key);
  }

  at(...steps: readonly Step[]): Judged | undefined {
    let tree: Json = this.tree;
    let ownText = this.#ownText;
    for (const step of steps) {
      if (typeof tree !== 'object' || tree === null || Array.isArray(tree) !== (typeof step === 'number')) return undefined;
      if (!Object.hasOwn(tree, step)) return undefined;
      ownText = this.#texts.get(tree)?.get(step);
      tree = (tree as Readonly<Record<Step, Json>>)[step] as Json;
    }
    return new JudgedTree(tree, this.#texts, ownText);
  }
}
