/**
 * The MCP sessions that clients of the legacy era opened by a handshake. One is a name inside a Sallyport session and
 * nothing more: whoever presents it has proved who they are already, and it opens nothing by itself. docs/spec/mcp.md,
 * section 4.
 */

import { encodeHex } from '@sallyport/crypto';
import type { Random, SessionId } from '@sallyport/model';
import type { McpBinding, McpSessions } from '../pipeline/ports.ts';

export interface McpSessionsOptions {
  readonly random: Random;
  /** Of one Sallyport session; for one more, the one that was used longest ago is ended (its client begins anew). */
  readonly perSessionMax: number;
  /** Told when a client has ended the last session of a binding, so that what stands behind it can be let go. */
  readonly onLast: (binding: McpBinding) => void;
}

export interface SweptMcpSessions extends McpSessions {
  /** The Sallyport session is over. */
  forgetSession(session: SessionId): void;
  readonly size: number;
}

export function mcpSessions({ random, perSessionMax, onLast }: McpSessionsOptions): SweptMcpSessions {
  // Owner: these sessions. By Sallyport session, then id to server; the latest used is the last.
  const bySession = new Map<SessionId, Map<string, McpBinding['server']>>();
  return {
    get size() {
      return [...bySession.values()].reduce((sum, { size }) => sum + size, 0);
    },
    open({ session, server }) {
      const open = bySession.get(session) ?? new Map<string, McpBinding['server']>();
      bySession.set(session, open);
      const [oldest] = open.keys();
      if (open.size >= perSessionMax && oldest !== undefined) open.delete(oldest);
      const id = encodeHex(random(16));
      open.set(id, server);
      return id;
    },
    has(id, { session, server }) {
      const open = bySession.get(session);
      if (open?.get(id) !== server) return false;
      open.delete(id);
      open.set(id, server);
      return true;
    },
    end(id, { session, server }) {
      const open = bySession.get(session);
      if (open?.get(id) !== server) return;
      open.delete(id);
      if (![...open.values()].includes(server)) onLast({ session, server });
    },
    forgetSession: (session) => void bySession.delete(session),
  };
}
