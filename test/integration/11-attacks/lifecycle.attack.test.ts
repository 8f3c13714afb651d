import { Fault } from '@sallyport/model';
import { realFileSystem, type FileSystem } from '@sallyport/runtime';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, request, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const REFUND = `${READ_ORDERS.trim()}
---
kind: Tool
name: orders/refund
effect: write
route: { method: POST, path: /refund }
---
kind: Policy
agent: support-triage
rules:
  - { id: refund, allow: [orders/refund], for: { roles: [support-rep] } }
`;

let up: RecordingUpstream;
let world: World;
beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, REFUND, world.idp));
});
afterEach(() => up.answer({ kind: 'json', body: { ok: true } }));
afterAll(async () => {
  await world?.close();
  await up?.close();
});

let nth = 0;
async function start(options: Parameters<World['startSidecar']>[0] = {}): Promise<RunningSidecar> {
  const sidecar = await world.startSidecar({ name: `one-${++nth}`, ...options });
  await eventually(() => sidecar.ready(), 'readiness');
  return sidecar;
}

interface Line {
  readonly kind: string;
  readonly stream: string;
  readonly decision_id?: string;
  readonly tool?: string;
  readonly result?: string;
}
const lines = async (): Promise<readonly Line[]> => (await world.admin.tail('records')).map((line) => JSON.parse(line) as Line);
const readyz = (sidecar: RunningSidecar): ReturnType<typeof request> => request(sidecar.healthPort, '/readyz', { method: 'GET' });

describe('a drain while a write is out that never ends', () => {
  it('says at once that it is leaving, cuts the write when its grace is over, and closes the stream after the OUTCOME', async () => {
    const sidecar = await start({ config: { drain_ms: 300 } });
    const session = await sidecar.session();
    up.answer({ kind: 'hang' });
    const before = up.requests.length;
    const answer = sidecar.call('orders/refund', {}, session).catch((error: unknown) => error);
    await up.arrived(before + 1);
    const drained = sidecar.drain();
    const leaving = await readyz(sidecar);
    expect([leaving.status, leaving.json()['reason']]).toEqual([503, 'draining']);
    await Promise.all([drained, answer]);
    const isRefund = (line: Line): boolean => line.kind === 'DECISION' && line.tool === 'orders/refund';
    const all = await eventually(async () => {
      const seen = await lines();
      return seen.some(({ kind, stream }) => kind === 'CLOSE' && stream === seen.findLast(isRefund)?.stream) && seen;
    }, 'CLOSE');
    const refund = all.findLast(isRefund);
    expect(all.filter(({ kind, decision_id: id }) => kind === 'OUTCOME' && id === refund?.decision_id)).toMatchObject([{ result: 'cut' }]);
  });

  it('asked twice it is one drain, with one CLOSE and nothing logged as wrong', async () => {
    const sidecar = await start();
    const logged = world.log.length;
    await Promise.all([sidecar.sidecar.drain(), sidecar.sidecar.drain()]);
    await sidecar.sidecar.drain();
    sidecar.abandon();
    expect(world.log.slice(logged).filter((line) => /"level":"(error|warn)"/.test(line))).toEqual([]);
  });
});

