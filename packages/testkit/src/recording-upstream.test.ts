import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { describe, expect, it } from 'vitest';
import { recordingMcpUpstream, recordingUpstream } from './recording-upstream.ts';

describe('the recording upstream', () => {
  it('records what reached it and answers by script', async () => {
    const upstream = await recordingUpstream({ kind: 'json', status: 500, body: { error: 'x' } });
    const answer = await fetch(`${upstream.url}/orders?q=1`, { method: 'POST', headers: { 'X-One': '1' }, body: '{"a":1}' });
    expect(answer.status).toBe(500);
    expect(upstream.requests).toMatchObject([{ method: 'POST', target: '/orders?q=1', body: '{"a":1}', headers: { 'x-one': '1' } }]);
    expect(upstream.requests[0]?.rawHeaders).toContain('X-One');
    await upstream.close();
  });

  it('breaks off, redirects, and floods when told to', async () => {
    const upstream = await recordingUpstream({ kind: 'close_mid_body' });
    await expect(fetch(upstream.url).then((response) => response.text())).rejects.toThrow();
    upstream.answer({ kind: 'close' });
    await expect(fetch(upstream.url)).rejects.toThrow();
    upstream.answer({ kind: 'redirect', location: 'http://127.0.0.1:9/' });
    expect((await fetch(upstream.url, { redirect: 'manual' })).status).toBe(302);
    upstream.answer({ kind: 'oversize', bytes: 100_000 });
    expect((await (await fetch(upstream.url)).text()).length).toBe(100_000);
    await upstream.close();
  });

  it('hangs until the caller leaves', async () => {
    const upstream = await recordingUpstream({ kind: 'hang' });
    const caller = new AbortController();
    const pending = fetch(upstream.url, { signal: caller.signal });
    await upstream.arrived(1);
    caller.abort();
    await expect(pending).rejects.toThrow('abort');
    await upstream.close();
  });

  it.each(['json', 'events'] as const)('is an MCP server to the official client, answering in %s', async (form) => {
    const upstream = await recordingMcpUpstream({
      form,
      sessionId: 'session-1',
      before: (_, progressToken) => [{ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } }],
      call: ({ name }) => ({ result: { content: [{ type: 'text', text: name }] } }),
    });
    const client = new Client({ name: 'agent', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(upstream.mcpUrl)));
    const seen: number[] = [];
    const result = await client.callTool({ name: 'echo', arguments: { a: 1 } }, undefined, {
      onprogress: ({ progress }) => seen.push(progress),
    });
    expect(result).toEqual({ content: [{ type: 'text', text: 'echo' }] });
    expect(seen).toEqual(form === 'events' ? [1] : []);
    expect(upstream.calls).toMatchObject([{ name: 'echo', arguments: { a: 1 } }]);
    await client.close();
    await upstream.close();
  });
});
