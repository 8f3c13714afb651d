/** The one thing a body asked for, whatever its dialect. */

import type { ToolAsk } from './ask.ts';
import type { McpAsk } from './mcp.ts';

export type Ask =
  | { readonly dialect: 'http-tool'; readonly call: ToolAsk }
  | { readonly dialect: 'mcp'; readonly message: McpAsk }
  | { readonly dialect: 'session' };
