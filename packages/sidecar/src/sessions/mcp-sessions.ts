/**
 * The MCP sessions that clients of the legacy era opened by a handshake. One is a name that its agent gave a conversation
 * with a server, and nothing more: agents open one and serve many people over it, so each request proves by itself whose it
 * is. docs/spec/mcp.md, section 4.
 */

import { encodeHex } from '@sallyport/crypto';
import type { Random, ServerName, SessionId } from '@sallyport/model';
import type { McpBinding, McpSessions } from '../pipeline/ports.ts';

export interface McpSessionsOptions {
  readonly random: Random;
  /** For one more, the one that was used longest ago is ended (its client begins anew). */
  readonly sessionsMax: number;
  /** Told when the last of them that a session used with a server has ended, so that what stands behind it can be let go. */
  readonly onLast: (binding: McpBinding) => void;
}

export interface SweptMcpSessions extends McpSessions {
  /** The Sallyport session is over; what it used may be used by others. */
  forgetSession(session: SessionId): void;
  readonly size: number;
}

interface Entry {
  readonly server: ServerName;
  /** Whose calls have come under it. */
  readonly users: Set<SessionId>;
}

export function mcpSessions({ random, sessionsMax, onLast }: McpSessionsOptions): SweptMcpSessions {
  // Owner: these sessions. By id; the latest used is the last.
  const entries = new Map<string, Entry>();
  const end = (id: string, { server, users }: Entry): void => {
    entries.delete(id);
    for (const session of users) {
      const isUsed = [...entries.values()].some((other) => other.server === server && other.users.has(session));
      if (!isUsed) onLast({ session, server });
    }
  };
  return {
    get size() {
      return entries.size;
    },
    open({ session, server }) {
      const [oldest] = entries;
      if (entries.size >= sessionsMax && oldest !== undefined) end(...oldest);
      const id = encodeHex(random(16));
      entries.set(id, { server, users: new Set([session]) });
      return id;
    },
    has(id, { session, server }) {
      const entry = entries.get(id);
      if (entry?.server !== server) return false;
      entries.delete(id);
      entries.set(id, entry);
      entry.users.add(session);
      return true;
    },
    end(id, { server }) {
      const entry = entries.get(id);
      if (entry?.server === server) end(id, entry);
    },
    forgetSession(session) {
      for (const { users } of entries.values()) users.delete(session);
    },
  };
}
