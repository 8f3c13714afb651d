/**
 * From bytes to a typed value, once: strict JSON, exact integers, and a closed shape. Whatever this build does not
 * know is MIN_VERSION, because it may be a restriction that an old receiver must not skip. docs/spec/trust-v1.md
 * section 3. The shapes themselves are in `objects/`.
 */

import { utf8 } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Json, Problem, Result } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { Judged } from '@sallyport/strict';
import type * as z from 'zod/mini';
import { API_VERSION, refusalCodeOf } from './kinds.ts';
import type { SignedKind } from './kinds.ts';
import { ENVELOPE_BYTES_MAX } from './limits.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';

const DEPTH_MAX = 8;
const MEMBERS_MAX = 1_000_000;

/** Strict JSON without inexact numbers; all problems of the first failing stage. */
export function readJson(bytes: Uint8Array, bytesMax: number): Result<Json, readonly Problem[]> {
  const judged = judge(bytes, { limits: { bytesMax, depthMax: DEPTH_MAX, membersMax: MEMBERS_MAX }, caseDistinctDepth: DEPTH_MAX });
  if (!judged.ok) return fail(judged.error.map(({ path, message }) => ({ path, message })));
  const bent = bentNumbers(judged.value, judged.value.tree, '');
  return bent.length === 0 ? ok(judged.value.tree) : fail(bent);
}

/** Numbers whose text is not what a double holds: two readers would see two values. */
function bentNumbers(judged: Judged, tree: Json, path: string): Problem[] {
  if (tree === null || typeof tree !== 'object') return [];
  const problems: Problem[] = [];
  for (const [key, value] of Object.entries<Json>(tree)) {
    const step = Array.isArray(tree) ? Number(key) : key;
    const place = Array.isArray(tree) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    const text = typeof value === 'number' ? judged.numberText(tree, step) : undefined;
    if (text !== undefined) problems.push({ path: place, message: `\`${text}\` is not a plain whole number` });
    problems.push(...bentNumbers(judged, value, place));
  }
  return problems;
}

/** Reads verified payload bytes of `kind` by its shape. Never call it on bytes whose signatures have not been counted. */
export function readPayload<T>(kind: SignedKind, payload: Uint8Array, shape: z.ZodMiniType<T>): Result<T, Rejection> {
  const json = readJson(payload, ENVELOPE_BYTES_MAX[kind]);
  if (!json.ok) return fail(reject(refusalCodeOf(kind), `the ${kind} payload is not strict JSON`, json.error));
  return readShape(kind, json.value, shape);
}

/** As `readPayload`, for a tree that is already judged. */
export function readShape<T>(kind: SignedKind, tree: Json, shape: z.ZodMiniType<T>): Result<T, Rejection> {
  const read = shape.safeParse(tree);
  if (read.success) return ok(read.data);
  const issues = read.error.issues;
  const problems = issues.flatMap(problemsOf);
  // An unknown word outranks a wrong type: the writer is newer, and its other words may have changed meaning with it.
  const isNewer = issues.some((issue) => issue.code === 'unrecognized_keys' || isUnknownWord(issue, tree));
  if (isNewer) return fail(reject('MIN_VERSION', `the ${kind} uses words that this build does not know`, problems));
  return fail(reject(refusalCodeOf(kind), `the ${kind} payload is malformed`, problems));
}

/** Payload text: `api_version` and `kind` first, then the fields in the order given. */
export function encodePayload(kind: string, fields: object): Uint8Array {
  return utf8(JSON.stringify({ api_version: API_VERSION, kind, ...fields }));
}

type Issue = z.core.$ZodIssue;

/** Whether a closed word was given another word, rather than something of another type. `kind` is no word: it contradicts the type. */
function isUnknownWord(issue: Issue, tree: Json): boolean {
  if (issue.code !== 'invalid_value' || issue.path[0] === 'kind') return false;
  let value: unknown = tree;
  for (const step of issue.path)
    value = value !== null && typeof value === 'object' ? (value as Record<PropertyKey, unknown>)[step] : undefined;
  return typeof value === 'string';
}

/** One issue as the problems it stands for: an object's unknown keys are each their own. */
export function problemsOf(issue: Issue): Problem[] {
  const path = pathText(issue.path);
  if (issue.code !== 'unrecognized_keys') return [{ path, message: wordsOf(issue) }];
  return issue.keys.map((key) => ({ path, message: `unknown field \`${key}\`` }));
}

function wordsOf(issue: Issue): string {
  if (issue.code === 'invalid_type') return `expected ${issue.expected}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map((value) => `\`${String(value)}\``).join(', ')}`;
  if (issue.code === 'too_big') return `more than ${String(issue.maximum)}`;
  if (issue.code === 'too_small') return `less than ${String(issue.minimum)}`;
  return issue.message === '' ? 'not valid' : issue.message;
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? String(step) : `.${String(step)}`;
  return text;
}
