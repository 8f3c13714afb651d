import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Audit, BatchSchema, GetHeadsRequestSchema, Publish, ResumeSchema, ShipMessageSchema, create } from '@sallyport/contract';
import { createClient } from '@sallyport/net';
import { systemClock } from '@sallyport/runtime';
import { auditWriter, controlPlaneHarness, harnessPolicy } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';

/** The control plane as a process of its own, killed without a word. */
const MAIN = join(import.meta.dirname, 'main.ts');

let harness: ControlPlaneHarness;
const children: ChildProcess[] = [];
beforeEach(async () => {
  harness = await controlPlaneHarness({ isStopped: true, clock: 'system' });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await harness.close();
});

/** Resolves when it listens; the harness speaks to it from then on. */
async function startProcess(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--conditions=sallyport-src', MAIN, '--config', harness.configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ports = await new Promise<Record<string, { host: string; port: number }>>((resolve, reject) => {
    let log = '';
    child.stdout?.on('data', (data: Buffer) => {
      log += data.toString();
      if (!log.includes('control_plane.started')) return;
      const lines = log
        .split('\n')
        .flatMap((line) => (line.includes('listening') ? [JSON.parse(line) as { service: string; host: string; port: number }] : []));
      resolve(Object.fromEntries(lines.map(({ service, host, port }) => [service, { host, port }])));
    });
    child.stderr?.on('data', (data: Buffer) => reject(new Error(data.toString())));
    child.once('exit', (code) => reject(new Error(`exit ${String(code)}`)));
  });
  const nowhere = { host: '127.0.0.1', port: 0 };
  harness.attach({ grpc: ports['grpc'] ?? nowhere, enrolment: ports['enrolment'] ?? nowhere });
  return child;
}

async function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode ?? (await new Promise((resolve) => child.once('exit', (code) => resolve(code))));
}

test('kill -9 loses nothing that was acknowledged: versions, acts and records', async () => {
  const first = await startProcess();
  const { bundle } = await harness.publish(harnessPolicy(1));
  await harness.release(bundle);
  const sidecar = await harness.enrol();
  const writer = auditWriter({
    sidecar: sidecar.spiffeId,
    auditPem: sidecar.auditPem,
    auditChain: sidecar.auditChain,
    now: () => systemClock().wall(),
  });
  for (let call = 0; call < 50; call++) writer.call();
  const controller = new AbortController();
  const { out, incoming } = createClient(Audit, sidecar.channel).ship({ signal: controller.signal });
  const { stream } = writer;
  out.write(create(ShipMessageSchema, { message: { case: 'resume', value: create(ResumeSchema, { stream, firstUnackedSeq: 1n }) } }));
  out.write(
    create(ShipMessageSchema, {
      message: { case: 'batch', value: create(BatchSchema, { stream, firstSeq: 1n, records: [...writer.lines] }) },
    }),
  );
  const answers = incoming[Symbol.asyncIterator]();
  await answers.next();
  expect((await answers.next()).value).toMatchObject({ answer: { case: 'ack', value: { durableThrough: 101n } } });
  first.kill('SIGKILL');
  await ended(first);
  controller.abort();

  const second = await startProcess();
  const publish = await harness.client(Publish, '/admin/alice');
  expect(await publish.getHeads(create(GetHeadsRequestSchema, { area: 'default', ring: 'default' }), { deadlineMs: 10_000 })).toMatchObject(
    {
      value: { revision: 1n, bundle: bundle.digest, releaseSeq: 1n },
    },
  );
  expect((await harness.acts()).map(({ act }) => act)).toEqual(['publish', 'release', 'create join token', 'enrol']);
  expect((await harness.records()).filter((record) => record['stream'] === stream)).toHaveLength(101);
  expect(await harness.alerts()).toMatchObject([{ code: 'UNCLOSED' }]);
  second.kill('SIGTERM');
  expect(await ended(second)).toBe(0);
});

test('a second process on the same state folder does not start', async () => {
  await startProcess();
  await expect(startProcess()).rejects.toThrow('one control plane at a time');
});

test('an act that a kill left between its commit and its record is recorded at the next start, once', async () => {
  const first = await startProcess();
  await harness.publish(harnessPolicy(1));
  first.kill('SIGKILL');
  await ended(first);
  // What a kill in between leaves behind: the act in its table, and in one case its record already written.
  const { DatabaseSync } = await import('node:sqlite');
  const file = new DatabaseSync(join(harness.config.state_dir, 'control-plane.db'));
  const recorded = /"detail":"act ([0-9a-f]{16})/.exec(segments())?.[1] ?? '';
  expect(recorded).not.toBe('');
  const body = {
    actor: 'spiffe://sallyport.test/admin/alice',
    act: 'publish',
    object: 'bundle default 1',
    old_digest: null,
    new_digest: null,
    area: 'default',
    ring: '-',
    release_seq: null,
  };
  const index = new DatabaseSync(join(harness.config.state_dir, 'audit.db'));
  const { name: replica } = index.prepare('SELECT name FROM audit_replica').get() as { name: string };
  index.close();
  const insert = file.prepare('INSERT INTO acts_waiting (number, replica, name, body) VALUES (?, ?, ?, ?)');
  insert.run(1_000, replica, recorded, JSON.stringify(body));
  insert.run(1_001, replica, 'feedfacefeedface', JSON.stringify({ ...body, act: 'lost' }));
  // Another process on the same database records its own.
  insert.run(1_002, 'another', '0123456789abcdef', JSON.stringify({ ...body, act: 'foreign' }));
  file.close();
  const second = await startProcess();
  expect((await harness.acts()).map(({ act }) => act)).toEqual(['publish', 'lost']);
  second.kill('SIGKILL');
  await ended(second);
  await startProcess();
  expect((await harness.acts()).map(({ act }) => act)).toEqual(['publish', 'lost']);
});

function segments(): string {
  return readFileSync(join(harness.config.state_dir, 'audit', '0000000000000001.log'), 'latin1');
}
