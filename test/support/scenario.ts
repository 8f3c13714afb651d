/**
 * A scenario against processes of their own, as they ship: a control plane, a sidecar for each agent, a recording
 * upstream for every tool. Its policy is a folder of documents as an author keeps them; what differs from one
 * environment to the next (where the tools are, the identity provider's keys) is added here.
 */

import type { CallEvent } from '@sallyport/audit';
import type { Instant } from '@sallyport/model';
import type { PolicyFile } from '@sallyport/policy';
import { systemClock } from '@sallyport/runtime';
import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordOf } from './audit.ts';
import { processes, type Processes } from './processes.ts';
import { eventually, request, type HttpAnswer } from './world.ts';

/** One agent with its sidecar, as its operators and tests see it. */
export interface ScenarioAgent {
  /** Opens a session for an operator and gives its token. */
  session(claims: Readonly<Record<string, unknown>>): Promise<string>;
  call(session: string, tool: string, args: object): Promise<HttpAnswer>;
  /** By method and path, as a client that knows nothing of tools does it. */
  http(session: string, line: string, body?: object): Promise<HttpAnswer>;
}

export interface Scenario extends ScenarioAgent {
  readonly up: RecordingUpstream;
  readonly running: Processes;
  agent(name: string): ScenarioAgent;
  /** What has reached the tools since this was last asked: method, path and body. */
  arrived(): readonly string[];
  /** The event of a refused call in the control plane's log. */
  record(refused: HttpAnswer): Promise<CallEvent>;
  /** The event of the last call of a tool that was allowed, once it is `count`th. */
  allowed(tool: string, count?: number): Promise<CallEvent>;
  /** Publishes a changed policy, and waits until every sidecar says that it enforces it. */
  change(edit: (documents: string) => string): Promise<void>;
  close(): Promise<void>;
}

const CEILING_MS = 40_000;

/** `folder` is the scenario's own; its `policy` holds the documents. The first agent is the one that is meant where none is named. */
export async function startScenario(folder: string, agents: readonly [string, ...string[]]): Promise<Scenario> {
  const [clock, idp, up, running] = [systemClock(), tokenIssuer(), await recordingUpstream(), await processes({ agents })];
  const filesOf = (edit: (documents: string) => string): readonly PolicyFile[] => [
    ...readdirSync(join(folder, 'policy')).map((name) => ({
      path: name,
      text: edit(readFileSync(join(folder, 'policy', name), 'utf8')),
    })),
    { path: 'environment.yaml', text: environmentOf(up.url) },
    { path: 'idp-keys.json', text: JSON.stringify({ keys: [idp.jwk] }) },
  ];
  const agentOf = (name: string): ScenarioAgent => {
    const { outbound } = running.portsOf(name);
    const json = { 'content-type': 'application/json' };
    return {
      async session(claims) {
        const token = idp.mint(clock.wall() as Instant, { claims });
        const opened = await request(outbound, '/session', { headers: { authorization: `Bearer ${token}` } });
        if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
        return opened.json()['token'] as string;
      },
      call: (session, tool, args) =>
        request(outbound, `/tools/${tool}`, { body: JSON.stringify(args), headers: { ...json, 'sallyport-session': session } }),
      http(session, line, body) {
        const [method = '', path = ''] = line.split(' ');
        const headers = { ...(body === undefined ? {} : json), 'sallyport-session': session };
        return request(outbound, `/http${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      },
    };
  };
  // Owner: `arrived`.
  let told = 0;
  const self: Scenario = {
    ...agentOf(agents[0]),
    up,
    running,
    agent: agentOf,
    arrived() {
      const since = up.requests.slice(told);
      told = up.requests.length;
      return since.map(({ method, target, body }) => `${method} ${target} ${body}`.trim());
    },
    record: (refused) => recordOf(running, refused),
    allowed: (tool, count = 1) =>
      eventually(async () => {
        const events = (await running.admin.tail('calls')).map((line) => JSON.parse(line) as CallEvent);
        return events.filter((event) => event.tool === tool && event.decision === 'allow')[count - 1];
      }, `a record of ${tool}`),
    async change(edit) {
      const { releaseSeq } = await running.admin.publish(filesOf(edit));
      await eventually(async () => {
        const { sidecars } = await running.admin.status();
        return sidecars.filter(({ activeReleaseSeq }) => activeReleaseSeq === BigInt(releaseSeq)).length === agents.length;
      }, `release ${releaseSeq} in force everywhere`);
    },
    async close() {
      await running.close();
      await up.close();
    },
  };
  running.start('control-plane');
  await eventually(() => running.admin.status().catch(() => undefined), 'a control plane', CEILING_MS);
  await running.admin.publish(filesOf((documents) => documents));
  for (const agent of agents) {
    await running.enrol(agent);
    running.start('sidecar', agent);
  }
  await Promise.all(agents.map((agent) => running.ready(agent)));
  return self;
}

function environmentOf(url: string): string {
  return `apiVersion: sallyport.dev/v1\nkind: Environment\nname: test\nvalues: { tools: { url: "${url}" } }\n`;
}
