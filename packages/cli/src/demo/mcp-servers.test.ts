import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEverything, startFilesystem } from './mcp-servers.ts';
import type { RunningMcpServer } from './stdio-bridge.ts';

interface AnyClient {
  listTools(): Promise<{ tools: readonly { name: string }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<object>;
  terminate(): Promise<void>;
}

const CLIENTS = {
  v1: async (url: string): Promise<AnyClient> => {
    const transport = new TransportV1(new URL(url));
    const client = new ClientV1({ name: 'agent', version: '1' });
    await client.connect(transport);
    return {
      listTools: async () => client.listTools(),
      callTool: async (call) => client.callTool(call),
      terminate: async () => {
        await transport.terminateSession();
        await client.close();
      },
    };
  },
  v2: async (url: string): Promise<AnyClient> => {
    const transport = new TransportV2(new URL(url));
    const client = new ClientV2({ name: 'agent', version: '1' });
    await client.connect(transport);
    return {
      listTools: async () => client.listTools(),
      callTool: async (call) => client.callTool(call),
      terminate: async () => {
        await transport.terminateSession();
        await client.close();
      },
    };
  },
};

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('the real MCP servers', () => {
  let everything: RunningMcpServer;
  let filesystem: RunningMcpServer;
  let directory: string;

  beforeAll(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-fs-')));
    await writeFile(join(directory, 'a.txt'), 'hello');
    [everything, filesystem] = await Promise.all([startEverything(), startFilesystem(directory)]);
  });

  afterAll(async () => {
    await Promise.all([everything.close(), filesystem.close()]);
    await rm(directory, { recursive: true });
  });

  it.each(['v1', 'v2'] as const)('list and call tools for the official %s client', async (version) => {
    const [one, two] = await Promise.all([CLIENTS[version](everything.url), CLIENTS[version](filesystem.url)]);
    expect((await one.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect((await two.listTools()).tools.map(({ name }) => name)).toContain('read_text_file');
    expect(await one.callTool({ name: 'echo', arguments: { message: 'hi' } })).toMatchObject({ content: [{ text: 'Echo: hi' }] });
    expect(await two.callTool({ name: 'read_text_file', arguments: { path: join(directory, 'a.txt') } })).toMatchObject({
      content: [{ text: 'hello' }],
    });
    await Promise.all([one.terminate(), two.terminate()]);
  });

  it('leave no child behind: one per session, ended with it, and the rest at close', async () => {
    const own = await startFilesystem(directory);
    const [ended, kept] = await Promise.all([CLIENTS.v1(own.url), CLIENTS.v1(own.url)]);
    const pids = own.pids();
    expect(pids).toHaveLength(2);
    await ended.terminate();
    await expect.poll(() => own.pids().length).toBe(1);
    await own.close();
    expect(pids.filter(isRunning)).toEqual([]);
    await kept.terminate().catch(() => undefined);
    const other = await startEverything();
    const [pid = 0] = other.pids();
    expect(isRunning(pid)).toBe(true);
    await other.close();
    expect(isRunning(pid)).toBe(false);
  });
});