describe('the journal', () => {
  let isStopped = false;
  afterEach(async () => {
    if (isStopped) await world.restartControlPlane();
    isStopped = false;
  });

  it('ends on a failed sync: every call is refused, and readiness says why', async () => {
    let isFailing = false;
    const sidecar = await start({
      config: { drain_ms: 100 },
      disk: failingWhen(
        () => isFailing,
        (path) => path.includes('/journal/'),
      ),
    });
    const session = await sidecar.session();
    expect((await sidecar.call('orders/refund', {}, session)).status).toBe(200);
    isFailing = true;
    const before = up.requests.length;
    expect((await sidecar.call('orders/refund', {}, session)).json()).toMatchObject({ code: 'audit_unavailable', effect: 'none' });
    isFailing = false;
    expect((await sidecar.call('orders/get_order', { order_id: 'O-000123' }, session)).json()).toMatchObject({ code: 'audit_unavailable' });
    expect(up.requests).toHaveLength(before);
    const ready = await readyz(sidecar);
    expect([ready.status, ready.json()]).toMatchObject([503, { ready: false, state: 'fresh', reason: expect.stringContaining('journal') }]);
    await sidecar.drain();
  });

  it('is full when the sidecar starts: it ships what is there, and then serves', async () => {
    const config = {
      drain_ms: 100,
      audit: {
        segment_bytes_max: 65_536,
        journal_bytes_max: 1_048_576,
        checkpoint_records: 1_000,
        checkpoint_interval_ms: 10_000,
        refusal_records_per_window: 1_000,
      },
    };
    const name = `one-${nth + 1}`;
    const first = await start({ config });
    const session = await first.session();
    await world.stopControlPlane();
    isStopped = true;
    const code = async (): Promise<unknown> => {
      const answer = await first.call('orders/get_order', { order_id: 'O-000123' }, session);
      return answer.status === 200 ? undefined : answer.json()['code'];
    };
    await eventually(async () => (await Promise.all(Array.from({ length: 50 }, code))).includes('audit_unavailable'), 'a full journal');
    const ready = await readyz(first);
    expect([ready.status, ready.json()['reason']]).toEqual([503, expect.stringContaining('full')]);
    await first.drain();

    // Crash after crash: each start wants room for its own first line.
    for (let i = 0; i < 3; i++) {
      const again = await world.startSidecar({ name, config, withToken: false });
      expect((await readyz(again)).json()).toMatchObject({ ready: false, reason: expect.stringContaining('full') });
      await again.drain();
    }
    await world.restartControlPlane();
    isStopped = false;
    const last = await world.startSidecar({ name, config, withToken: false });
    await eventually(() => last.ready(), 'readiness');
    expect((await last.call('orders/get_order', { order_id: 'O-000123' }, await last.session())).status).toBe(200);
    await last.drain();
  }, 60_000);
});

/** The machine's disk, of which some files fail to sync while told. */
function failingWhen(isFailing: () => boolean, which: (path: string) => boolean): FileSystem {
  const disk = realFileSystem();
  return {
    ...disk,
    open(path, mode) {
      const file = disk.open(path, mode);
      const sync = async (): Promise<void> => {
        if (isFailing() && which(path)) throw new Fault('store_failed', 'internal', `while syncing \`${path}\`: EIO`);
        await file.sync();
      };
      return {
        path: file.path,
        size: () => file.size(),
        read: (position, bytesMax) => file.read(position, bytesMax),
        append: (...chunks) => file.append(...chunks),
        truncate: (bytes) => file.truncate(bytes),
        sync,
        syncNow: () => file.syncNow(),
        close: () => file.close(),
      };
    },
  };
}

