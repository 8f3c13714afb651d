/** What a newcomer gets: the package from npm in an empty folder, on whatever Node the machine has. */

import { systemClock } from '@sallyport/runtime';
import { tokenIssuer } from '@sallyport/testkit';
import type { Instant } from '@sallyport/model';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../../../packages/cli/src/demo/free-port.ts';
import { buildArtefact } from '../../../scripts/artefact/build.ts';
import { cacheFolder } from '../../../scripts/artefact/compile-cache.ts';
import { installArtefact, oldNode, type Installation, type Ran } from '../../support/artefact.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, request } from '../../support/world.ts';

const CEILING_MS = 40_000;
const OLD = oldNode();
/** What the machine calls `node`: this one, and one that the product is not written for. */
const MACHINES: readonly (readonly [string, string])[] = [
  ['this Node', process.execPath],
  ...(OLD === undefined ? [] : [['an old Node', OLD] as const]),
];

let installed: Installation;

beforeAll(async () => {
  installed = await installArtefact();
}, 120_000);

afterAll(async () => {
  await installed.close();
});

function good({ exit, stdout, stderr }: Ran): string {
  expect({ exit, stderr }).toMatchObject({ exit: 0 });
  return stdout;
}

describe.each(MACHINES)('on a machine whose `node` is %s', (_, node) => {
  test('the command says its version and its commands', async () => {
    const { version } = JSON.parse(readFileSync(join(installed.packageDir, 'package.json'), 'utf8')) as { version: string };
    expect(good(await installed.run(['--version'], { node }))).toBe(`${version}\n`);
    expect(good(await installed.run(['--help'], { node }))).toContain('policy');
    expect(good(await installed.run(['sidecar', '--help'], { node }))).toContain('Usage: sallyport sidecar');
  });

  test('a policy copied from the examples is checked', async () => {
    cpSync(join(installed.packageDir, 'examples', 'demo-policy'), join(installed.dir, 'policy'), { recursive: true });
    expect(good(await installed.run(['policy', 'check', 'policy'], { node }))).toContain('ok: ');
  });

  test('a wrong word is exit 2, and a missing configuration 64, under the flags of the process as well', async () => {
    expect((await installed.run(['policcy'], { node })).exit).toBe(2);
    expect((await installed.run(['sidecar', '--confg', 'x'], { node })).exit).toBe(2);
    expect((await installed.run(['sidecar', '--config', 'none.yaml'], { node })).exit).toBe(64);
  });
});

const REFUSED = 'an old Node with none beside it is refused in words';
test.skipIf(OLD === undefined)(OLD === undefined ? `${REFUSED} (not run: needs a Node older than 24)` : REFUSED, () => {
  const alone = mkdtempSync(join(tmpdir(), 'sallyport-alone-'));
  try {
    cpSync(installed.packageDir, alone, { recursive: true });
    const ran = spawnSync(OLD ?? '', [join(alone, 'bin', 'sallyport.mjs'), '--version'], { encoding: 'utf8' });
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^sallyport needs Node 24 or later, and this is v\d+/);
  } finally {
    rmSync(alone, { recursive: true, force: true });
  }
});

