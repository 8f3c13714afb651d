/**
 * Who calls, as somebody typed it for an explanation: JSON files in the form of a test's `given`, words such as
 * `roles=support-rep`, or both, the words counting last. Parsed, never guessed: an unknown word is a problem.
 */

import { utf8 } from '@sallyport/crypto';
import { fail, formatInstant, nearest, ok } from '@sallyport/model';
import type { Json, JsonObject, Problem, Result } from '@sallyport/model';
import { readGiven } from '@sallyport/policy';
import type { GivenInput, Requirement } from '@sallyport/policy';
import { judge } from '@sallyport/strict';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';

/** Who calls, when, with what proof, in what session. */
export type Caller = GivenInput;

/** What a word is: text, or a list with commas. `NAME` stands for any name. */
const WORDS: Readonly<Record<string, 'text' | 'list' | 'scalar'>> = {
  principal: 'text',
  tenant: 'text',
  roles: 'list',
  scopes: 'list',
  'attributes.NAME': 'scalar',
  at: 'text',
  'signed_in.ago': 'text',
  'signed_in.acr': 'text',
  'signed_in.amr': 'list',
  justification: 'text',
  'session.case': 'text',
  'session.task': 'text',
  'session.step': 'text',
  'session.customer_id': 'text',
  'session.workflow_id': 'text',
  'session.workflow_step': 'text',
  'session.conversation_id': 'text',
  'session.run_id': 'text',
  'session.purpose': 'text',
  'session.root': 'text',
  'session.age': 'text',
  'session.risk': 'scalar',
  'session.completed': 'list',
  'session.denied': 'list',
  'session.classes': 'list',
  'session.touched.NAME': 'list',
  'session.remembered.NAME': 'list',
  'session.reviewed': 'list',
};
const WORD_NAMES = Object.keys(WORDS);
const FILE_ONLY: ReadonlySet<string> = new Set(['chain', 'approvals', 'session', 'signed_in', 'attributes']);
const FILE_BYTES_MAX = 65_536;

/** What would have to be said for another answer, by the requirement that is unmet: `--as` of an explanation. */
export const SAID_BY: Readonly<Partial<Record<Requirement, readonly string[]>>> = {
  for: ['roles'],
  scopes: ['scopes'],
  step: ['session.step'],
  task: ['session.task'],
  require_purpose: ['session.purpose'],
  delegation: ['chain'],
  after: ['session.completed'],
  session: ['session.age', 'session.denied'],
  valid: ['at'],
  hours: ['at'],
  justification: ['justification'],
  risk: ['session.risk'],
  step_up: ['signed_in.acr', 'signed_in.amr', 'signed_in.ago'],
  reviewed: ['session.reviewed'],
  approval: ['approvals'],
};

/** How it is typed: `--as session.task=…`. */
export function saidAs(word: string): string {
  return FILE_ONLY.has(word) ? `\`${word}\` in a JSON file` : `--as ${word}=…`;
}

/** Every problem of every `--as` at once. The call is made now, unless `at` says when. */
export function readCaller(texts: readonly string[], io: Io): Result<Caller, readonly Problem[]> {
  const words = texts.map((text) => ({ text, word: /^([a-z][a-z_.0-9]*)=(.*)$/su.exec(text) }));
  const problems: Problem[] = [];
  let given: JsonObject = {};
  for (const { text } of words.filter(({ word }) => word === null)) {
    const file = readFile(text, io);
    if (file.ok) given = { ...given, ...file.value };
    else problems.push(...file.error);
  }
  const said: Said = {};
  for (const { word } of words) if (word !== null) problems.push(...say(said, word[1] ?? '', word[2] ?? ''));
  const known = readGiven(said);
  if (!known.ok) problems.push(...known.error.map((problem) => ({ ...problem, path: `--as ${problem.path}` })));
  if (problems.length > 0) return fail(problems);
  return readGiven(merged({ at: formatInstant(io.clock.wall()), ...given }, said));
}

/** Owner: `readCaller`, which fills one and hands it over. */
type Said = Record<string, Json>;

function say(said: Said, name: string, value: string): readonly Problem[] {
  const [, parent, own] = /^(attributes|session\.touched|session\.remembered)\.([a-z][a-z0-9_]*)$/.exec(name) ?? [];
  const kind = WORDS[parent === undefined ? name : `${parent}.NAME`];
  if (kind === undefined || name.endsWith('.NAME')) return [unknownWord(name)];
  const list = value.split(',').filter((one) => one !== '');
  put(
    said,
    [...(parent ?? name).split('.'), ...(own === undefined ? [] : [own])],
    kind === 'list' ? list : kind === 'text' ? value : scalarOf(value),
  );
  return [];
}

function put(into: Said, [first = '', ...rest]: readonly string[], value: Json): void {
  if (rest.length === 0) into[first] = value;
  else {
    const inner: Said = { ...objectOf(into[first]) };
    put(inner, rest, value);
    into[first] = inner;
  }
}

function unknownWord(name: string): Problem {
  if (FILE_ONLY.has(name))
    return { path: '--as', message: `\`${name}\` is more than a word can say`, remedy: 'name a JSON file that holds it' };
  const inner = WORD_NAMES.find((word) => word.endsWith(`.${name}`));
  const near = inner ?? nearest(name, WORD_NAMES);
  return {
    path: '--as',
    message: `\`${name}\` says nothing of a call`,
    remedy: near === undefined ? `one of ${WORD_NAMES.join(', ')}` : `did you mean ${near}?`,
  };
}

/** `true`, `12` and `1.5` are what they look like; anything else is text. */
export function scalarOf(value: string): string | number | boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(value) && String(Number(value)) === value ? Number(value) : value;
}

/** A file that holds by itself; what is wrong with it is said of the file. */
function readFile(name: string, io: Io): Result<JsonObject, readonly Problem[]> {
  const text = readText(at(io.cwd, name), { bytesMax: FILE_BYTES_MAX, shown: name });
  if (!text.ok) return fail([{ ...text.error, remedy: 'name a JSON file, or write words such as roles=support-rep' }]);
  const judged = judge(utf8(text.value));
  if (!judged.ok) return fail(judged.error.map(({ path, message }) => ({ file: name, path, message })));
  const { tree } = judged.value;
  if (!isObject(tree)) return fail([{ file: name, path: '', message: 'expected an object', remedy: 'such as {"roles":["support-rep"]}' }]);
  const read = readGiven(tree);
  return read.ok ? ok(tree) : fail(read.error.map((problem) => ({ ...problem, file: name })));
}

/** Maps are laid over each other, everything else is replaced. */
function merged(below: JsonObject, above: JsonObject): JsonObject {
  const entries = Object.entries(above).map(([name, value]): readonly [string, Json] => {
    const under = below[name];
    return [name, isObject(under) && isObject(value) ? merged(under, value) : value];
  });
  return { ...below, ...Object.fromEntries(entries) };
}

function objectOf(json: Json | undefined): JsonObject {
  return isObject(json) ? json : {};
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
