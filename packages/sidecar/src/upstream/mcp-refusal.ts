/**
 * A call that an MCP server refused by its status: what the refusal says, whether the call may have been seen, and whether
 * the server is still what it was taken for. docs/spec/mcp.md, section 6.
 */

import {
  MODERN_CODES,
  peekId,
  readUpstreamMessage,
  readUpstreamRefusal,
  REFUSAL_BYTES_MAX,
  toolOutcome,
  type McpEra,
  type RpcId,
  type UpstreamMessage,
} from '@sallyport/dialects';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { BytesAccount } from '@sallyport/runtime';
import { judge } from '@sallyport/strict';
import { readAnswer } from './answer-body.ts';

export interface Refusal {
  readonly status: number;
  /** Of an error that a server of the modern era gives before it runs anything. */
  readonly code: number | undefined;
  /** The server answered this very call: an answer like any other, under another status. */
  readonly error: Extract<UpstreamMessage, { kind: 'error' }> | undefined;
}

/** With which a server answers what it does not know how to read. */
const WRONG_ERA: ReadonlySet<number> = new Set([400, 404, 405]);

const EXPLAINED: Readonly<Record<number, string>> = {
  [MODERN_CODES.headerMismatch]: 'it wants other headers than the pinned schema names',
  [MODERN_CODES.missingCapability]: 'it wants a capability that was not offered to it',
  [MODERN_CODES.unsupportedVersion]: 'it speaks another revision',
};

/** Reads a refusal, bounded, and lets go of the answer. What cannot be read says nothing. */
export async function readRefusal(
  answer: UpstreamAnswer,
  { id, era, account }: { id: RpcId; era: McpEra; account: BytesAccount },
): Promise<Refusal> {
  const { status } = answer;
  const silent: Refusal = { status, code: undefined, error: undefined };
  if (!WRONG_ERA.has(status)) {
    answer.discard();
    return silent;
  }
  try {
    const held = await readAnswer(answer, { account, bytesMax: REFUSAL_BYTES_MAX });
    const error = era === 'modern' && status === 400 ? ownError(held.bytes, id) : undefined;
    held.release();
    return { status, code: readUpstreamRefusal(held.bytes), error };
  } catch (thrown) {
    if (!(thrown instanceof UpstreamFault)) throw thrown;
    answer.discard();
    return silent;
  }
}

/** An error for exactly this call, by its id, that is not about what lies between us and the server. */
function ownError(bytes: Uint8Array, id: RpcId): Refusal['error'] {
  const judged = judge(bytes);
  if (!judged.ok || peekId(judged.value) !== id) return undefined;
  const read = readUpstreamMessage(bytes, id, { bytesMax: REFUSAL_BYTES_MAX });
  return read.ok && read.value.kind === 'error' && toolOutcome(read.value).ok ? read.value : undefined;
}

/** For the record: status, kind of answer, and what its code means. */
export function describeRefusal({ status, code }: Refusal, kind: string): string {
  return `${status} (${kind}${code === undefined ? '' : `, ${EXPLAINED[code] ?? code}`})`;
}

/** Whether the server may be of another era than it was taken for, or have forgotten us. */
export function isContradiction({ status, code }: Refusal, era: McpEra): boolean {
  const isAboutThisCall = era === 'modern' && code !== undefined && code !== MODERN_CODES.unsupportedVersion;
  return WRONG_ERA.has(status) && !isAboutThisCall;
}

/**
 * Whether a call so refused may go out again. 404 under a session id means a forgotten session, and a code of the modern
 * era's that nothing was run. Some servers say 400 where they mean 404 (the MCP SDK's own examples): it may mean anything
 * else as well, so that only a read is repeated, and only where it was sent in the modern era.
 */
export function isUnseen(refusal: Refusal, call: { era: McpEra; isSessionOver: boolean; isRead: boolean }): boolean {
  if (!isContradiction(refusal, call.era)) return false;
  return call.isSessionOver || refusal.code !== undefined || (call.era === 'modern' && call.isRead);
}
