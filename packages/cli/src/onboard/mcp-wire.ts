/**
 * The way to an MCP server, as far as asking for its tools needs one: messages out, messages in, whatever carries them.
 * The server is not trusted: every answer is bounded, and what goes wrong is one sentence without its words.
 */

import type { RpcId, UpstreamMessage, UpstreamSession } from '@sallyport/dialects';
import { Fault } from '@sallyport/model';

/** What a message goes out with. */
export interface WireHead {
  readonly method: string;
  /** As the handshake left it; none before it. */
  readonly session: UpstreamSession | undefined;
}

/** What an answer came with. */
export interface WireAnswer {
  readonly message: UpstreamMessage;
  /** `Mcp-Session-Id`, where the server gave one. */
  readonly sessionId: string | undefined;
}

export interface McpWire {
  /** Where the server is, for messages. */
  readonly name: string;
  /** Sends a request and waits for its answer. Rejects with a Fault. */
  ask(id: RpcId, message: Uint8Array, head: WireHead): Promise<WireAnswer>;
  /** Sends what has no answer. */
  tell(message: Uint8Array, head: WireHead): Promise<void>;
  /** Says goodbye, and lets go of connection or process. Never rejects. */
  close(session: UpstreamSession | undefined): Promise<void>;
}

/** Bytes of one answer, and of one event of a stream. */
export const ANSWER_BYTES_MAX = 4_194_304;
/** Messages of a server beside the answer that is waited for. */
export const ASIDES_MAX = 1_000;

/** A server that speaks, and not as it should. `mayBeRevision`: with another revision of the protocol it may do better. */
export class ServerFault extends Fault {
  readonly remedy: string | undefined;
  readonly mayBeRevision: boolean;

  constructor(message: string, more: { readonly remedy?: string; readonly mayBeRevision?: boolean; readonly cause?: unknown } = {}) {
    super('upstream_protocol', 'upstream', message, { cause: more.cause });
    this.remedy = more.remedy;
    this.mayBeRevision = more.mayBeRevision ?? false;
  }
}
