/**
 * Which era a server speaks, asked once for each place where a server is: only a server of the modern one answers
 * `server/discover`. What is known is forgotten as soon as the server contradicts it. docs/spec/mcp.md, section 6.
 */

import { DISCOVER_HEADERS, readUpstreamDiscover, upstreamDiscover, type McpEra } from '@sallyport/dialects';
import type { Fault, ServerName } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { ForwardOptions } from './forward-options.ts';
import { clientInfoOf, messagesOf, postMessage, type McpPeer } from './mcp-exchange.ts';

export interface McpEras {
  known(server: ServerName, place: string): McpEra | undefined;
  learn(server: ServerName, known: { readonly place: string; readonly era: McpEra }): void;
  forget(server: ServerName): void;
}

export function mcpEras(): McpEras {
  // Owner: this object. One entry for each server of the bundles there were.
  const eras = new Map<ServerName, { readonly place: string; readonly era: McpEra }>();
  return {
    known(server, place) {
      const entry = eras.get(server);
      return entry?.place === place ? entry.era : undefined;
    },
    learn: (server, known) => void eras.set(server, known),
    forget: (server) => void eras.delete(server),
  };
}

/** A server that knows nothing of the question may leave it unanswered; then half of the time is left for the handshake. */
const PROBE_MS_MAX = 5_000;
const PROBE_ID = 'discover';

/**
 * Asks. Whatever is no proof of the modern era is `legacy`, and a handshake will tell; rejects with an `UpstreamFault`
 * where the server cannot be spoken to at all.
 */
export async function probeEra(
  peer: McpPeer,
  { options, assertion, abandoned }: { options: ForwardOptions; assertion: string; abandoned: AbortSignal },
): Promise<McpEra> {
  const fault = (): Fault => new UpstreamFault('upstream_timeout', '`server/discover` took too long', { wasSent: false });
  const limit = deadline(options.clock, Math.min(PROBE_MS_MAX, options.limits.handshakeMsMax / 2), { fault, signal: abandoned });
  try {
    return await discovered(peer, { options, assertion, signal: limit.signal });
  } catch (thrown) {
    // A server that was reached and did not answer, broke off or answered nonsense may still shake hands.
    if (thrown instanceof UpstreamFault && thrown.wasSent && !abandoned.aborted) return 'legacy';
    if (limit.signal.aborted && !abandoned.aborted) throw fault();
    throw thrown;
  } finally {
    limit.clear();
  }
}

async function discovered(peer: McpPeer, post: { options: ForwardOptions; assertion: string; signal: AbortSignal }): Promise<McpEra> {
  const { options } = post;
  const modern: McpPeer = { ...peer, session: { era: 'modern' } };
  const body = upstreamDiscover(PROBE_ID, clientInfoOf(options));
  const answer = await postMessage(modern, body, { ...post, headers: DISCOVER_HEADERS });
  if (answer.status !== 200) {
    answer.discard();
    return 'legacy';
  }
  for await (const message of messagesOf(answer, PROBE_ID, options)) {
    if (message.kind === 'result' || message.kind === 'error') return readUpstreamDiscover(message);
  }
  return 'legacy';
}
