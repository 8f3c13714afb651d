/** The official MCP client of the SDK, unmodified, as the agent of the story with real servers. */

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { UNKNOWN_TOOL, answeredBy } from '../mcp-client.ts';
import type { McpClient, McpTarget, ToolResult } from '../mcp-client.ts';

export async function connectOfficial({ port, path, headers, signal }: McpTarget): Promise<McpClient> {
  const client = new Client({ name: 'demo-agent', version: '1.0.0' });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}${path}`), { requestInit: { headers: { ...headers } } }),
  );
  return {
    async listTools() {
      const { tools } = await client.listTools();
      return tools.map(({ name }) => name);
    },
    async callTool(name, args) {
      try {
        return answeredBy((await client.callTool({ name, arguments: { ...args } }, undefined, { signal })) as ToolResult);
      } catch (error) {
        // A tool that is hidden from the agent is answered as one that does not exist, by a JSON-RPC error.
        if (error instanceof McpError) return { isAllowed: false, code: UNKNOWN_TOOL, status: 200, text: error.message };
        throw error;
      }
    },
    close: () => client.close(),
  };
}
