/**
 * kill -9 of either process, at any moment of a running load. Afterwards: nothing that was acknowledged is lost, chains
 * verify, no call went out without its DECISION, no sequence went back, and service returns by itself. Real processes.
 */

import { verifyExport } from '@sallyport/audit';
import { systemClock, systemRandom } from '@sallyport/runtime';
import type { Digest } from '@sallyport/model';
import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { trustRoot } from '@sallyport/trust';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts } from '../../packages/cli/src/demo/free-port.ts';
import { makeRoot } from '../../packages/cli/src/root/make-root.ts';
import { administrator, type Administrator } from '../support/administrator.ts';
import { ordersPolicy, READ_ORDERS } from '../support/policies.ts';
import { eventually, request } from '../support/world.ts';

const ROUNDS = process.env['SALLYPORT_LONG'] === '1' ? 500 : 6;
const ROOT = join(import.meta.dirname, '..', '..');

/** A write, so that its DECISION has to be on disk before it goes out. */
const WRITE_ORDERS = READ_ORDERS.replace('effect: read', 'effect: write');

describe('kill -9', () => {
  let dir: string;
  let up: RecordingUpstream;
  let admin: Administrator;
  const idp = tokenIssuer();
  const clock = systemClock();
  const children = new Map<string, ChildProcess>();
  let ports: { grpc: number; enrolment: number; outbound: number; health: number };

  const start = (app: 'control-plane' | 'sidecar', config: string): void => {
    const main = join(ROOT, 'packages', app, 'src', 'main.ts');
    // As shipped, the sidecar makes no code from strings.
    const flags = app === 'sidecar' ? ['--disallow-code-generation-from-strings'] : [];
    const child = spawn(process.execPath, [...flags, '--conditions=sallyport-src', main, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => log.push(chunk.toString()));
    child.once('exit', (code, signal) => {
      if (signal !== 'SIGKILL' && code !== 0) console.error(`${app} ended: ${code} ${signal}\n${log.join('').slice(-2_000)}`);
    });
    children.set(app, child);
  };
  const kill = async (app: string): Promise<void> => {
    const child = children.get(app);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const startControlPlane = (): void => start('control-plane', join(dir, 'control-plane', 'config.yaml'));
  const startSidecar = (): void => start('sidecar', join(dir, 'sidecar.yaml'));

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-kill-'));
    up = await recordingUpstream();
    const [grpc = 0, enrolment = 0, outbound = 0, health = 0] = await freePorts(4);
    ports = { grpc, enrolment, outbound, health };
    const made = await makeRoot({
      trustDomain: 'demo.local',
      admin: 'admin',
      now: clock.wall(),
      random: systemRandom,
      grpc: `127.0.0.1:${grpc}`,
      enrolment: `127.0.0.1:${enrolment}`,
      freshnessTtlMs: 60_000,
    });
    for (const { path, content, isPrivate } of made.files) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), content, { mode: isPrivate ? 0o600 : 0o644 });
    }
    startControlPlane();
    admin = administrator(dir, { address: { host: '127.0.0.1', port: grpc }, clock, freshnessTtlMs: 60_000 });
    await eventually(
      () => admin.publish(ordersPolicy(up.url, WRITE_ORDERS, idp)).catch(() => undefined),
      'a control plane that takes policy',
    );
    const token = await admin.joinToken('support-triage');
    writeFileSync(join(dir, 'token'), token, { mode: 0o600 });
    writeFileSync(
      join(dir, 'sidecar.yaml'),
      `agent: support-triage
state_dir: ${join(dir, 'sidecar')}
root_pin_file: ${join(dir, 'root-pin')}
allow_development_root: true
control_plane: { address: "127.0.0.1:${grpc}", enrolment_address: "127.0.0.1:${enrolment}", join_token_file: ${join(dir, 'token')} }
outbound: { listen: "127.0.0.1:${outbound}" }
health: { listen: "127.0.0.1:${health}" }
`,
    );
    startSidecar();
    await ready();
  });
  afterEach(async () => {
    admin.close();
    await kill('sidecar');
    await kill('control-plane');
    await up.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const ready = (): Promise<true> =>
    eventually(
      async () => (await request(ports.health, '/readyz', { method: 'GET' }).catch(() => undefined))?.status === 200 || undefined,
      'readiness',
      40_000,
    ) as Promise<true>;
  const session = async (): Promise<string | undefined> => {
    const opened = await request(ports.outbound, '/session', { headers: { authorization: `Bearer ${idp.mint(clock.wall())}` } }).catch(
      () => undefined,
    );
    return opened?.status === 201 ? (opened.json()['token'] as string) : undefined;
  };

  it(`${ROUNDS} times, of either process, under load`, { timeout: ROUNDS * 60_000 }, async () => {
    let asked = 0;
    const answered: string[] = [];
    const over = new AbortController();
    // Four agents that go on whatever happens; what they were told is what must be provable afterwards.
    const agent = async (): Promise<void> => {
      let token: string | undefined;
      while (!over.signal.aborted) {
        token ??= await session();
        if (token === undefined) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        const id = `O-${String(++asked).padStart(6, '0')}`;
        const headers = { 'content-type': 'application/json', 'sallyport-session': token };
        const answer = await request(ports.outbound, '/tools/orders/get_order', { body: JSON.stringify({ order_id: id }), headers }).catch(
          () => undefined,
        );
        if (answer?.status === 200) answered.push(id);
        else token = undefined;
      }
    };
    const agents = [agent(), agent(), agent(), agent()];
    let releases = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const victim = round % 2 === 0 ? 'sidecar' : 'control-plane';
      await new Promise((resolve) => setTimeout(resolve, 50 + (systemRandom(1)[0] ?? 0) * 2));
      await kill(victim);
      if (victim === 'sidecar') startSidecar();
      else startControlPlane();
      await ready();
      const before = answered.length;
      await eventually(() => answered.length > before, `service after round ${round}`, 40_000);
      const { releaseSeq } = await eventually(() => admin.status().catch(() => undefined), 'the control plane', 40_000);
      expect(Number(releaseSeq)).toBeGreaterThanOrEqual(releases);
      releases = Number(releaseSeq);
    }
    over.abort();
    await Promise.all(agents);
    const sidecar = children.get('sidecar');
    const drained = sidecar === undefined ? undefined : once(sidecar, 'exit');
    sidecar?.kill('SIGTERM');
    await drained;

    const lines = await eventually(async () => {
      const exported = await admin.tail('records').catch(() => []);
      return exported.some((line) => line.includes('"CLOSE"') && line.includes('drain')) ? exported : undefined;
    }, 'the closed stream in the log');
    const records = lines.map(
      (line) => JSON.parse(line) as { kind: string; decision?: string; decision_id?: string; action?: string; result?: string },
    );
    const allowed = records.filter(({ kind, decision, action }) => kind === 'DECISION' && decision === 'allow' && action === 'tools/call');
    // Every call that reached the tool had its DECISION on disk before; one that was killed in between may have one more.
    expect(allowed.length).toBeGreaterThanOrEqual(up.requests.length);
    // Every answer that an agent got has its OUTCOME.
    const outcomes = records.filter(({ kind, result }) => kind === 'OUTCOME' && result === 'ok');
    expect(outcomes.length).toBeGreaterThanOrEqual(answered.length);
    expect(new Set(allowed.map(({ decision_id: id }) => id)).size).toBe(allowed.length);

    const root = trustRoot({
      pin: readFileSync(join(dir, 'root-pin'), 'utf8').trim() as Digest,
      chain: [readFileSync(join(dir, 'root', '1.json'))],
      allowDevelopmentRoot: true,
    });
    if (!root.ok) throw new Error(root.error.detail);
    const report = verifyExport(
      lines.map((line) => new TextEncoder().encode(line)),
      {
        roots: root.value.certificateAuthorities.map(({ certificate, prefixes }) => ({ certificate, prefixes })),
        trustDomain: 'demo.local',
      },
    );
    expect(report.firstBad).toBeNull();
  });
});
