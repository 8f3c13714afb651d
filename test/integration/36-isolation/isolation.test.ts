/** An agent that could go round its sidecar: what this machine's own kernel and disk say of it, and what it is refused for that. */

import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelPeerUsers } from '../../../packages/sidecar/src/isolation/kernel-table.ts';
import { allCalls, callsOfSession, sessionIdOf } from '../../support/audit.ts';
import { codeOf } from '../../support/answers.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, pass, request, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const DOCUMENTS = `
{ kind: Tool, name: orders/look, effect: read, route: { method: POST, path: /look } }
---
{ kind: Tool, name: orders/refund, effect: write, classes: [money], route: { method: POST, path: /refund } }
---
{ kind: Tool, name: orders/small, effect: write, classes: [money], route: { method: POST, path: /small } }
---
{ kind: Tool, name: orders/drop, route: { method: POST, path: /drop } }
---
kind: Policy
agent: support-triage
rules:
  - { id: look, allow: [orders/look] }
  - { id: refund, allow: [orders/refund] }
  - { id: small, allow: [orders/small], isolation: advisory }
  - { id: drop, allow: [orders/drop] }
---
kind: Test
cases:
  - { call: orders/look, expect: allow }
  - { call: orders/refund, expect: allow }
  - { call: orders/small, expect: allow }
  - { call: orders/drop, expect: allow }
---
kind: Test
given: { isolation: advisory }
cases:
  - { call: orders/refund, expect: obligation_unsupported }
  - { call: orders/small, expect: allow }
  - { call: orders/drop, expect: obligation_unsupported }
