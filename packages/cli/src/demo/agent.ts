/**
 * A scripted agent. It knows two things: the address of its sidecar and the token of its operator. What was decided it
 * reads off the answer, like any agent; which rule decided it is never told, so that the demo asks the sidecar's
 * administration socket.
 */

import { Fault } from '@sallyport/model';
import { ask } from '../local-http.ts';
import { connectMcp } from './mcp-client.ts';
import type { Answered, McpClient, McpTarget } from './mcp-client.ts';

export interface AgentOptions {
  readonly port: number;
  readonly signal: AbortSignal;
  /** The MCP client that it speaks with; one of the demo's own unless given. */
  readonly connect?: (target: McpTarget) => Promise<McpClient>;
}

export interface Session {
  readonly id: string;
  readonly token: string;
}

export interface CallOptions {
  /** `undefined` for a call by somebody who has none. */
  readonly session: Session | undefined;
}

export type Arguments = Readonly<Record<string, unknown>>;

export interface Agent {
  /** Opens a session for the operator whose token this is; what the answer says where there is none. */
  open(operatorToken: string): Promise<Session | Answered>;
  /** `POST /tools/<server>/invoke`, the tool's name beside its arguments. */
  invoke(server: string, call: { readonly tool: string; readonly args: Arguments }, options: CallOptions): Promise<Answered>;
  /** `GET` of the server's own API, by its own path below `/http/<server>`. */
  get(server: string, path: string, options: CallOptions): Promise<Answered>;
  /** The MCP client for a server in a session, connected on first use. */
  mcp(server: string, session: Session): Promise<McpClient>;
  /** Ends what MCP clients hold open. */
  close(): Promise<void>;
}

const SESSION_HEADER = 'Sallyport-Session';

export function createAgent({ port, signal, connect = connectMcp }: AgentOptions): Agent {
  // Owner: this agent. MCP clients by session and server, opened on first use.
  const clients = new Map<string, McpClient>();
  const target = { host: '127.0.0.1', port } as const;
  const post = async (path: string, body: object, headers: Readonly<Record<string, string>>): Promise<Awaited<ReturnType<typeof ask>>> =>
    ask({
      target,
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal,
    });

  return {
    async open(operatorToken) {
      const answer = await post('/session', {}, { authorization: `Bearer ${operatorToken}` });
      const { session_id: id, token } = read(answer.body);
      return answer.status === 201 && typeof token === 'string' && typeof id === 'string' ? { id, token } : answeredWith(answer);
    },
    async invoke(server, { tool, args }, { session }) {
      const headers = session === undefined ? {} : { [SESSION_HEADER]: session.token };
      return answeredWith(await post(`/tools/${server}/invoke`, { tool, ...args }, headers));
    },
    async get(server, path, { session }) {
      const headers = session === undefined ? {} : { [SESSION_HEADER]: session.token };
      return answeredWith(await ask({ target, path: `/http/${server}${path}`, headers, signal }));
    },
    async mcp(server, session) {
      const key = `${session.id} ${server}`;
      const known = clients.get(key);
      if (known !== undefined) return known;
      const client = await connect({ port, path: `/mcp/${server}`, headers: { [SESSION_HEADER]: session.token }, signal });
      clients.set(key, client);
      return client;
    },
    async close() {
      for (const client of clients.values()) await client.close();
      clients.clear();
    },
  };
}

/** A session, or a Fault that says why there is none. */
export function sessionOf(opened: Session | Answered): Session {
  if ('token' in opened) return opened;
  throw new Fault('upstream_protocol', 'upstream', `no session: ${opened.status} ${opened.text.slice(0, 200)}`);
}

function answeredWith({ status, body }: Awaited<ReturnType<typeof ask>>): Answered {
  const { code } = read(body);
  const isAllowed = status < 300;
  return { isAllowed, code: isAllowed ? 'ok' : typeof code === 'string' ? code : `status ${status}`, status, text: body.trim() };
}

function read(body: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON: then it holds no member that we look for.
    return {};
  }
}
