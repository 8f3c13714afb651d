/**
 * The way out. Takes a permit, which only the pipeline makes, and sends exactly what it names: that tool, those judged
 * arguments, to the declared destination. Nothing that the caller sent travels along but a valid trace context.
 */

import { deny, type SessionId } from '@sallyport/model';
import type { McpBinding, Upstream } from '../pipeline/ports.ts';
import type { ForwardOptions } from './forward-options.ts';
import { forwardHttpTool } from './http-tool.ts';
import { forwardMcpOverHttp } from './mcp-over-http.ts';
import { mcpUpstream } from './mcp-upstream.ts';

export interface ForwardUpstream extends Upstream {
  /** Ends the upstream session of this pair, once no call uses it. */
  release(binding: McpBinding): void;
  /** Ends the upstream sessions that a session opened. */
  forgetSession(session: SessionId): void;
  /** Ends all of them; for the drain. */
  close(): Promise<void>;
}

/** The one implementation of `Upstream`. */
export function forwardUpstream(options: ForwardOptions): ForwardUpstream {
  const mcp = mcpUpstream(options);
  return {
    async forward(permit, context) {
      const permitted = permit.take();
      const { ask } = context;
      if (ask.dialect === 'mcp' && ask.message.kind === 'call_tool') return mcp.forward(permitted, context, ask.message);
      if ('call' in ask && permitted.server.kind === 'mcp') return forwardMcpOverHttp(mcp, permitted, { context, call: ask.call });
      if (ask.dialect === 'http-tool') return forwardHttpTool(permitted, context, options);
      return { failure: deny('internal', `a permit for ${ask.dialect} that forwards nothing`), result: 'denied', wasSent: false };
    },
    release: (binding) => mcp.release(binding),
    forgetSession: (session) => mcp.forgetSession(session),
    close: () => mcp.close(),
  };
}
