/**
 * A tool of an MCP server, called over plain HTTP: forwarded as any MCP call is, and answered with the result alone, as
 * JSON. What an MCP client would hear besides (progress, requests of the server's) reaches nobody.
 */

import { mcpCallOf, resultBytesOf, type ToolAsk } from '@sallyport/dialects';
import { UpstreamFault } from '@sallyport/net';
import { answerWith, type Answer, type AnswerUnit } from '../pipeline/gate.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import type { Outgoing } from './forward-options.ts';
import type { McpUpstream } from './mcp-upstream.ts';

/** Sends the call. A JSON-RPC error, which is no result, is an `UpstreamFault` of the answer. */
export async function forwardMcpOverHttp(
  mcp: McpUpstream,
  outgoing: Outgoing,
  { context, call }: { context: ForwardContext; call: ToolAsk },
): Promise<Answer | UpstreamFailure> {
  const answer = await mcp.forward(outgoing, context, mcpCallOf(call));
  if ('failure' in answer) return answer;
  const units = results(answer);
  return answerWith(answer, {
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    delivery: 'whole',
    units,
    async close() {
      await units.return();
      await answer.close();
    },
  });
}

async function* results({ units }: Answer): AsyncGenerator<AnswerUnit, void, void> {
  for await (const { bytes, isLast, ...unit } of units) {
    if (!isLast) continue;
    const result = resultBytesOf(bytes);
    if (result === undefined) throw new UpstreamFault('upstream_protocol', 'a JSON-RPC error', { wasSent: true });
    yield { ...unit, bytes: result, isLast: true };
  }
}
