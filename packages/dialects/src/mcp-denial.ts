/**
 * A denial in MCP's own forms: a tool result that the model reads, a JSON-RPC error that the client reads, or plain HTTP
 * where there is nobody to answer. docs/spec/denials.md, section 3.
 */

import type { Denial, DenialCode, NextAction, PublicDenial } from '@sallyport/model';
import { type WireAnswer, jsonBytes } from './ask.ts';
import { RPC_CODES, rpcError, rpcResult } from './jsonrpc.ts';
import type { McpEra, McpReplyTo } from './mcp-ask.ts';
import { denialHeaders, problemAnswer } from './problem.ts';

/** Where a denied tool result carries the machine's half; never in `structuredContent`, whose schema is the tool's. */
export const DENIAL_META_KEY = 'dev.sallyport/denial';

/**
 * What a denial becomes: `problem` is plain HTTP; `http_error` keeps the HTTP status around a JSON-RPC error, for what
 * the client itself has to act on; the others come with status 200.
 */
export type McpDenialForm = 'problem' | 'http_error' | 'unknown_tool' | 'tool_result' | 'error';

/** What beside the public denial shapes an answer. */
export interface McpDenialOptions {
  /** The tool's own wish where the tool is known, else a result. */
  readonly denyAs?: 'tool_result' | 'error' | undefined;
  /** The revision's own name for exactly this, which then stands in place of the table's. */
  readonly rpc?: Denial['rpc'];
}

/** The whole answer to a denied message. Every message with a readable id gets a JSON-RPC message. */
export function mcpDenial(told: PublicDenial, to: McpReplyTo, { denyAs = 'tool_result', rpc }: McpDenialOptions = {}): WireAnswer {
  const denial = { ...told, status: statusOf(told, to, rpc) };
  if (to.id === undefined) return problemAnswer(denial);
  const headers = { 'content-type': 'application/json', ...denialHeaders(denial) };
  if (rpc !== undefined) {
    const { code, message, data } = rpc;
    return { status: denial.status, headers, body: rpcError(to.id, { code, message, data: { ...data, ...denial } }) };
  }
  switch (mcpDenialForm(denial.code, to, denyAs)) {
    case 'http_error':
      return { status: denial.status, headers, body: rpcError(to.id, asError(denial)) };
    case 'unknown_tool':
      return {
        status: 200,
        headers: plain(headers),
        body: rpcError(to.id, { ...asError(denial), message: `Unknown tool: ${to.tool ?? ''}` }),
      };
    case 'tool_result':
      return { status: 200, headers: plain(headers), body: rpcResult(to.id, jsonBytes(asToolResult(denial, to.era))) };
    case 'error':
      return { status: 200, headers: plain(headers), body: rpcError(to.id, asError(denial)) };
    case 'problem':
      return problemAnswer(denial);
  }
}

/** A method that is not there is 404 in the modern era, and an error in the answer in the other. */
function statusOf(told: PublicDenial, to: McpReplyTo, rpc: Denial['rpc']): number {
  if (rpc !== undefined) return rpc.status;
  return to.era === 'modern' && to.id !== undefined && told.code === 'method_not_allowed' ? 404 : told.status;
}

/** Which form a code takes for a message. */
export function mcpDenialForm(code: DenialCode, to: McpReplyTo, denyAs: 'tool_result' | 'error'): McpDenialForm {
  if (to.id === undefined) return 'problem';
  if (HTTP_ERRORS.has(code) || (to.era === 'modern' && code === 'method_not_allowed')) return 'http_error';
  if (to.tool === undefined) return 'error';
  // A forbidden tool answers as a missing one does, whatever its own wish: that wish is known only of tools that exist.
  if (code === 'tool_not_allowed') return 'unknown_tool';
  return denyAs;
}

/** The JSON-RPC code: JSON-RPC's own where it has one for exactly this, else the HTTP status, which no range reserves. */
export function rpcCodeOf(denial: Pick<PublicDenial, 'code' | 'status'>): number {
  return RPC_CODE_OF.get(denial.code) ?? denial.status;
}

const RPC_CODE_OF: ReadonlyMap<DenialCode, number> = new Map<DenialCode, number>([
  ['malformed_request', RPC_CODES.invalidRequest],
  ['method_not_allowed', RPC_CODES.methodNotFound],
  ['tool_not_allowed', RPC_CODES.invalidParams],
  ['schema_violation', RPC_CODES.invalidParams],
  ['field_not_allowed', RPC_CODES.invalidParams],
  ['internal', RPC_CODES.internalError],
]);

/** What the model reads: what is wrong, what to do, what has happened, and the reference for a person. One paragraph. */
export function denialText(denial: PublicDenial): string {
  const fields = denial.fields === undefined || denial.fields.length === 0 ? '' : ` (${denial.fields.join(', ')})`;
  const limits = (denial.limits ?? []).map(({ field, max, before }) => ` ${field} may lie at most ${max} before ${before}.`).join('');
  const wait = denial.retry_after_ms === undefined ? '' : ` after ${Math.ceil(denial.retry_after_ms / 1000)} s`;
  const again = denial.retryable ? ` The same call may be repeated${wait}.` : '';
  return (
    `Refused: ${denial.title}${fields} [${denial.code}].${limits} ${EFFECT_TEXT[denial.effect]} ${NEXT_TEXT[denial.next_action]}${again} ` +
    `To the user say: "${denial.user_message}" Reference: ${denial.decision_id}`
  );
}

/** Credentials and framing: the client's own business, which no model can mend by other arguments. */
const HTTP_ERRORS: ReadonlySet<DenialCode> = new Set<DenialCode>([
  'malformed_request',
  'direct_address_rejected',
  'payload_too_large',
  'unsupported_content_type',
  'headers_too_large',
  'unauthenticated',
  'token_expired',
  'token_revoked',
  'token_outdated',
  'token_lifetime_exceeded',
  'session_unknown',
  'session_expired',
  'session_binding_mismatch',
  'signature_invalid',
  'replay_detected',
]);

const EFFECT_TEXT: Readonly<Record<PublicDenial['effect'], string>> = {
  none: 'Nothing was carried out.',
  possible: 'It may have been carried out.',
  done: 'It was carried out, and its answer is withheld; do not repeat it.',
};

const NEXT_TEXT: Readonly<Record<NextAction, string>> = {
  fix_arguments: 'Correct the arguments and call again.',
  authenticate: 'A new session has to be opened before any further call.',
  step_up: 'The user has to verify who they are first.',
  get_approval: 'A person has to approve this call first.',
  wait: 'Wait before you go on.',
  use_allowed_tool: 'Use one of the listed tools, or answer without this call.',
  ask_user: 'Ask the user to make clear what is wanted.',
  route_to_human: 'Hand this over to a person.',
  revise_or_review: 'Revise the content, or have a person look at it.',
  contact_owner: 'Report this to the operator of this agent; repeating the call will not help.',
  stop: 'Do not try this again.',
};

function asToolResult(denial: PublicDenial, era: McpEra): object {
  const result = { content: [{ type: 'text', text: denialText(denial) }], isError: true, _meta: { [DENIAL_META_KEY]: denial } };
  return era === 'modern' ? { resultType: 'complete', ...result } : result;
}

function asError(denial: PublicDenial): { code: number; message: string; data: PublicDenial } {
  return { code: rpcCodeOf(denial), message: denial.title, data: denial };
}

/** With status 200, `Allow` would speak of the HTTP method, which was right. */
function plain(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'allow'));
}
