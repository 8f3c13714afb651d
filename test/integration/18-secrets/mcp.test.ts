/** Credentials towards MCP servers, whose sessions outlive calls: each tool's own, and none that was replaced. */

import {
  projectedVolume,
  recordingMcpUpstream,
  type FakeClock,
  type ProjectedVolume,
  type RecordedRequest,
  type RecordingMcpUpstream,
} from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const policyOf = (desk: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [desk]
---
kind: ToolServer
name: desk
mcp: { url: "${desk}" }
network: loopback
---
kind: Tool
name: desk/look
effect: read
---
kind: Tool
name: desk/close
effect: write
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [desk/*], for: { roles: [support-rep] } }
---
kind: Credential
name: desk-read
source: { file: read }
header: X-Api-Key
destinations: [desk]
agents: [${AGENT}]
tools: [desk/look]
---
kind: Credential
name: desk-write
source: { file: write }
header: X-Api-Key
destinations: [desk]
agents: [${AGENT}]
tools: [desk/close]
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: desk/look, expect: allow }
  - { call: desk/close, expect: allow }
`;

const methodOf = ({ method, body }: RecordedRequest): string =>
  method === 'POST' ? ((JSON.parse(body) as { method?: string }).method ?? 'answer') : method;

describe('an MCP server', () => {
  let clock: FakeClock;
  let volume: ProjectedVolume;
  let desk: RecordingMcpUpstream;
  let world: World;
  let sidecar: RunningSidecar;
  let session: string;
  /** Which keys the server takes, where it asks for one. */
  let accepted: ReadonlySet<string> | undefined;
  let before = 0;
  /** What has arrived in this test: what it was, and with which key. */
  const arrived = (): readonly string[] => desk.requests.slice(before).map((one) => `${methodOf(one)} ${String(one.headers['x-api-key'])}`);

  beforeAll(async () => {
    clock = testClock();
    volume = projectedVolume({ read: 'read-1', write: 'write-1' });
    desk = await recordingMcpUpstream({ refuses: ({ headers }) => accepted !== undefined && !accepted.has(String(headers['x-api-key'])) });
    world = await startWorld({ clock });
    await world.admin.publish(policyOf(desk.mcpUrl) + issuerDocument(world.idp));
    sidecar = await world.startSidecar({ config: { secrets: { folder: volume.folder } } });
    await eventually(async () => {
      await pass(clock, 100);
      return sidecar.ready();
    }, 'readiness');
  });
  beforeEach(async () => {
    accepted = undefined;
    volume.write({ read: 'read-1', write: 'write-1' });
    await pass(clock, 11_000);
    session = await sidecar.session();
    before = desk.requests.length;
  });
  afterAll(async () => {
    await world?.close();
    await desk?.close();
    volume?.close();
  });

  it('sees each key in a session of its own, from the handshake on, and never one in the other’s', async () => {
    for (const tool of ['desk/look', 'desk/close', 'desk/look']) expect((await sidecar.call(tool, {}, session)).status).toBe(200);
    const [read, write] = ['read-1', 'write-1'].map((key) => arrived().filter((line) => line.endsWith(` ${key}`)));
    expect(read?.filter((line) => line.startsWith('tools/call'))).toHaveLength(2);
    expect(write?.filter((line) => line.startsWith('tools/call'))).toHaveLength(1);
    for (const lines of [read, write]) expect(lines?.filter((line) => line.startsWith('initialize'))).toHaveLength(1);
    expect((read?.length ?? 0) + (write?.length ?? 0)).toBe(arrived().length);
  });

  it('that has a new key by now gets a read once more in the same session, and a write not', async () => {
    await sidecar.call('desk/look', {}, session);
    await sidecar.call('desk/close', {}, session);
    before = desk.requests.length;
    volume.write({ read: 'read-2', write: 'write-2' });
    accepted = new Set(['read-2', 'write-2']);
    expect((await sidecar.call('desk/look', {}, session)).status).toBe(200);
    expect(arrived()).toEqual(['tools/call read-1', 'tools/call read-2']);
    before = desk.requests.length;
    expect((await sidecar.call('desk/close', {}, session)).json()['code']).toBe('upstream_error');
    expect(arrived()).toEqual(['tools/call write-1']);
    expect((await sidecar.call('desk/close', {}, session)).status).toBe(200);
  });

  it('that refuses the handshake is asked once more with a newer key, also for a write', async () => {
    // Somebody else's session, so that the old key is what is held.
    await sidecar.call('desk/close', {}, session);
    before = desk.requests.length;
    volume.write({ read: 'read-1', write: 'write-3' });
    accepted = new Set(['write-3']);
    expect((await sidecar.call('desk/close', {}, await sidecar.session())).status).toBe(200);
    expect(arrived().filter((line) => line.startsWith('initialize') || line.startsWith('tools/call'))).toEqual([
      'initialize write-1',
      'initialize write-3',
      'tools/call write-3',
    ]);
  });

  it('hears nothing at all where there is no key', async () => {
    volume.write({});
    await pass(clock, 11_000);
    const fresh = await world.startSidecar({ name: 'without', config: { secrets: { folder: volume.folder } } });
    await eventually(async () => {
      await pass(clock, 100);
      return fresh.ready();
    }, 'readiness');
    before = desk.requests.length;
    const answer = await fresh.call('desk/look', {}, await fresh.session());
    expect([answer.status, answer.json()['code'], arrived()]).toEqual([503, 'credential_unavailable', []]);
  });
});
