/**
 * What a tool's server answered, and the same for the agent that asked: in the agent's own era, under its own id, every
 * byte but what the two eras spell differently. docs/spec/mcp.md, section 6.
 */

import { type Result, ok } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';
import { membersOf } from './ask.ts';
import { memberBytes, withFirst, withMember, withoutMember } from './json-member.ts';
import { type RpcId, rpcErrorBytes, rpcResult } from './jsonrpc.ts';
import type { McpEra } from './mcp-ask.ts';
import { isOwnKey } from './mcp-meta.ts';
import { BEFORE_METHODS, type UpstreamMessage, type UpstreamProblem, describe, problem } from './mcp-upstream.ts';

/** What a tool call came to, once a message is its answer. */
export type ToolOutcome = 'ok' | 'tool_error' | 'upstream_error';

/** Whether the answer to a tool call says that the tool did it. Anything that is not certainly a success is none. */
export function toolOutcome(message: UpstreamMessage): Result<ToolOutcome, UpstreamProblem> {
  if (message.kind === 'error') return isOurs(message.code) ? problem('refused', `error ${message.code}`) : ok('upstream_error');
  if (message.kind !== 'result') return problem('not_a_tool_result', `answered by ${describe(message)}`);
  const result = membersOf(message.judged) ?? {};
  const kind = Object.hasOwn(result, 'resultType') ? result['resultType'] : 'complete';
  if (kind === 'input_required') return problem('not_offered', 'asked for input, which was not offered to it');
  if (kind === 'task' || Object.hasOwn(result, 'task')) return problem('not_offered', 'made a task of it, which was not offered to it');
  if (kind !== 'complete') return problem('not_a_tool_result', 'a kind of result that is not known');
  const isError = Object.hasOwn(result, 'isError') ? result['isError'] : false;
  if (!Array.isArray(result['content']) || typeof isError !== 'boolean')
    return problem('not_a_tool_result', 'no content, or `isError` is no boolean');
  return ok(isError ? 'tool_error' : 'ok');
}

/** Errors that are about what lies between us and the server, or about what we did not offer it: no client could mend them. */
function isOurs(code: number): boolean {
  return BEFORE_METHODS.has(code) || code === URL_ELICITATION_REQUIRED;
}

/** 2025-11-25 alone: the tool would send the user to an address first. */
const URL_ELICITATION_REQUIRED = -32_042;

/**
 * The server's answer as the answer to the agent's request: the agent's id, and the source's bytes but for what the two
 * eras spell differently, and for what would pass for a word of ours. `judged` is of the same bytes.
 */
export function answerFor(
  to: { readonly id: RpcId; readonly era: McpEra },
  message: Extract<UpstreamMessage, { judged: Judged }>,
): Uint8Array {
  if (message.kind === 'error') return rpcErrorBytes(to.id, errorOf(message));
  const { judged } = message;
  const result = ownWordsLeftOut(message.result, { judged, isLegacy: to.era === 'legacy' });
  return rpcResult(to.id, to.era === 'legacy' ? asLegacy(result, judged) : asModern(result, judged));
}

function asModern(result: Uint8Array, judged: Judged): Uint8Array {
  return hasMember(judged, 'resultType') ? result : withFirst(result, '"resultType":"complete"');
}

/** The older era knows one kind of result, and structured content that is an object alone; a server of both does the same. */
function asLegacy(result: Uint8Array, judged: Judged): Uint8Array {
  const plain = hasMember(judged, 'resultType') ? withoutMember(result, 'resultType') : result;
  const structured = judged.at('structuredContent');
  if (structured === undefined || membersOf(structured) !== undefined) return plain;
  const value = memberBytes(plain, 'structuredContent') ?? new Uint8Array();
  return withMember(plain, 'structuredContent', wrapped('{"result":', value));
}

/** `_meta` of ours may come from us alone, and a legacy client is not told of a server that it did not shake hands with. */
function ownWordsLeftOut(result: Uint8Array, { judged, isLegacy }: { judged: Judged; isLegacy: boolean }): Uint8Array {
  const meta = membersOf(judged.at('_meta'));
  if (meta === undefined) return result;
  const names = Object.keys(meta).filter((name) => isOwnKey(name) || (isLegacy && name === SERVER_META_KEY));
  if (names.length === 0) return result;
  if (names.length === Object.keys(meta).length) return withoutMember(result, '_meta');
  const left = names.reduce(withoutMember, memberBytes(result, '_meta') ?? new Uint8Array());
  return withMember(result, '_meta', left);
}

/** The server's error; data that looks like a denial's stays behind, so that a denial is always ours. */
function errorOf({ error, judged }: Extract<UpstreamMessage, { kind: 'error' }>): Uint8Array {
  const data = membersOf(judged.at('data'));
  return data !== undefined && Object.hasOwn(data, 'decision_id') ? withoutMember(error, 'data') : error;
}

const SERVER_META_KEY = 'io.modelcontextprotocol/serverInfo';

function hasMember(judged: Judged, name: string): boolean {
  return Object.hasOwn(membersOf(judged) ?? {}, name);
}

function wrapped(before: string, value: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(before);
  const whole = new Uint8Array(head.byteLength + value.byteLength + 1);
  whole.set(head, 0);
  whole.set(value, head.byteLength);
  whole[whole.byteLength - 1] = 0x7d;
  return whole;
}