`;
const TOOLS = ['look', 'refund', 'small', 'drop'] as const;
const ALL = { look: 'ok', refund: 'ok', small: 'ok', drop: 'ok' };
const UNGUARDED = { look: 'ok', refund: 'obligation_unsupported', small: 'ok', drop: 'obligation_unsupported' };
const USERS = kernelPeerUsers();
const OTHER_USER = 4_242;

// Not run elsewhere: only Linux says whose a connection is (`/proc/net/tcp`).
describe.skipIf(process.platform !== 'linux')('an agent and its sidecar', () => {
  let world: World;
  let orders: RecordingUpstream;

  beforeAll(async () => {
    orders = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(orders.url, DOCUMENTS, world.idp));
  });
  afterAll(async () => {
    await world?.close();
    await orders?.close();
  });

  async function started(options: Parameters<World['startSidecar']>[0]): Promise<RunningSidecar> {
    const sidecar = await world.startSidecar({ peerUsers: USERS, ...options });
    await eventually(() => sidecar.ready(), 'readiness');
    return sidecar;
  }
  async function standingOf(sidecar: RunningSidecar): Promise<unknown> {
    const ready = await request(sidecar.healthPort, '/readyz', { method: 'GET' });
    return [ready.status, ready.json()['isolation'], ready.json()['isolation_reasons']];
  }
  /** What becomes of each tool, in the words of whoever answers; what the record says of all calls of the session. */
  async function tried(
    session: string,
    call: (tool: string) => Promise<HttpAnswer>,
  ): Promise<{ answers: unknown; isolation: readonly unknown[] }> {
    const before = (await allCalls(world)).filter((one) => one.session_id === sessionIdOf(session)).length;
    const answers: Record<string, unknown> = {};
    for (const tool of TOOLS) {
      const received = orders.requests.length;
      const answer = await call(tool);
      answers[tool] = answer.status === 200 ? 'ok' : answer.json()['code'];
      expect(orders.requests.length - received).toBe(answer.status === 200 ? 1 : 0);
      // Nobody learns from a refusal that the sidecar can be gone round.
      expect(answer.text).not.toMatch(/isolation|advisory|user_id|uid/);
    }
    const calls = (await callsOfSession(world, session, before + TOOLS.length)).slice(before);
    return { answers, isolation: [...new Set(calls.map(({ isolation }) => isolation))] };
  }

  it('of one user: guarded tools are refused, whatever the configuration vouches for', async () => {
    const sidecar = await started({ name: 'same' });
    expect(await standingOf(sidecar)).toEqual([200, 'enforced', []]);
    const session = await sidecar.session();
    const { answers, isolation } = await tried(session, (tool) => sidecar.call(`orders/${tool}`, {}, session));
    expect([answers, isolation]).toEqual([UNGUARDED, ['advisory']]);
    expect(await standingOf(sidecar)).toEqual([200, 'advisory', ['same_user']]);
    expect(world.log.filter((line) => line.includes('isolation_advisory') && line.includes('same_user'))).toHaveLength(1);
    await sidecar.drain();
  });

  // Not run by others than root: only root can start an agent of another user.
  it.skipIf(USERS.own !== 0)('of two users, and nothing open between them: everything that rules allow', async () => {
    const sidecar = await started({ name: 'apart' });
    const session = await sidecar.session();
    const { answers, isolation } = await tried(session, (tool) => asUser(OTHER_USER, sidecar, tool, session));
    expect([answers, isolation]).toEqual([ALL, ['enforced']]);
    expect(await standingOf(sidecar)).toEqual([200, 'enforced', []]);
    await sidecar.drain();
  });

  it('whose deployment vouches for nothing: refused, whoever the agent is', async () => {
    const sidecar = await started({
      name: 'laptop',
      config: { isolation: 'advisory' },
      peerUsers: { own: USERS.own, of: () => OTHER_USER },
    });
    const session = await sidecar.session();
    const { answers, isolation } = await tried(session, (tool) => sidecar.call(`orders/${tool}`, {}, session));
    expect([answers, isolation, await standingOf(sidecar)]).toEqual([UNGUARDED, ['advisory'], [200, 'advisory', ['not_vouched']]]);
    await sidecar.drain();
  });

  it('is known to the fleet as it is, and as it has become', async () => {
    const sidecar = await started({ name: 'told' });
    const told = async (): Promise<string | undefined> =>
      (await world.admin.status()).sidecars.find(({ spiffeId }) => spiffeId.endsWith('/told'))?.isolation;
    await eventually(async () => (await told()) === 'enforced', 'the fleet hears the Hello');
    await sidecar.call('orders/look', {}, await sidecar.session());
    await eventually(async () => (await told()) === 'advisory', 'the fleet hears a beat');
    await sidecar.drain();
  });
});

describe('a sidecar whose state others can enter', () => {
  const clock: FakeClock = testClock();
  let world: World;
  let orders: RecordingUpstream;

  beforeAll(async () => {
    orders = await recordingUpstream();
    world = await startWorld({ clock });
    await world.admin.publish(ordersPolicy(orders.url, DOCUMENTS, world.idp));
  });
  afterAll(async () => {
    await world?.close();
    await orders?.close();
  });

  it('refuses guarded tools from the next look on, until it is mended', async () => {
    const sidecar = await world.startSidecar();
    await eventually(async () => {
      await pass(clock, 100);
      return sidecar.ready();
    }, 'readiness');
    const session = await sidecar.session();
    const all = async (): Promise<unknown> => {
      const answers: Record<string, unknown> = {};
      for (const tool of TOOLS) answers[tool] = codeOf(await sidecar.call(`orders/${tool}`, {}, session))[1];
      return answers;
    };
    const seen: unknown[] = [await all()];
    for (const mode of [0o755, 0o700]) {
      chmodSync(sidecar.stateDir, mode);
      await pass(clock, 31_000);
      seen.push(await all(), (await request(sidecar.healthPort, '/readyz', { method: 'GET' })).json()['isolation_reasons']);
    }
    expect(seen).toEqual([ALL, UNGUARDED, ['state_open'], ALL, []]);
  });
});

/** One call by a process of that user. */
async function asUser(uid: number, sidecar: RunningSidecar, tool: string, session: string): Promise<HttpAnswer> {
  const code = `
    const { request } = require('node:http');
    const headers = { 'content-type': 'application/json', 'sallyport-session': process.env.SESSION };
    const sent = request({ host: '127.0.0.1', port: ${sidecar.port}, path: '/tools/orders/${tool}', method: 'POST', headers, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (part) => (text += part));
      answer.on('end', () => console.log(JSON.stringify({ status: answer.statusCode, headers: answer.headers, text })));
    });
    sent.end('{}');`;
  const child = spawn(process.execPath, ['-e', code], { uid, gid: uid, env: { SESSION: session }, cwd: '/' });
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const answer = JSON.parse(said) as Pick<HttpAnswer, 'status' | 'headers' | 'text'>;
  return { ...answer, json: () => JSON.parse(answer.text) as Record<string, unknown> };
}
