/** How long the first message of a tool's stream takes to reach whoever asked, over a kept-alive connection, one call at a time. */

import { Agent, request } from 'node:http';
import { STREAMED_TOOL } from './policy.ts';

/** Sorted milliseconds from asking to the first message. */
export async function firstMessageMs(
  { port, path, headers }: { port: number; path: string; headers: Readonly<Record<string, string>> },
  calls: number,
): Promise<readonly number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let id = 1; id <= calls; id++) times.push(await firstMessage({ agent, port, path, headers, id }));
  agent.destroy();
  return times.toSorted((a, b) => a - b);
}

function firstMessage(of: {
  agent: Agent;
  port: number;
  path: string;
  headers: Readonly<Record<string, string>>;
  id: number;
}): Promise<number> {
  const { agent, port, path, id } = of;
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: STREAMED_TOOL, arguments: { account: 'A-4711' }, _meta: { progressToken: `p-${id}` } },
  });
  const headers = {
    ...of.headers,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const askedAt = performance.now();
    const asked = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
      let said = '';
      let first: number | undefined;
      answer.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('notifications/progress')) first ??= performance.now() - askedAt;
      });
      answer.on('end', () => {
        if (first !== undefined && said.includes('"result"')) resolve(first);
        else reject(new Error(`${path} answered ${answer.statusCode} ${said}`));
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
