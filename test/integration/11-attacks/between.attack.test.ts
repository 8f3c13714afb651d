import type { Digest, Instant } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MCP_HEADERS } from '../../support/mcp-clients.ts';
import { pipelineHarness, type Harness } from '../../support/pipeline-harness.ts';
import { eventually } from '../../support/world.ts';

const policy = (url: string, tools: readonly string[]): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [desk]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: desk
mcp: { url: "${url}/mcp" }
network: loopback
---
{ kind: Tool, name: desk/look, effect: read }
---
{ kind: Tool, name: desk/act, effect: write }
---
kind: Policy
agent: support-triage
rules:
  - { id: all, allow: [${tools.join(', ')}], for: { roles: [support-rep] } }
`;

/** A request whose head is there and whose body is not; what comes back, once it has. */
interface Trickling {
  readonly socket: Socket;
  finish(): Promise<string>;
}

describe('between the head of a request and its body', () => {
  let up: RecordingUpstream;
  let gate: Harness;
  let looks = 0;
  beforeEach(async () => {
    up = await recordingUpstream();
    looks = 0;
    gate = await pipelineHarness(policy(up.url, ['desk/look', 'desk/act']), {
      ports: ({ operatorTokens, sessionTokens }) => ({
        operatorTokens: { verify: (...args) => operatorTokens.verify(...args).finally(() => looks++) },
        sessionTokens: { mint: (...args) => sessionTokens.mint(...args), verify: (...args) => (looks++, sessionTokens.verify(...args)) },
      }),
    });
  });
  afterEach(async () => {
    await gate.close();
    await up.close();
  });

  /** Sends the head, and waits until somebody has looked at its credential. */
  async function begin(path: string, headers: Record<string, string>, body: string): Promise<Trickling> {
    const before = looks;
    const socket = connect(gate.port, '127.0.0.1');
    await once(socket, 'connect');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    const lines = Object.entries({ host: 'localhost', connection: 'close', 'content-length': String(body.length), ...headers });
    socket.write(`POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    await eventually(() => looks > before, 'a look at the credential');
    return {
      socket,
      finish: async () => {
        socket.write(body);
        await once(socket, 'close');
        return heard;
      },
    };
  }

  const bearer = (): Record<string, string> => ({
    'content-type': 'application/json',
    authorization: `Bearer ${gate.idp.mint(gate.clock.wall() as Instant)}`,
  });

  it('an issuer leaves the release: its token opens no session', async () => {
    const request = await begin('/session', bearer(), '{}');
    gate.hold((held) =>
      held.state === 'absent'
        ? held
        : {
            ...held,
            snapshot: {
              ...held.snapshot,
              issuers: [],
              generation: held.snapshot.generation + 1,
              policyDigest: `sha256:${'7'.repeat(64)}` as Digest,
            },
          },
    );
    const answer = await request.finish();
    expect(answer).toMatch(/^HTTP\/1\.1 401 [^]*"code":"unauthenticated"/);
    expect(gate.decisions.at(-1)).toMatchObject({ decision: 'deny', code: 'unauthenticated', gate: 'session' });
  });

  it('a token expires: it opens no session', async () => {
    const request = await begin('/session', bearer(), '{}');
    await gate.clock.advance(3_600_000);
    expect(await request.finish()).toMatch(/^HTTP\/1\.1 401 [^]*"code":"token_expired"/);
  });

  it('a principal is revoked: no session is opened for them', async () => {
    const request = await begin('/session', bearer(), '{}');
    gate.hold((held) =>
      held.state === 'absent'
        ? held
        : {
            ...held,
            snapshot: { ...held.snapshot, generation: held.snapshot.generation + 1, revocations: { seq: 1, denies: () => true } },
          },
    );
    expect(await request.finish()).toMatch(/^HTTP\/1\.1 401 [^]*"code":"token_revoked"/);
  });

  it('the release forbids a tool: a listing does not show it any more', async () => {
    const session = await gate.session();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const request = await begin('/mcp/desk', { ...MCP_HEADERS, 'sallyport-session': session }, body);
    gate.publish(policy(up.url, ['desk/look']));
    const answer = await request.finish();
    expect(answer).toContain('"look"');
    expect(answer).not.toContain('"act"');
    expect(gate.decisions.at(-1)).toMatchObject({ action: 'tools/list', release_seq: 2 });
  });

  it('the release forbids the tool that is called: nothing goes out', async () => {
    const session = await gate.session();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'act', arguments: {} } });
    const request = await begin('/mcp/desk', { ...MCP_HEADERS, 'sallyport-session': session }, body);
    gate.publish(policy(up.url, ['desk/look']));
    expect(await request.finish()).toContain('Unknown tool');
    expect(up.requests).toEqual([]);
  });

  it('the bundle turns stale: nothing is answered from it', async () => {
    const session = await gate.session();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const request = await begin('/mcp/desk', { ...MCP_HEADERS, 'sallyport-session': session }, body);
    gate.hold((held) => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 }));
    expect(await request.finish()).toContain('policy_stale');
  });

  it('a query that holds a secret is in no record', async () => {
    await gate.request('/session?access_token=hunter2%', { headers: { host: 'evil.example' } });
    await gate.request('/tools/desk/look?key=hunter2', {});
    expect(JSON.stringify(gate.decisions)).not.toContain('hunter2');
    expect(gate.decisions).toHaveLength(2);
  });
});
