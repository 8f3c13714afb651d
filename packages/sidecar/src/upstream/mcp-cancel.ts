/**
 * Telling a server of the legacy era that a call is no longer wanted: closing the connection says nothing there (2025-11-25,
 * transports). In the modern era closing it is all that there is to say, and has been done.
 */

import { upstreamCancel, type RpcId } from '@sallyport/dialects';
import type { Fault } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { ForwardOptions } from './forward-options.ts';
import type { McpConnection } from './mcp-connections.ts';
import { postMessage } from './mcp-exchange.ts';

const CANCEL_MS_MAX = 2_000;

/** Says so, once, without waiting. Whether the server heeds it is its own affair; the call's record says `cut` in any case. */
export function tellCancelled(connection: McpConnection, id: RpcId, options: ForwardOptions): void {
  if (connection.session.era === 'modern') return;
  const fault = (): Fault => new UpstreamFault('upstream_timeout', 'no answer to a cancelling', { wasSent: true });
  const limit = deadline(options.clock, CANCEL_MS_MAX, { fault });
  postMessage(connection, upstreamCancel(id), { options, signal: limit.signal })
    .then((answer) => answer.discard())
    .catch(() => {
      // The server is gone, or does not listen: there is nobody to tell.
    })
    .finally(() => limit.clear());
}