describe('a first call', () => {
  let tool: Server;
  let reached = 0;

  beforeAll(async () => {
    tool = createServer((incoming, answer) => {
      reached++;
      incoming.resume().on('end', () => answer.writeHead(200, { 'content-type': 'application/json' }).end('{"state":"open"}'));
    }).listen(0, '127.0.0.1');
    await once(tool, 'listening');
  });
  afterAll(() => tool.close());

  test('from an empty folder to one call allowed and one denied', async () => {
    const node = OLD ?? process.execPath;
    const run = async (...argv: string[]): Promise<string> => good(await installed.run(argv, { node }));
    const clock = systemClock();
    const idp = tokenIssuer();
    const [grpc = 0, enrolment = 0, outbound = 0, health = 0] = await freePorts(4);
    await run('root', 'init', '--development', '--grpc', `127.0.0.1:${grpc}`, '--enrolment', `127.0.0.1:${enrolment}`);
    const plane = installed.start(['control-plane', '--config', '.sallyport/control-plane/config.yaml'], { node });
    await eventually(
      async () => (await installed.run(['fleet', 'status', '--json'], { node })).exit === 0,
      'the control plane',
      CEILING_MS,
    );

    const { port } = tool.address() as AddressInfo;
    mkdirSync(join(installed.dir, 'orders'));
    writeFileSync(join(installed.dir, 'orders', 'policy.yaml'), ordersPolicy(`http://127.0.0.1:${port}`, READ_ORDERS, idp));
    await run('policy', 'publish', 'orders');
    await run('agents', 'join-token', '--agent', 'support-triage', '--out', 'join-token');
    writeFileSync(join(installed.dir, 'sidecar.yaml'), sidecarYaml({ grpc, enrolment, outbound, health }));
    const sidecar = installed.start(['sidecar', '--config', 'sidecar.yaml'], { node });
    const isReady = async (): Promise<boolean> =>
      (await request(health, '/readyz', { method: 'GET' }).catch(() => undefined))?.status === 200;
    await eventually(isReady, 'readiness', CEILING_MS);

    const claims = { claims: { roles: ['support-rep'], tenant_id: 'acme', ticket_id: 'A-4711' } };
    const opened = await request(outbound, '/session', {
      headers: { authorization: `Bearer ${idp.mint(clock.wall() as Instant, claims)}` },
    });
    const headers = { 'sallyport-session': opened.json()['token'] as string, 'content-type': 'application/json' };
    const call = (order: string): ReturnType<typeof request> =>
      request(outbound, '/tools/orders/get_order', { headers, body: JSON.stringify({ order_id: order }) });
    expect(await call('O-000123')).toMatchObject({ status: 200, text: '{"state":"open"}' });
    const denied = await call('everything');
    expect(denied.status).toBe(422);
    expect(denied.json()).toMatchObject({ code: 'schema_violation', effect: 'none' });
    expect(reached).toBe(1);

    for (const app of [sidecar, plane]) {
      const ended = once(app, 'exit');
      app.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    }
  });

  function sidecarYaml(ports: Readonly<Record<'grpc' | 'enrolment' | 'outbound' | 'health', number>>): string {
    return `agent: support-triage
state_dir: sidecar-state
root_pin_file: .sallyport/root-pin
allow_development_root: true
control_plane: { address: "127.0.0.1:${ports.grpc}", enrolment_address: "127.0.0.1:${ports.enrolment}", join_token_file: join-token }
outbound: { listen: "127.0.0.1:${ports.outbound}" }
health: { listen: "127.0.0.1:${ports.health}" }
`;
  }
});

describe('the stories of the command line', () => {
  const node = OLD ?? process.execPath;

  test('the demo plays as promised', async () => {
    const told = JSON.parse(good(await installed.run(['demo', '--json'], { node }))) as { readonly steps: readonly unknown[] };
    expect(told.steps.length).toBeGreaterThan(10);
  });

  test('dev runs a command behind a sidecar of its own', async () => {
    cpSync(join(installed.packageDir, 'examples', 'demo-policy'), join(installed.dir, 'dev-policy'), { recursive: true });
    const told = await installed.run(['dev', '--policy', 'dev-policy', '--', 'sh', '-c', 'echo "at $SALLYPORT_URL"'], { node });
    expect(good(told)).toMatch(/at http:\/\/127\.0\.0\.1:\d+/);
  });
});