describe('strangers on the agent’s port', () => {
  it('a flood of refusals is some records and one count, each answered alike', async () => {
    const audit = { segment_bytes_max: 65_536, journal_bytes_max: 1_048_576, checkpoint_records: 1_000, checkpoint_interval_ms: 10_000 };
    const sidecar = await start({ config: { audit: { ...audit, refusal_records_per_window: 5 } } });
    const answers = await Promise.all(Array.from({ length: 40 }, () => sidecar.request('/tools/orders/get_order', { body: '{}' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    await sidecar.drain();
    const ids = new Set(answers.map((answer) => answer.json()['decision_id']));
    const all = await eventually(async () => {
      const seen = await lines();
      const stream = seen.find(({ decision_id: id }) => ids.has(id))?.stream;
      return seen.some((line) => line.kind === 'CLOSE' && line.stream === stream) && seen.filter((line) => line.stream === stream);
    }, 'CLOSE');
    expect(all.filter(({ decision_id: id }) => ids.has(id))).toHaveLength(5);
    expect(all.filter(({ kind }) => kind === 'REFUSED')).toMatchObject([
      { code: 'unauthenticated', source: '127.0.0.1', count: 35, samples: ['POST /tools/orders/get_order'] },
    ]);
  });
});

describe('an identity that is not this sidecar’s', () => {
  it('another agent’s in its folder: it does not start, and says what is wrong', async () => {
    const name = `one-${nth + 1}`;
    const sidecar = await start();
    await sidecar.drain();
    await expect(world.startSidecar({ name, withToken: false, config: { agent: 'somebody-else' } })).rejects.toThrow(/somebody-else/);
    await expect(world.startSidecar({ name, withToken: false, config: { instance: 'two' } })).rejects.toThrow(/two/);
  });

  it.each(['null', '[]', '{}', '{"counter":1,"tls":["AAAA"],"audit":["AAAA"]}', '{"counter":1,"tls":[7],"audit":[{}]}'])(
    'certificates that read %s: as good as none',
    async (text) => {
      const name = `one-${nth + 1}`;
      const sidecar = await start();
      await sidecar.drain();
      writeFileSync(join(sidecar.stateDir, 'identity', 'certificates.json'), text);
      const again = await world.startSidecar({ name, withToken: false });
      const ready = (await readyz(again)).json();
      expect(ready).toMatchObject({ ready: false, reason: expect.stringContaining('not enrolled') });
      await again.drain();
    },
  );

  it('a key file that is no key: it does not start, and names the file and not what is in it', async () => {
    const name = `one-${nth + 1}`;
    const sidecar = await start();
    await sidecar.drain();
    const path = join(sidecar.stateDir, 'identity', 'tls.pem');
    const pem = readFileSync(path, 'utf8');
    writeFileSync(path, pem.slice(0, 80));
    const failure = await world.startSidecar({ name, withToken: false }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Fault);
    expect((failure as Fault).message).toContain('tls.pem');
    expect((failure as Fault).message).not.toContain(pem.split('\n')[1]?.slice(0, 16));
  });
});

describe('the process', () => {
  const dirs: string[] = [];
  afterEach(() => dirs.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

  /** A sidecar without control plane and identity: it opens its ports and denies. */
  function configuration(more: string): { file: string; socket: string } {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-process-'));
    dirs.push(dir);
    mkdirSync(join(dir, 'state'));
    writeFileSync(join(dir, 'root-pin'), `sha256:${'0'.repeat(64)}\n`);
    writeFileSync(
      join(dir, 'sidecar.yaml'),
      `agent: support-triage\nstate_dir: ${dir}/state\nroot_pin_file: ${dir}/root-pin\noutbound: { listen: "127.0.0.1:0" }\ndrain_ms: 500\n${more}`,
    );
    return { file: join(dir, 'sidecar.yaml'), socket: join(dir, 'state', 'admin', 'socket') };
  }

  function run(file: string, ...args: string[]): { exit: Promise<number | null>; stop: () => void; output: () => string } {
    const main = new URL('../../../packages/sidecar/src/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--conditions=sallyport-src', main, '--config', file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    return { exit: once(child, 'exit').then(([code]) => code as number | null), stop: () => child.kill('SIGKILL'), output: () => output };
  }

  it('asked to drain over its socket, ends with 0', async () => {
    const { file, socket } = configuration('health: { listen: "127.0.0.1:0" }\n');
    const child = run(file);
    await eventually(() => existsSync(socket) && child.output().includes('started'), 'a start');
    const sent = httpRequest({ socketPath: socket, method: 'POST', path: '/drain', agent: false });
    sent.end();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume: () => void }];
    response.resume();
    expect([response.statusCode, await child.exit]).toEqual([202, 0]);
    expect(child.output()).toContain('"stopped"');
  });

  it('whose port is taken, ends with 1 and does not linger with the others open', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const taken = (other.address() as AddressInfo).port;
    const { file } = configuration(`health: { listen: "127.0.0.1:0" }\n`);
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('outbound: { listen: "127.0.0.1:0" }', `outbound: { listen: "127.0.0.1:${taken}" }`),
    );
    const child = run(file);
    expect(await child.exit).toBe(1);
    expect(child.output()).toContain(String(taken));
    other.close();
  });

  it('told sizes that cannot go together, ends with 64 before it opens anything', async () => {
    const { file, socket } = configuration(
      'health: { listen: "127.0.0.1:0" }\naudit: { journal_bytes_max: 1048576 }\nlimits: { bytes_in_flight_max: 1048576, request_body_bytes_max: 2097152 }\n',
    );
    for (const args of [[], ['--check-config']]) {
      const child = run(file, ...args);
      expect(await child.exit).toBe(64);
      expect(child.output()).toContain('journal_bytes_max');
      expect(child.output()).toContain('request_body_bytes_max');
      expect(existsSync(socket)).toBe(false);
    }
  });
});
