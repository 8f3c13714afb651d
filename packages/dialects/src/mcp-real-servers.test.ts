import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TypedArguments, compileSchema, judge } from '@sallyport/strict';
import { type RunningMcpServer, startEverything, startFilesystem } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallMeta } from './mcp-meta.ts';
import { answerFor, toolOutcome } from './mcp-results.ts';
import {
  type UpstreamMessage,
  type UpstreamSession,
  notificationFor,
  readUpstreamInitialize,
  readUpstreamMessage,
  upstreamBody,
  upstreamCall,
  upstreamHeaders,
  upstreamInitialize,
  upstreamInitialized,
} from './mcp-upstream.ts';
import { SseReader } from './sse.ts';

/** What is built and read here, against the real servers; only the sockets are not ours. */
const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

function typed(properties: object, args: object): TypedArguments {
  const schema = compileSchema({ properties } as Parameters<typeof compileSchema>[0], '');
  const judged = judge(new TextEncoder().encode(JSON.stringify(args)));
  if (!schema.ok || !judged.ok) throw new Error('a broken test');
  const validated = schema.value.validate(judged.value);
  if (!validated.ok) throw new Error(JSON.stringify(validated.error));
  return validated.value;
}

async function post(url: string, body: Uint8Array, session?: UpstreamSession): Promise<Response> {
  return fetch(url, { method: 'POST', headers: upstreamHeaders(session), body: decode(body) });
}

async function messagesOf(response: Response, id: number, session?: UpstreamSession): Promise<UpstreamMessage[]> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const read = (source: Uint8Array): UpstreamMessage => {
    const message = readUpstreamMessage(source, id);
    if (!message.ok) throw new Error(message.error.message);
    return message.value;
  };
  if (upstreamBody(response.status, response.headers.get('content-type') ?? undefined, session) === 'json') return [read(bytes)];
  const reader = new SseReader({ eventBytesMax: 1_000_000 });
  const items = reader.push(bytes);
  if (!items.ok || !reader.end().ok) throw new Error('no whole events');
  return items.value.flatMap((item) => (item.kind === 'event' && item.data.byteLength > 0 ? [read(item.data)] : []));
}

async function handshake(url: string): Promise<UpstreamSession> {
  const response = await post(url, upstreamInitialize(1, { name: 'sallyport', version: '0.1.0' }));
  const session = readUpstreamInitialize(only(await messagesOf(response, 1)), response.headers.get('mcp-session-id') ?? undefined);
  if (!session.ok) throw new Error(session.error.message);
  expect((await post(url, upstreamInitialized(), session.value)).status).toBe(202);
  return session.value;
}

describe('the real servers', () => {
  let everything: RunningMcpServer;
  let filesystem: RunningMcpServer;
  let directory: string;
  beforeAll(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-fs-')));
    await writeFile(join(directory, 'a.txt'), 'hello "é"');
    [everything, filesystem] = await Promise.all([startEverything(), startFilesystem(directory)]);
  });
  afterAll(async () => {
    await Promise.all([everything.close(), filesystem.close()]);
    await rm(directory, { recursive: true });
  });

  const call = async (
    server: RunningMcpServer,
    tool: string,
    { args, meta = { progressToken: undefined, forwarded: {} } }: { args: TypedArguments; meta?: CallMeta },
  ): Promise<UpstreamMessage[]> => {
    const session = await handshake(server.url);
    return messagesOf(await post(server.url, upstreamCall(2, { tool, arguments: args, meta }, undefined), session), 2, session);
  };

  it('understand a call, and their answer reaches the agent byte for byte', async () => {
    const path = join(directory, 'a.txt');
    const answer = await call(filesystem, 'read_text_file', { args: typed({ path: { type: 'string' } }, { path }) });
    expect(answer.map((message) => message.kind === 'result' && decode(answerFor({ id: 'a', era: 'legacy' }, message)))).toEqual([
      String.raw`{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"hello \"é\""}],"structuredContent":{"content":"hello \"é\""}}}`,
    ]);
    const numbers = { a: { type: 'integer' }, b: { type: 'number', format: 'decimal' } };
    const sum = only(await call(everything, 'get-sum', { args: typed(numbers, { a: 2, b: 0.5 }) }));
    expect(sum.kind === 'result' && decode(sum.result)).toContain('2.5');
  });

  it('send progress that is handed on under the agent’s token', async () => {
    const meta: CallMeta = { progressToken: 'mine', forwarded: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } };
    const args = typed({ duration: { type: 'number' }, steps: { type: 'integer' } }, { duration: 0.05, steps: 2 });
    const messages = await call(everything, 'trigger-long-running-operation', { args, meta });
    expect(messages.map((message) => decode(notificationFor(message, 2, meta)))).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1,"total":2}}',
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":2,"total":2}}',
      '',
    ]);
  });

  it('fail as a tool for a tool that they do not have, and outside of their directory', async () => {
    const missing = await call(everything, 'nope', { args: typed({}, {}) });
    const outside = await call(filesystem, 'read_text_file', { args: typed({ path: { type: 'string' } }, { path: '/etc/passwd' }) });
    expect([toolOutcome(only(missing)), toolOutcome(only(outside))]).toMatchObject([{ value: 'tool_error' }, { value: 'tool_error' }]);
  });

  it('say so when they forgot a session', async () => {
    const session: UpstreamSession = { era: 'legacy', version: '2025-11-25', sessionId: 'f0f0f0f0-0000-4000-8000-000000000000' };
    const response = await post(filesystem.url, upstreamInitialized(), session);
    expect(upstreamBody(response.status, undefined, session)).toBe('session_over');
  });
});

function only(messages: readonly UpstreamMessage[]): UpstreamMessage {
  const [message] = messages;
  if (message === undefined || messages.length > 1) throw new Error(`${messages.length} messages`);
  return message;
}