describe('the process', () => {
  const NO_CONFIG = ['sidecar', '--config', 'none.yaml'];

  // Not run off Linux: the flags of a running process are read from /proc.
  test.runIf(process.platform === 'linux')('has the launch flags, and no second one waits for it', async () => {
    const dir = mkdtempSync(join(installed.dir, 'plane-'));
    const grpc = await freePorts(2);
    expect(good(await installed.run(['root', 'init', '--development', '--dir', dir, ...addresses(grpc)]))).not.toBe('');
    const child = installed.start(['control-plane', '--config', join(dir, 'control-plane', 'config.yaml')]);
    const commandLine = (): string => readFileSync(`/proc/${String(child.pid)}/cmdline`, 'utf8');
    await eventually(async () => commandLine().includes('--disallow-code-generation-from-strings'), 'the launch flags', CEILING_MS);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });

  test('finds the code that was compiled ahead', async () => {
    const { stderr } = await installed.run(NO_CONFIG, { env: { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' } });
    expect(stderr).toMatch(/V8 code cache for ESM file:\S+\/lib\/sidecar\.mjs was accepted/);
  });

  test('has the environment of launch-flags.json, and does not load undici, as an import of node:http would', async () => {
    const tell = "process.on('exit', () => console.error('ARENAS', process.env.MALLOC_ARENA_MAX, 'LOADED', process.moduleLoadList.join()))";
    const { stderr } = await installed.run(NO_CONFIG, {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` },
    });
    expect(stderr).toMatch(/ARENAS 1 LOADED .*NativeModule http\b/);
    expect(stderr).not.toContain('undici');
  });

  test('runs the same without, as on another Node', async () => {
    const cache = join(installed.packageDir, cacheFolder());
    renameSync(cache, `${cache}-of-another`);
    try {
      const { exit, stderr } = await installed.run(NO_CONFIG, { env: { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' } });
      expect(exit).toBe(64);
      expect(stderr).not.toContain('was accepted');
    } finally {
      renameSync(`${cache}-of-another`, cache);
    }
  });

  function addresses([grpc = 0, enrolment = 0]: readonly number[]): string[] {
    return ['--grpc', `127.0.0.1:${grpc}`, '--enrolment', `127.0.0.1:${enrolment}`];
  }
});

describe('the package', () => {
  test('brings a Node for old machines and no other dependency', () => {
    const manifest = JSON.parse(readFileSync(join(installed.packageDir, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect(manifest).toMatchObject({ name: 'sallyport', bin: { sallyport: 'bin/sallyport.mjs' } });
    expect(Object.keys(manifest)).not.toContain('dependencies');
    expect(Object.keys(manifest['optionalDependencies'] as object).filter((name) => !name.startsWith('node-'))).toEqual([]);
  });

  test('holds bundles, examples, flags and notices, and nothing of a clone', () => {
    expect(readdirSync(installed.packageDir).toSorted()).toEqual(
      [
        'LICENSE',
        'README.md',
        'THIRD-PARTY-NOTICES',
        'bin',
        'compile-cache',
        'examples',
        'launch-flags.json',
        'lib',
        'package.json',
      ].toSorted(),
    );
    const files = readdirSync(installed.packageDir, { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => /\.test\.|\.map$|\.pem$|node_modules/.test(file))).toEqual([]);
    expect(readFileSync(join(installed.packageDir, 'THIRD-PARTY-NOTICES'), 'utf8')).toContain('@grpc/grpc-js');
  });

  test('is the same to the byte when it is built again, but for the compiled code', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'sallyport-twice-'));
    try {
      const prints = [];
      for (const name of ['one', 'two']) {
        const { packageDir } = await buildArtefact({ outDir: join(scratch, name), isCompiledAhead: false });
        prints.push(fingerprint(packageDir));
      }
      expect(prints[1]).toEqual(prints[0]);
      expect(Object.keys(prints[0] ?? {})).toContain('lib/sidecar.mjs');
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});

/** Path to digest of every file. */
function fingerprint(dir: string): Readonly<Record<string, string>> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
  return Object.fromEntries(
    paths.map((path) => [path.slice(dir.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}
