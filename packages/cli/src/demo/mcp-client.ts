/**
 * As much of an MCP client (2025-11-25) as a scripted agent needs: the handshake, the list, a call. What is said here is
 * what any client says; nothing in it knows that there is a gateway.
 */

import { Fault } from '@sallyport/model';
import { ask } from '../local-http.ts';

/** What an agent can see of an answer. */
export interface Answered {
  readonly isAllowed: boolean;
  /** Of the denial; `ok` for an allowed call that worked, else what failed. */
  readonly code: string;
  /** Over plain HTTP; 200 over MCP. */
  readonly status: number;
  readonly text: string;
}

export interface McpClient {
  listTools(): Promise<readonly string[]>;
  callTool(name: string, args: Readonly<Record<string, unknown>>): Promise<Answered>;
  close(): Promise<void>;
}

export interface McpTarget {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** As much of a tool's result as the demo reads. */
export interface ToolResult {
  readonly _meta?: { readonly 'dev.sallyport/denial'?: { readonly code: string } };
  readonly isError?: boolean;
  readonly content: readonly { readonly text?: string }[];
}

/** What an agent makes of an answer that the tool does not exist. */
export const UNKNOWN_TOOL = 'unknown tool';
const PROTOCOL_VERSION = '2025-11-25';

export async function connectMcp(target: McpTarget): Promise<McpClient> {
  // Owner: `request`.
  let lastId = 0;
  const send = async (message: object, headers: Readonly<Record<string, string>>): Promise<Awaited<ReturnType<typeof ask>>> =>
    ask({
      target: { host: '127.0.0.1', port: target.port },
      method: 'POST',
      path: target.path,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...target.headers, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      signal: target.signal,
    });
  const spoken = { 'mcp-protocol-version': PROTOCOL_VERSION };
  const request = async (method: string, params: object, headers: Readonly<Record<string, string>> = spoken): Promise<Reply> => {
    lastId += 1;
    return replyOf(await send({ id: lastId, method, params }, headers));
  };

  const greeting = { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: { name: 'demo-agent', version: '1.0.0' } };
  const { error } = await request('initialize', greeting, {});
  if (error !== undefined) throw new Fault('upstream_protocol', 'upstream', `no MCP session: ${error.message}`);
  await send({ method: 'notifications/initialized' }, spoken);
  return {
    async listTools() {
      const { result } = await request('tools/list', {});
      const { tools = [] } = (result ?? {}) as { readonly tools?: readonly { readonly name: string }[] };
      return tools.map(({ name }) => name);
    },
    async callTool(name, args) {
      const { result, error: refused } = await request('tools/call', { name, arguments: args });
      // A tool that is hidden from the agent is answered as one that does not exist, by a JSON-RPC error.
      if (refused !== undefined) return { isAllowed: false, code: UNKNOWN_TOOL, status: 200, text: refused.message };
      return answeredBy(result as ToolResult);
    },
    close: () => Promise.resolve(),
  };
}

/** What a tool's result says, a denial among them. */
export function answeredBy({ _meta: meta, isError, content }: ToolResult): Answered {
  const text = content.map((block) => block.text ?? '').join('');
  const denial = meta?.['dev.sallyport/denial'];
  if (denial !== undefined) return { isAllowed: false, code: denial.code, status: 200, text };
  return { isAllowed: true, code: isError === true ? 'tool_error' : 'ok', status: 200, text };
}

interface Reply {
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** The answer as one JSON body, or as the last event of a stream. */
function replyOf({ status, headers, body }: Awaited<ReturnType<typeof ask>>): Reply {
  const isStream = headers['content-type']?.startsWith('text/event-stream') === true;
  const text = isStream ? (/^data: ?(.*)$/gm.exec(body.slice(Math.max(0, body.lastIndexOf('data:'))))?.[1] ?? '') : body;
  try {
    return JSON.parse(text) as Reply;
  } catch (cause) {
    throw new Fault('upstream_protocol', 'upstream', `no JSON-RPC answer: ${status} ${body.slice(0, 200)}`, { cause });
  }
}
