/**
 * A scripted agent. It knows two things: the address of its sidecar and the token of its operator. MCP it speaks with the
 * official client, unmodified; to plain tools it posts JSON. What was decided it reads off the answer, like any agent;
 * which rule decided it is never told, so that the demo asks the sidecar's administration socket.
 */

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { Fault } from '@sallyport/model';
import { ask } from '../local-http.ts';

export interface AgentOptions {
  readonly port: number;
  readonly signal: AbortSignal;
}

/** What an agent can see of an answer. */
export interface Answered {
  readonly isAllowed: boolean;
  /** Of the denial; `ok` for an allowed call that worked, else what failed. */
  readonly code: string;
  /** Over plain HTTP; 200 over MCP. */
  readonly status: number;
  readonly text: string;
}

export interface Agent {
  /** Opens a session for the operator whose token this is. */
  open(operatorToken: string): Promise<void>;
  listTools(server: string): Promise<readonly string[]>;
  /** Through the official MCP client. */
  callMcp(server: string, tool: string, args: Readonly<Record<string, unknown>>): Promise<Answered>;
  /** `POST /tools/<server>/<tool>`; without its session where told so. */
  callHttp(
    server: string,
    tool: string,
    args: Readonly<Record<string, unknown>>,
    options?: { readonly withSession?: boolean },
  ): Promise<Answered>;
  /** Ends what MCP clients hold open. */
  close(): Promise<void>;
}

/** As much of a tool's result as the demo reads. */
interface ToolResult {
  readonly _meta?: { readonly 'dev.sallyport/denial'?: { readonly code: string } };
  readonly isError?: boolean;
  readonly content: readonly { readonly text?: string }[];
}

/** What an agent makes of an answer that the tool does not exist. */
export const UNKNOWN_TOOL = 'unknown tool';
const SESSION_HEADER = 'Sallyport-Session';

export function createAgent({ port, signal }: AgentOptions): Agent {
  // Owner: this agent. The session's token; MCP clients by server, opened on first use.
  let token = '';
  const clients = new Map<string, Client>();
  const post = async (path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Awaited<ReturnType<typeof ask>>> =>
    ask({
      target: { host: '127.0.0.1', port },
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body,
      signal,
    });

  const clientOf = async (server: string): Promise<Client> => {
    const known = clients.get(server);
    if (known !== undefined) return known;
    const client = new Client({ name: 'demo-agent', version: '1.0.0' });
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp/${server}`), {
      requestInit: { headers: { [SESSION_HEADER]: token } },
    });
    await client.connect(transport);
    clients.set(server, client);
    return client;
  };

  return {
    async open(operatorToken) {
      const answer = await post('/session', '{}', { authorization: `Bearer ${operatorToken}` });
      const opened = read(answer.body);
      if (answer.status !== 201 || typeof opened['token'] !== 'string')
        throw new Fault('upstream_protocol', 'upstream', `no session: ${answer.status} ${answer.body}`);
      token = opened['token'];
    },
    async listTools(server) {
      const { tools } = await (await clientOf(server)).listTools();
      return tools.map(({ name }) => name);
    },
    async callMcp(server, tool, args) {
      const client = await clientOf(server);
      try {
        const result = await client.callTool({ name: tool, arguments: { ...args } }, undefined, { signal });
        const { _meta: meta, isError, content } = result as ToolResult;
        const text = content.map((block) => block.text ?? '').join('');
        const denial = meta?.['dev.sallyport/denial'];
        if (denial !== undefined) return { isAllowed: false, code: denial.code, status: 200, text };
        return { isAllowed: true, code: isError === true ? 'tool_error' : 'ok', status: 200, text };
      } catch (error) {
        // A tool that is hidden from the agent is answered as one that does not exist, by a JSON-RPC error.
        if (error instanceof McpError) return { isAllowed: false, code: UNKNOWN_TOOL, status: 200, text: error.message };
        throw error;
      }
    },
    async callHttp(server, tool, args, { withSession = true } = {}) {
      const answer = await post(`/tools/${server}/${tool}`, JSON.stringify(args), withSession ? { [SESSION_HEADER]: token } : {});
      const code = read(answer.body)['code'];
      const isAllowed = answer.status < 300;
      return {
        isAllowed,
        code: isAllowed ? 'ok' : typeof code === 'string' ? code : `status ${answer.status}`,
        status: answer.status,
        text: answer.body,
      };
    },
    async close() {
      for (const client of clients.values()) await client.close();
      clients.clear();
    },
  };
}

function read(body: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON: then it holds no member that we look for.
    return {};
  }
}
