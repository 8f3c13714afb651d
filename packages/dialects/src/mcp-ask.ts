/**
 * What an agent asks over MCP, whichever era it speaks, and the parts of a message that both eras spell alike. The
 * readers of the eras are `mcp-2025.ts` and `mcp-2026.ts`; `mcp.ts` chooses between them.
 */

import { type Denial, type Result, deny, fail, ok } from '@sallyport/model';
import type { HeaderLookup, Judged } from '@sallyport/strict';
import { accepts } from './accept.ts';
import { membersOf, noArguments } from './ask.ts';
import type { RpcId } from './jsonrpc.ts';
import type { CallMeta } from './mcp-meta.ts';

/** The revisions with a handshake that are served, newest first. */
export const MCP_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type McpVersion = (typeof MCP_VERSIONS)[number];

/** The revision without one (`basic/versioning` of 2026-07-28 calls the two eras legacy and modern). */
export const MODERN_VERSION = '2026-07-28';
export type McpEra = 'legacy' | 'modern';

/** Codes that 2026-07-28 has for what goes wrong before a method is run (`basic/index`, error codes). */
export const MODERN_CODES = { headerMismatch: -32_020, missingCapability: -32_021, unsupportedVersion: -32_022 } as const;

/** What every message brings along. */
interface Carried {
  /** The raw session token of `_meta`, unverified. */
  readonly session: string | undefined;
  /** The raw `Mcp-Session-Id`, unverified; `undefined` in the modern era, where it means nothing. */
  readonly mcpSession: string | undefined;
}

/** One message of an agent, or what it asks of its MCP session by the HTTP method alone. */
export type McpAsk = Carried &
  (
    | { readonly kind: 'initialize'; readonly id: RpcId; readonly version: McpVersion }
    | { readonly kind: 'discover'; readonly id: RpcId }
    | { readonly kind: 'ping'; readonly id: RpcId }
    | { readonly kind: 'list_tools'; readonly id: RpcId; readonly era: McpEra }
    | {
        readonly kind: 'call_tool';
        readonly id: RpcId;
        readonly era: McpEra;
        /** As sent: the local name, perhaps of no tool. */
        readonly tool: string;
        readonly arguments: Judged;
        readonly meta: CallMeta;
      }
    /** Accepted with 202 and not answered; `cancels` is the request that the agent no longer waits for. */
    | { readonly kind: 'notification'; readonly method: string; readonly cancels: RpcId | undefined }
    /** GET: a stream of what the server has to say by itself. */
    | { readonly kind: 'open_stream' }
    /** DELETE. */
    | { readonly kind: 'end_session' }
  );

/** Whom a refusal must answer, read from whatever came, however wrong the rest of it is. */
export interface McpReplyTo {
  /** `undefined`: nothing to answer to, so the refusal is plain HTTP. */
  readonly id: RpcId | undefined;
  /** The tool's name as sent, where the message is a tool call. */
  readonly tool: string | undefined;
  readonly era: McpEra;
}

export const TOOL_NAME_CHARS_MAX = 256;

/** The transport obliges clients to accept both forms, and which one an answer takes is not known yet. */
export function acceptProblem(headers: HeaderLookup): Failed | undefined {
  const accept = headers.get('accept');
  const isBoth = accepts(accept, 'application/json') && accepts(accept, 'text/event-stream');
  return isBoth ? undefined : malformed('`Accept` must name application/json and text/event-stream');
}

/** `tools/list`: listings are whole, so that a cursor can only come from somewhere else (pagination: -32602). */
export function cursorProblem(params: Judged | undefined): Failed | undefined {
  if (params?.at('cursor') === undefined) return undefined;
  return fail(deny('schema_violation', 'mcp: no cursor was given out', { fields: ['cursor'] }));
}

/** Name and arguments of a `tools/call` whose params hold no other member than `known`. Absent arguments are `{}`. */
export function readNamed(
  params: Judged | undefined,
  known: ReadonlySet<string>,
): Result<{ readonly tool: string; readonly arguments: Judged }, Denial> {
  const members = membersOf(params) ?? {};
  const unknown = Object.keys(members).find((key) => !known.has(key));
  if (unknown !== undefined) return malformed(`\`${unknown.slice(0, 64)}\` is not a member of a tool call`);
  const { name } = members;
  if (typeof name !== 'string' || name === '' || name.length > TOOL_NAME_CHARS_MAX) return malformed('`name` is not a tool name');
  const given = params?.at('arguments');
  if (given !== undefined && membersOf(given) === undefined) return malformed('`arguments` is not an object');
  return ok({ tool: name, arguments: given ?? noArguments() });
}

/** Nothing of this method is served. */
export function unserved(method: string): Failed {
  return fail(deny('method_not_allowed', `mcp: \`${method.slice(0, 64)}\` is not served`));
}

export function malformed(detail: string): Failed {
  return fail(deny('malformed_request', `mcp: ${detail}`));
}

/** A refusal, whatever a reader would have given. */
export interface Failed {
  readonly ok: false;
  readonly error: Denial;
}
