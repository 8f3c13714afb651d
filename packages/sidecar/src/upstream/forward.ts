/**
 * The way out. Takes a permit, which only the pipeline makes, and sends exactly what it names: that tool, those judged
 * arguments, to the declared destination. Nothing that the caller sent travels along but a valid trace context; what the
 * policy says is sent along comes from the room of secrets, which answers before anything goes out; beside it goes an
 * assertion of who acts for whom.
 */

import { deny, type Denial, type SessionId } from '@sallyport/model';
import type { Answer } from '../pipeline/gate.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { ForwardContext, McpBinding, Upstream, UpstreamFailure } from '../pipeline/ports.ts';
import { NOTHING_CARRIED } from '../secrets/credentials.ts';
import type { ForwardOptions } from './forward-options.ts';
import { forwardToAgent } from './agent.ts';
import { forwardHttpTool } from './http-tool.ts';
import { forwardMcpOverHttp } from './mcp-over-http.ts';
import { mcpUpstream } from './mcp-upstream.ts';
import { Unsendable, type SignRequest } from './request-signing.ts';

export interface ForwardUpstream extends Upstream {
  /** Ends the upstream session of this pair, once no call uses it. */
  release(binding: McpBinding): void;
  /** Ends the upstream sessions that a session opened, and lets go of its assertions. */
  forgetSession(session: SessionId): void;
  /** Ends all of them; for the drain. */
  close(): Promise<void>;
}

/** The one implementation of `Upstream`. */
export function forwardUpstream(options: ForwardOptions): ForwardUpstream {
  const mcp = mcpUpstream(options);
  const forwarded = async (permitted: Permitted, context: ForwardContext): Promise<Answer | UpstreamFailure> => {
    const { ask } = context;
    const carried = options.credentials.of(permitted.credentials);
    const missing = carried === NOTHING_CARRIED ? undefined : await carried.ready();
    if (missing !== undefined) return unsent(missing);
    const unshown = permitted.destination.tls === undefined ? undefined : await options.serverTls.ready(permitted.destination);
    if (unshown !== undefined) return unsent(unshown);
    const made = options.assertions.of(permitted, context.session);
    const assertion = typeof made === 'string' ? made : await made;
    if (typeof assertion !== 'string') return unsent(assertion);
    if (permitted.request !== undefined) return forwardToAgent(permitted.request, assertion, { context, options });
    const outgoing = { permitted, carried, assertion, sign: signOf(permitted, assertion, context) };
    if (ask.dialect === 'mcp' && ask.message.kind === 'call_tool') return mcp.forward(outgoing, context, ask.message);
    if ('call' in ask && permitted.server.kind === 'mcp') return forwardMcpOverHttp(mcp, outgoing, { context, call: ask.call });
    if (ask.dialect === 'http-tool') return forwardHttpTool(outgoing, context, options);
    return unsent(deny('internal', `a permit for ${ask.dialect} that forwards nothing`));
  };
  const signOf = ({ tool, destination }: Permitted, assertion: string, { evidence }: ForwardContext): SignRequest | undefined =>
    tool.signs === undefined ? undefined : options.signers.for({ destination, assertion, fields: tool.signs, evidence });
  return {
    async forward(permit, context) {
      const permitted = permit.take();
      try {
        return await forwarded(permitted, context);
      } catch (thrown) {
        if (thrown instanceof Unsendable) return unsent(thrown.denial);
        throw thrown;
      }
    },
    release: (binding) => mcp.release(binding),
    forgetSession(session) {
      mcp.forgetSession(session);
      options.assertions.forgetSession(session);
    },
    close: () => mcp.close(),
  };
}

/** `not_forwarded`: on record as decided, and the tool heard nothing. */
function unsent(failure: Denial): UpstreamFailure {
  return { failure, result: 'not_forwarded', wasSent: false };
}
