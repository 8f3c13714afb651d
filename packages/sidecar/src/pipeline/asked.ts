/** What an ask says of its tool call, whichever dialect it came in. */

import type { McpAsk, ToolAsk } from '@sallyport/dialects';
import { Bug } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';

/** The one thing a body asks for, in its dialect's own terms. */
export type Ask =
  | { readonly dialect: 'http-tool'; readonly call: ToolAsk }
  | { readonly dialect: 'mcp'; readonly message: McpAsk }
  | { readonly dialect: 'session' };

/** The tool as named by the caller and its raw arguments. For an ask that is no tool call it is a bug. */
export function askedCall(ask: Ask): { readonly tool: string; readonly arguments: Judged } {
  if (ask.dialect === 'http-tool') return ask.call;
  if (ask.dialect === 'mcp' && ask.message.kind === 'call_tool') return ask.message;
  throw new Bug('only a tool call names a tool');
}

/** The record's `action`: what was asked, in one word or two. */
export function actionOf(ask: Ask): string {
  if (ask.dialect === 'session') return 'session/open';
  if (ask.dialect === 'http-tool') return 'tools/call';
  switch (ask.message.kind) {
    case 'call_tool':
      return 'tools/call';
    case 'list_tools':
      return 'tools/list';
    case 'notification':
      return ask.message.method;
    case 'initialize':
    case 'ping':
      return ask.message.kind;
  }
}
