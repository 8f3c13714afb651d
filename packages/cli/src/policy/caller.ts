/**
 * Who calls, as somebody typed it for an explanation: a JSON file in the form of a test's `given`, words such as
 * `roles=support-rep`, or both, the words counting last. Parsed, never guessed: an unknown word is a problem.
 */

import { utf8 } from '@sallyport/crypto';
import { fail, isToolName, nearest, ok } from '@sallyport/model';
import type { Instant, Json, JsonObject, Principal, PrincipalId, Problem, Result, SessionId, TenantId, ToolName } from '@sallyport/model';
import type { SessionFacts } from '@sallyport/policy';
import { judge } from '@sallyport/strict';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';

export interface Caller {
  readonly principal: Principal;
  readonly session: SessionFacts;
}

/** Owner: `readCaller`, which fills one and hands it over. */
interface Given {
  principal: string;
  tenant: string;
  roles: readonly string[];
  scopes: readonly string[];
  attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  case: string | undefined;
  completed: readonly string[];
}

const WORDS = ['principal', 'tenant', 'roles', 'scopes', 'session.case', 'session.completed', 'attributes.NAME'] as const;
const FILE_BYTES_MAX = 65_536;

/** Every problem of every `--as` at once. */
export function readCaller(texts: readonly string[], io: Io): Result<Caller, readonly Problem[]> {
  const given: Given = { principal: 'test', tenant: 'test', roles: [], scopes: [], attributes: {}, case: undefined, completed: [] };
  const problems: Problem[] = [];
  for (const text of texts) {
    const word = /^([a-z][a-z_.0-9]*)=(.*)$/su.exec(text);
    problems.push(...(word === null ? readFile(text, given, io) : readWord(word[1] ?? '', word[2] ?? '', given)));
  }
  for (const tool of given.completed)
    if (!isToolName(tool)) problems.push({ path: '--as session.completed', message: `\`${tool}\` is not a tool`, remedy: 'server/tool' });
  return problems.length === 0 ? ok(callerOf(given)) : fail(problems);
}

function readWord(name: string, value: string, given: Given): readonly Problem[] {
  const list = value.split(',').filter((one) => one !== '');
  switch (name) {
    case 'principal':
    case 'tenant':
      given[name] = value;
      return [];
    case 'roles':
    case 'scopes':
      given[name] = list;
      return [];
    case 'session.case':
      given.case = value;
      return [];
    case 'session.completed':
      given.completed = list;
      return [];
    default: {
      if (/^attributes\.[a-z][a-z0-9_]*$/.test(name)) {
        given.attributes = { ...given.attributes, [name.slice('attributes.'.length)]: scalarOf(value) };
        return [];
      }
      const near = nearest(name, WORDS);
      return [
        {
          path: '--as',
          message: `\`${name}\` says nothing of a caller`,
          remedy: near === undefined ? `one of ${WORDS.join(', ')}` : `did you mean ${near}?`,
        },
      ];
    }
  }
}

/** `true`, `12` and `1.5` are what they look like; anything else is text. */
export function scalarOf(value: string): string | number | boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(value) && String(Number(value)) === value ? Number(value) : value;
}

function readFile(name: string, given: Given, io: Io): readonly Problem[] {
  const text = readText(at(io.cwd, name), { bytesMax: FILE_BYTES_MAX, shown: name });
  if (!text.ok) return [{ ...text.error, remedy: 'name a JSON file, or write words such as roles=support-rep' }];
  const judged = judge(utf8(text.value));
  if (!judged.ok) return judged.error.map(({ path, message }) => ({ file: name, path, message }));
  const { tree } = judged.value;
  if (!isObject(tree)) return [{ file: name, path: '', message: 'expected an object', remedy: 'such as {"roles":["support-rep"]}' }];
  const problems: Problem[] = [];
  for (const [key, value] of Object.entries(tree)) {
    const problem = setMember(key, value, given);
    if (problem !== undefined) problems.push({ file: name, path: key, message: problem });
  }
  return problems;
}

/** What is wrong with a member, or `undefined` once it is set. */
function setMember(key: string, value: Json, given: Given): string | undefined {
  switch (key) {
    case 'principal':
    case 'tenant':
      if (typeof value !== 'string') return 'expected text';
      given[key] = value;
      return undefined;
    case 'roles':
    case 'scopes':
      if (!isTexts(value)) return 'expected a list of text';
      given[key] = value;
      return undefined;
    case 'attributes':
      if (!isObject(value) || !Object.values(value).every((one) => isScalar(one) || isTexts(one)))
        return 'expected text, numbers, true or false, or lists of text';
      given.attributes = value as Given['attributes'];
      return undefined;
    case 'session': {
      if (!isObject(value) || Object.keys(value).some((name) => name !== 'case' && name !== 'completed'))
        return 'expected `case` and `completed`';
      const { case: name, completed } = value;
      if (name !== undefined && typeof name !== 'string') return 'expected text as `case`';
      if (completed !== undefined && !isTexts(completed)) return 'expected a list of tools as `completed`';
      given.case = name;
      given.completed = completed ?? [];
      return undefined;
    }
    default:
      return `says nothing of a caller; known are principal, tenant, roles, scopes, attributes and session`;
  }
}

function callerOf({ principal, tenant, roles, scopes, attributes, case: name, completed }: Given): Caller {
  const kind = principal === 'anonymous' ? 'anonymous' : 'person';
  const tools = completed as readonly ToolName[];
  return {
    principal: {
      id: principal as PrincipalId,
      kind,
      tenant: tenant as TenantId,
      issuer: kind === 'anonymous' ? '' : 'test',
      roles,
      scopes,
      attributes,
      authenticatedAt: 0 as Instant,
    },
    session: {
      id: 'test' as SessionId,
      ...(name === undefined ? {} : { case: name }),
      attempted: tools,
      completed: tools,
      failed: [],
      denied: [],
      hasCompleted: (tool) => tools.includes(tool),
    },
  };
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isTexts(json: Json | undefined): json is readonly string[] {
  return Array.isArray(json) && (json as readonly Json[]).every((one) => typeof one === 'string');
}

function isScalar(json: Json): boolean {
  return typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean';
}
