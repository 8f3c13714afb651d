/**
 * The sidecar that an attack is staged against: a process of this very build beside an agent, with a line to its control
 * plane that can be held, cut and led elsewhere. It is judged by what it answers, never by what it thinks.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@sallyport/model';
import { createAgent } from '../demo/agent.ts';
import type { Agent, Session } from '../demo/agent.ts';
import { freePorts } from '../demo/free-port.ts';
import { startApp, stopApp } from '../demo/processes.ts';
import type { AppProcess } from '../demo/processes.ts';
import { untilServing, waitUntil } from '../demo/scratch.ts';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { operatorToken } from '../onboard/dev-issuer.ts';
import type { DevIssuer, Operator } from '../onboard/dev-issuer.ts';
import { openLine } from './line.ts';
import type { Line } from './line.ts';
import { CHAOS_AGENT, READ, REFUND, ROLE } from './policy.ts';

/** What `/readyz` says, as far as it is looked at. */
export interface Ready {
  readonly ready: boolean;
  readonly state: string;
  readonly release_seq: number | null;
}

export interface Subject {
  readonly identity: string;
  readonly line: Line;
  readonly pid: number;
  /** The answer to a call that every release allows, such as `200 ok` or `503 policy_stale`. */
  read(operator?: Operator): Promise<string>;
  /** The answer to a call that only the first release allows. */
  refund(): Promise<string>;
  /** The answer to a session that is asked for with this token. */
  open(operatorToken: string): Promise<string>;
  ready(): Promise<Ready>;
  isLive(): Promise<boolean>;
  /** The sum of a metric over its labels. */
  metric(name: string): Promise<number>;
  /** Path of a file in the cache of policy. */
  cached(...path: readonly string[]): string;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on what is on its disk; resolves once it answers. */
  restart(): Promise<void>;
  /** Resolves true once a release is in force and fresh. */
  enforces(releaseSeq: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface SubjectOptions {
  readonly io: Io;
  /** The scratch folder, in which it gets one of its own. */
  readonly dir: string;
  readonly instance: string;
  readonly trustDomain: string;
  readonly ports: { readonly grpc: number; readonly enrolment: number };
  readonly issuer: DevIssuer;
  /** Makes a join token, as the administrator does. */
  readonly joinToken: (file: string) => Promise<void>;
}

const POLL_MS = 25;
const ALICE: Operator = clerk('alice');

/** A person whom the policy lets read. */
export function clerk(subject: string): Operator {
  return { subject, tenant: 'chaos', roles: [ROLE] };
}

/** Starts and enrols one; it may enforce nothing yet. */
export async function startSubject(options: SubjectOptions): Promise<Subject> {
  const { io, dir, instance, ports, trustDomain } = options;
  const [outbound = 0, health = 0] = await freePorts(2);
  const line = await openLine(ports.grpc);
  const config = join(dir, `${instance}.yaml`);
  const tokenFile = join(dir, `${instance}.join-token`);
  await options.joinToken(tokenFile);
  writeFileSync(config, configYaml({ dir, instance, tokenFile, outbound, health, grpc: line.port, enrolment: ports.enrolment }));
  const logFile = join(dir, `${instance}.log`);
  const start = async (): Promise<AppProcess> => {
    const app = await startApp(`the sidecar ${instance}`, ['sidecar', '--config', config], { logFile, cwd: dir });
    // What does not come to serve is not left running either.
    await untilServing(app, io, 'started').catch(async (error: unknown) => {
      await stopApp(app, io.clock);
      throw error;
    });
    return app;
  };
  // Owner: this subject. Sessions end with the process that opened them.
  let app = await start().catch(async (error: unknown) => {
    await line.close();
    throw error;
  });
  let agent: Agent = createAgent({ port: outbound, signal: io.signal });
  let sessions = new Map<string, Session>();

  const call = async ({ tool, args }: typeof READ | typeof REFUND, operator: Operator): Promise<string> => {
    const held = sessions.get(operator.subject);
    const opened = held ?? (await agent.open(operatorToken(options.issuer, operator, { now: io.clock.wall(), random: io.random })));
    if (!('token' in opened)) return `${opened.status} ${opened.code}`;
    sessions.set(operator.subject, opened);
    const { status, code } = await agent.invoke('orders', { tool, args }, { session: opened });
    return `${status} ${code}`;
  };
  const get = (path: string): ReturnType<typeof ask> => ask({ target: { host: '127.0.0.1', port: health }, path, signal: io.signal });
  const ready = async (): Promise<Ready> => JSON.parse((await get('/readyz')).body) as Ready;
  return {
    identity: `spiffe://${trustDomain}/sidecar/${CHAOS_AGENT}/${instance}`,
    line,
    get pid() {
      return app.pid;
    },
    read: (operator = ALICE) => call(READ, operator),
    refund: () => call(REFUND, ALICE),
    async open(token) {
      const opened = await agent.open(token);
      return 'token' in opened ? 'a session' : `${opened.status} ${opened.code}`;
    },
    ready,
    isLive: async () => (await get('/livez')).status === 200,
    async metric(name) {
      const { body } = await get('/metrics');
      return body.split('\n').reduce((sum, one) => (one.startsWith(name) ? sum + Number(one.split(' ').at(-1)) : sum), 0);
    },
    cached: (...path) => join(dir, instance, 'bundle', ...path),
    async kill() {
      app.kill('SIGKILL');
      await app.ended;
    },
    async restart() {
      app = await start();
      agent = createAgent({ port: outbound, signal: io.signal });
      sessions = new Map();
    },
    enforces: (releaseSeq) =>
      waitUntil(
        async () => {
          const { ready: isReady, release_seq: active } = await ready();
          return isReady && active === releaseSeq;
        },
        POLL_MS,
        io,
      ),
    async close() {
      app.kill('SIGKILL');
      await app.ended;
      await line.close();
    },
  };
}

interface ConfigValues {
  readonly dir: string;
  readonly instance: string;
  readonly tokenFile: string;
  readonly outbound: number;
  readonly health: number;
  readonly grpc: number;
  readonly enrolment: number;
}

function configYaml({ dir, instance, tokenFile, outbound, health, grpc, enrolment }: ConfigValues): string {
  const quoted = (path: string): string => JSON.stringify(path);
  return `agent: ${CHAOS_AGENT}
instance: ${instance}
state_dir: ${quoted(join(dir, instance))}
root_pin_file: ${quoted(join(dir, '.sallyport', 'root-pin'))}
allow_development_root: true
control_plane:
  address: 127.0.0.1:${grpc}
  enrolment_address: 127.0.0.1:${enrolment}
  join_token_file: ${quoted(tokenFile)}
outbound: { listen: 127.0.0.1:${outbound} }
health: { listen: 127.0.0.1:${health} }
# What is looked at is the refusal itself, not the wait before it.
hold_while_syncing_ms: 0
drain_ms: 100
audit: { checkpoint_interval_ms: 1000 }
`;
}

/** The bytes of a file; a Fault where the cache does not hold it, since then the attack would do nothing. */
export function cachedBytes(file: string): Buffer {
  if (existsSync(file)) return readFileSync(file);
  throw new Fault('store_failed', 'internal', `the cache holds no \`${file}\``);
}
