/** Two agents beside sidecars of their own, as processes that are killed: who is touched by it, and who is not. */

import { systemClock } from '@sallyport/runtime';
import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuerDocument } from '../../support/policies.ts';
import { processes, type Processes } from '../../support/processes.ts';
import { eventually, request } from '../../support/world.ts';

const AGENTS = ['alpha', 'beta'] as const;
const CEILING_MS = 40_000;
/** Long enough that a process starts within it on a slow machine, short enough to be waited for. */
const TTL_MS = 20_000;
const CALLS = 25;

const agentOf = (name: string): string => `
kind: Agent
name: ${name}
owner: team
uses: [orders]
---
kind: Policy
agent: ${name}
rules: [{ id: read-${name}, allow: [orders/get_order], for: { roles: [support-rep] } }]`;

const policyAt = (url: string): string => `apiVersion: sallyport.dev/v1
kind: ToolServer
name: orders
http: { url: "${url}" }
network: loopback
---
kind: Tool
name: orders/get_order
effect: read
route: { method: GET, path: /orders }
---${AGENTS.map(agentOf).join('\n---')}
`;

/** An agent that never stops asking; each answer as its status, and its code where it has one. */
interface Working {
  readonly answers: readonly string[];
  stop(): Promise<void>;
}

describe('no central bottleneck', () => {
  const idp = tokenIssuer();
  let up: RecordingUpstream;
  let running: Processes;

  beforeAll(async () => {
    up = await recordingUpstream();
    running = await processes({ freshnessTtlMs: TTL_MS, agents: [...AGENTS] });
    running.start('control-plane');
    await eventually(() => running.admin.status().catch(() => undefined), 'a control plane', CEILING_MS);
    await running.admin.publish(`${policyAt(up.url)}${issuerDocument(idp)}`);
    for (const agent of AGENTS) {
      await running.enrol(agent);
      running.start('sidecar', agent);
    }
    await Promise.all(AGENTS.map((agent) => running.ready(agent)));
  });
  afterAll(async () => {
    await running?.close();
    await up?.close();
  });

  async function work(agent: string): Promise<Working> {
    const { outbound } = running.portsOf(agent);
    const token = idp.mint(systemClock().wall());
    const opened = await request(outbound, '/session', { headers: { authorization: `Bearer ${token}` } });
    const session = String(opened.json()['token']);
    const answers: string[] = [];
    const over = new AbortController();
    const loop = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const headers = { 'content-type': 'application/json', 'sallyport-session': session };
        const answer = await request(outbound, '/tools/orders/get_order', { body: '{}', headers });
        answers.push(answer.status === 200 ? '200' : `${answer.status} ${String(answer.json()['code'])}`);
      }
    };
    const looping = loop();
    return { answers, stop: async () => (over.abort(), await looping) };
  }

  it('[R13.04] a sidecar that is killed touches its own agent alone; the control plane’s end touches none until staleness', async () => {
    const beta = await work('beta');
    await eventually(() => beta.answers.length > CALLS, 'calls of beta');
    await running.kill('sidecar', 'alpha');
    const sinceKill = beta.answers.length;
    await expect(request(running.portsOf('alpha').outbound, '/session')).rejects.toThrow('ECONNREFUSED');
    await eventually(() => beta.answers.length > sinceKill + CALLS, 'calls of beta while alpha is away');
    await beta.stop();
    expect(new Set(beta.answers)).toEqual(new Set(['200']));

    running.start('sidecar', 'alpha');
    await running.ready('alpha');
    const both = await Promise.all(AGENTS.map((agent) => work(agent)));
    await eventually(() => both.every(({ answers }) => answers.length > CALLS), 'calls of both');
    await running.kill('control-plane');
    const sinceEnd = both.map(({ answers }) => answers.length);
    await eventually(() => both.every(({ answers }) => answers.at(-1) !== '200'), 'staleness', CEILING_MS);
    await Promise.all(both.map((one) => one.stop()));
    for (const [index, { answers }] of both.entries()) {
      const served = answers.findIndex((answer) => answer !== '200');
      // All of them until the limit, and none beyond it.
      expect(served).toBeGreaterThan((sinceEnd[index] ?? 0) + CALLS);
      expect(new Set(answers.slice(served))).toEqual(new Set(['503 policy_stale']));
    }
  });
});
