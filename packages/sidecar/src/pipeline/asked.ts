/** What an ask says of its tool call, whichever dialect it came in. */

import type { AgentAsk, MappedAsk, McpAsk, ToolAsk } from '@sallyport/dialects';
import { Bug } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';

/** The one thing a body asks for, in its dialect's own terms. */
export type Ask =
  | { readonly dialect: 'http-tool'; readonly call: ToolAsk }
  /** By method and path of the tool's own API. */
  | { readonly dialect: 'http-tool'; readonly mapped: MappedAsk }
  | { readonly dialect: 'mcp'; readonly message: McpAsk }
  | { readonly dialect: 'agent'; readonly request: AgentAsk }
  | { readonly dialect: 'session'; readonly closes: boolean };

/** The tool as named by the caller and its raw arguments. For an ask that names no tool by itself it is a bug. */
export function askedCall(ask: Ask): { readonly tool: string; readonly arguments: Judged } {
  if ('call' in ask) return ask.call;
  if (ask.dialect === 'mcp' && ask.message.kind === 'call_tool') return ask.message;
  throw new Bug('only a tool call names a tool');
}

/** The tool's own half of its name, as named or as its path says; `undefined` where no route fits. A bug as above. */
export function askedTool(ask: Ask): string | undefined {
  return 'mapped' in ask ? ask.mapped.tool : askedCall(ask).tool;
}

/** The record's `action`: what was asked, in one word or two. */
export function actionOf(ask: Ask): string {
  if (ask.dialect === 'session') return ask.closes ? 'session/close' : 'session/open';
  if (ask.dialect === 'agent') return ask.request.route.isInvoke ? 'agent/invoke' : `agent/${ask.request.route.method.toLowerCase()}`;
  if (ask.dialect === 'http-tool') return 'tools/call';
  switch (ask.message.kind) {
    case 'call_tool':
      return 'tools/call';
    case 'list_tools':
      return 'tools/list';
    case 'notification':
      return ask.message.method;
    case 'discover':
      return 'server/discover';
    case 'open_stream':
      return 'stream/open';
    case 'end_session':
      return 'session/end';
    case 'initialize':
    case 'ping':
      return ask.message.kind;
  }
}
