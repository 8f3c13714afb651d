import { cpSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { Server as HttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { addMs } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import { lockState, realFileSystem, systemClock } from '@sallyport/runtime';
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest';
import { homeOf } from '../home.ts';
import type { Io } from '../io.ts';
import { judgeDisk, judgeNode } from '../onboard/doctor/machine.ts';
import { judgeHome } from '../onboard/doctor/trust.ts';
import { smallPolicy, writePolicy } from '../testing/policies.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

interface Line {
  readonly check: string;
  readonly health: string;
  readonly says: string;
  readonly remedy: string | null;
}

/** The folder of a root is made once and copied: keys take their time. */
let made: Terminal;
beforeAll(async () => {
  made = terminal();
  await made.type('root', 'init', '--development', '--grpc', '127.0.0.1:1', '--enrolment', '127.0.0.1:2');
});
afterAll(() => made.close());

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** A machine that was set up, before something goes wrong with it; `laterMs` is how far its clock is ahead. */
function machine(laterMs = 0): Terminal {
  const real = systemClock();
  const clock: Clock = { ...real, wall: () => addMs(real.wall(), laterMs) };
  const at = terminal({ clock });
  open.push(at);
  cpSync(made.path('.sallyport'), at.path('.sallyport'), { recursive: true });
  writePolicy(at, 'policy');
  return at;
}

async function examined(at: Terminal, ...argv: readonly string[]): Promise<{ readonly exit: number; readonly lines: readonly Line[] }> {
  const { exit, err, json } = await at.type('doctor', '--json', ...argv);
  expect(err).toBe('');
  return { exit, lines: json()['checks'] as readonly Line[] };
}

async function listening(server: Server | HttpServer): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const DAY_MS = 86_400_000;

describe('a machine that is well', () => {
  it('hears so, and what to start', async () => {
    const { exit, lines } = await examined(machine());
    expect([exit, lines.filter(({ health }) => health !== 'ok').map(({ check, says }) => [check, says])]).toEqual([
      0,
      [
        ['control plane', 'does not run'],
        ['sidecar', 'there is no sidecar.yaml here'],
      ],
    ]);
    expect(lines.find(({ check }) => check === 'control plane')?.remedy).toBe(
      'sallyport control-plane --config .sallyport/control-plane/config.yaml',
    );
    expect(lines.map(({ says }) => says)).toEqual(
      expect.arrayContaining([
        'root 1 ends in 364 days',
        'the freshness key ends in 29 days',
        '127.0.0.1:1 is free',
        'policy builds: 1 rule, 1 tool, 2 tests passed',
      ]),
    );
  });

  it('hears what to begin with where nothing is set up at all', async () => {
    const at = terminal();
    open.push(at);
    const { exit, lines } = await examined(at);
    expect([exit, lines.map(({ check, health, remedy }) => [check, health, remedy])]).toEqual([
      0,
      [
        ['node', 'ok', null],
        ['root of trust', 'warn', 'sallyport root init --development; sallyport dev needs none'],
        ['sidecar', 'warn', 'name it with --sidecar-config; sallyport dev needs none'],
        ['policy', 'warn', 'sallyport init --server URL, or name the folder with --policy'],
      ],
    ]);
  });

  it('reads as lines with their remedies below', async () => {
    const at = terminal();
    open.push(at);
    expect((await at.type('doctor')).out.replace(process.versions.node, '<version>').replaceAll(at.dir, '<folder>')).toMatchInlineSnapshot(`
      "ok    node           <version>
      warn  root of trust  there is none at <folder>/.sallyport
                           sallyport root init --development; sallyport dev needs none
      warn  sidecar        there is no sidecar.yaml here
                           name it with --sidecar-config; sallyport dev needs none
      warn  policy         there is no folder policy here
                           sallyport init --server URL, or name the folder with --policy

      nothing is broken; 3 warnings
      "
    `);
  });

  it('hears of the folder that it means, from a folder below it', () => {
    const at = machine();
    at.write('deep/er/x', '');
    const io = { cwd: at.path('deep/er'), env: {}, clock: at.clock } as unknown as Io;
    expect(judgeHome(homeOf(undefined, io), io).checks).toEqual([
      {
        subject: 'root of trust',
        health: 'warn',
        says: `there is none at ${at.path('deep/er/.sallyport')}, but one at ${at.path('.sallyport')}`,
        remedy: `go to ${at.dir}, or say --dir ${at.path('.sallyport')}`,
      },
    ]);
  });
});

/** What is broken, for real; the check that has to fail; what it says; what to do. */
const FAULTS: readonly (readonly [name: string, breakIt: (at: Terminal) => unknown, check: string, says: RegExp, remedy: RegExp | null])[] =
  [
    ['a pin that is none', (at) => at.write('.sallyport/root-pin', 'x\n'), 'root of trust', /root-pin: holds no digest/, /64 hex digits/],
    [
      'a pin of another root',
      (at) => at.write('.sallyport/root-pin', `sha256:${'0'.repeat(64)}\n`),
      'root of trust',
      /not the pinned one|pin/,
      null,
    ],
    [
      'no root behind the pin',
      (at) => rmSync(at.path('.sallyport/root'), { recursive: true }),
      'root of trust',
      /cannot be read: there is no such file/,
      /--dir/,
    ],
    [
      'a root that was tampered with',
      (at) => at.write('.sallyport/root/1.json', at.read('.sallyport/root/1.json').replace('"payload":"ey', '"payload":"eX')),
      'root of trust',
      /./,
      null,
    ],
    [
      'nobody who may publish',
      (at) => rmSync(at.path('.sallyport/delegations/default.json')),
      'delegations',
      /holds none: nobody may publish/,
      /registrar/,
    ],
    [
      'a delegation that nobody signed',
      (at) => at.write('.sallyport/delegations/default.json', '{}'),
      'delegations',
      /default\.json: /,
      /registrar has to sign it anew/,
    ],
    [
      'online keys that nobody signed',
      (at) => at.write('.sallyport/online-keys.json', '{}'),
      'online keys',
      /online-keys\.json: /,
      /releaser has to sign it anew/,
    ],
    ['no online keys', (at) => rmSync(at.path('.sallyport/online-keys.json')), 'online keys', /cannot be read/, null],
    [
      'a certificate that is none',
      (at) => at.write('.sallyport/admin/admin.crt', 'x'),
      'administrators',
      /holds no certificate in PEM/,
      null,
    ],
    [
      'a signing key that others can read',
      (at) => at.mode('.sallyport/signing/publisher.pem', 0o640),
      'private keys',
      /publisher\.pem can be reached by others \(mode 0640\)/,
      /^chmod 600 '/,
    ],
    [
      'a key of the control plane that others can read',
      (at) => at.mode('.sallyport/control-plane/freshness.pem', 0o604),
      'private keys',
      /freshness\.pem .*mode 0604/,
      /^chmod 600 '/,
    ],
    [
      'a configuration with a misspelled key',
      (at) => at.write('.sallyport/control-plane/config.yaml', `${at.read('.sallyport/control-plane/config.yaml')}freshnes_ttl_ms: 5\n`),
      'control plane config',
      /config\.yaml:\d+.*freshnes_ttl_ms/,
      /freshness_ttl_ms/,
    ],
    [
      'a state folder that others can enter',
      (at) => (at.write('.sallyport/control-plane/state/x', ''), at.mode('.sallyport/control-plane/state', 0o755)),
      'control plane state',
      /others can enter .* \(mode 0755\)/,
      /^chmod 700 '/,
    ],
    [
      'a state folder that is a file',
      (at) => at.write('.sallyport/control-plane/state', ''),
      'control plane state',
      /is not a folder/,
      /state_dir/,
    ],
    [
      'a policy that does not build',
      (at) => at.write('policy/x.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n'),
      'policy',
      /policy\/x\.yaml:2: .*`Polcy` is not a kind/,
      null,
    ],
    [
      'a policy whose tests fail',
      (at) => writePolicy(at, 'policy', smallPolicy({ expect: 'no_matching_policy' })),
      'policy',
      /rules\.yaml:\d+/,
      null,
    ],
    [
      'a sidecar with a configuration that does not hold',
      (at) => at.write('sidecar.yaml', 'agent: helper\n'),
      'sidecar config',
      /sidecar\.yaml:.*state_dir/,
      null,
    ],
    [
      'a sidecar that trusts another root',
      (at) => sidecarYaml(at, { pin: `sha256:${'1'.repeat(64)}` }),
      'sidecar root pin',
      /^sha256:1{12}… is not the pin of /,
      /would believe another control plane/,
    ],
    ['a sidecar whose pin is none', (at) => sidecarYaml(at, { pin: 'x' }), 'sidecar root pin', /holds no digest/, /root-pin/],
    [
      'a sidecar whose pin is not there',
      (at) => (sidecarYaml(at), rmSync(at.path('pin'))),
      'sidecar root pin',
      /pin: cannot be read/,
      /root-pin/,
    ],
    [
      'a sidecar whose key others can read',
      (at) => (
        sidecarYaml(at),
        at.write('sidecar-state/identity/tls.pem', 'x'),
        at.mode('sidecar-state/identity/tls.pem', 0o644),
        at.mode('sidecar-state', 0o700)
      ),
      'private keys',
      /tls\.pem can be reached by others/,
      /chmod 600/,
    ],
    [
      'a sidecar folder that others can enter',
      (at) => (sidecarYaml(at), at.write('sidecar-state/x', ''), at.mode('sidecar-state', 0o750)),
      'sidecar state',
      /others can enter/,
      /chmod 700/,
    ],
  ];

interface SidecarFacts {
  readonly pin?: string;
  readonly outbound?: string;
  readonly health?: string;
}

function sidecarYaml(at: Terminal, { pin, outbound = '127.0.0.1:3', health = '127.0.0.1:4' }: SidecarFacts = {}): void {
  at.write('pin', `${pin ?? at.read('.sallyport/root-pin').trim()}\n`);
  at.write(
    'sidecar.yaml',
    `agent: helper\nstate_dir: sidecar-state\nroot_pin_file: pin\nallow_development_root: true\noutbound: { listen: ${outbound} }\nhealth: { listen: ${health} }\n`,
  );
}

describe('a fault is found, said with its remedy, and exits with 1', () => {
  it.each(FAULTS)('%s', async (_name, breakIt, check, says, remedy) => {
    const at = machine();
    breakIt(at);
    const { exit, lines } = await examined(at);
    const failed = lines.filter(({ health }) => health === 'fail');
    expect([exit, failed.map((line) => line.check)]).toEqual([1, expect.arrayContaining([check])]);
    expect(failed.every((line) => line.check === check)).toBe(true);
    expect(failed.map((line) => line.says).join('\n')).toMatch(says);
    if (remedy !== null) expect(failed.map((line) => line.remedy).join('\n')).toMatch(remedy);
  });

  it('a port of the control plane that another program has', async () => {
    const at = machine();
    const address = await listening(createServer());
    at.write('.sallyport/control-plane/config.yaml', at.read('.sallyport/control-plane/config.yaml').replace('127.0.0.1:2', address));
    const { exit, lines } = await examined(at);
    expect(exit).toBe(1);
    expect(lines.filter(({ health }) => health === 'fail')).toEqual([
      {
        check: 'control plane port',
        health: 'fail',
        says: `${address} is in use by another process`,
        remedy: 'stop that one, or choose another address as listen.enrolment',
      },
    ]);
  });

  it('a port of the sidecar that another program has', async () => {
    const at = machine();
    sidecarYaml(at, { outbound: await listening(createServer()) });
    expect((await examined(at)).lines.filter(({ health }) => health === 'fail')).toMatchObject([
      { check: 'sidecar port', remedy: expect.stringContaining('outbound.listen') },
    ]);
  });

  it('an address with nobody, and one with another program, where the control plane is meant to be', async () => {
    const at = machine();
    const nobody = (await examined(at, '--control-plane', '127.0.0.1:9')).lines.filter(({ health }) => health === 'fail');
    expect(nobody).toMatchObject([{ check: 'control plane answers', says: 'nobody listens at 127.0.0.1:9' }]);
    const address = await listening(createHttpServer((_request, response) => response.end('hello')));
    const other = (await examined(at, '--control-plane', address)).lines.filter(({ health }) => health === 'fail');
    expect(other).toMatchObject([
      {
        check: 'control plane answers',
        says: expect.stringContaining(`what listens at ${address} does not prove to be the control plane of this root`),
      },
    ]);
  });

  it.each([
    [23, 'online keys', 'warn', /^the freshness key ends in 6 days$/],
    [
      31,
      'online keys',
      'fail',
      /^the freshness key ended 24 hours ago$|^the freshness key ended 1 days ago$|^the freshness key ended .* ago$/,
    ],
    [340, 'root of trust', 'warn', /^root 1 ends in 24 days$/],
    [366, 'root of trust', 'fail', /^root 1 ended .* ago$/],
    [366, 'administrators', 'fail', /^the certificate of admin ended .* ago$/],
    [366, 'delegations', 'fail', /./],
  ])('%d days later, %s: %s', async (days, check, health, says) => {
    const { exit, lines } = await examined(machine(days * DAY_MS));
    const line = lines.find((one) => one.check === check && one.health === health);
    expect([exit === 1, line?.says]).toEqual([lines.some((one) => one.health === 'fail'), expect.stringMatching(says)]);
    expect(line?.remedy).not.toBeNull();
  });

  it('a clock that is behind the certificates', async () => {
    const { lines } = await examined(machine(-3_600_000));
    expect(lines).toContainEqual({
      check: 'administrators',
      health: 'fail',
      says: 'the certificate of admin is not valid yet',
      remedy: 'is the clock of this machine right?',
    });
  });

  it('a Node that is too old', () => {
    expect(judgeNode('20.20.2')).toMatchObject({ health: 'fail', says: '20.20.2 is older than 24' });
    expect([judgeNode('24.0.0').health, judgeNode('26.10.0').health]).toEqual(['ok', 'ok']);
  });

  // Not run off Linux: /proc is the one file system that is always there and never has room.
  it.runIf(process.platform === 'linux')('a disk without room: one that never has any', () => {
    expect(judgeDisk('disk', '/proc/self')).toMatchObject({ health: 'fail', says: '0 MB free at /proc/self' });
    expect(judgeDisk('disk', '/')).toMatchObject({ subject: 'disk' });
  });
});

describe('a sidecar that runs', () => {
  const READY = {
    ready: true,
    reason: 'fresh',
    state: 'fresh',
    release_seq: 4,
    policy_age_ms: 3_000,
    ttl_ms: 900_000,
    identity: 'spiffe://demo.local/sidecar/helper/one',
    identity_expires_at: new Date(systemClock().wall() + 3_000_000).toISOString(),
    connected: true,
    development_root: true,
    draining: false,
  };

  /** Its health port says what a sidecar says; its state folder is held by a living process. */
  async function running(status: object | string, { records = 0, seconds = 0 } = {}): Promise<readonly Line[]> {
    const at = machine();
    const metrics = `# HELP sallyport_audit_backlog_records x\nsallyport_audit_backlog_records ${records}\nsallyport_audit_backlog_age_seconds ${seconds}\n`;
    const health = await listening(
      createHttpServer((request, response) =>
        response.end(request.url === '/metrics' ? metrics : typeof status === 'string' ? status : JSON.stringify(status)),
      ),
    );
    const outbound = await listening(createServer());
    sidecarYaml(at, { health, outbound });
    at.write('sidecar-state/x', '');
    at.mode('sidecar-state', 0o700);
    open.push({ close: lockState(realFileSystem(), at.path('sidecar-state'), 'sidecar') });
    const { lines } = await examined(at);
    return lines.filter(({ check }) => check.startsWith('sidecar') || check === 'audit backlog');
  }

  it('names credentials that are too old or cannot be read', async () => {
    const lines = await running({ ...READY, stale_credentials: ['orders-read'], failing_credentials: ['desk', 'mail'] });
    expect(lines.filter(({ check }) => check === 'sidecar credentials')).toMatchObject([
      { health: 'warn', says: 'older than their max_age: orders-read' },
      { health: 'warn', says: 'cannot be read now: desk, mail' },
    ]);
  });

  it('says whether the agent could go round it, and warns where that is not what was vouched for', async () => {
    const said = async (isolation: string, reasons: readonly string[]): Promise<readonly unknown[]> =>
      (await running({ ...READY, isolation, isolation_reasons: reasons }))
        .filter(({ check }) => check === 'sidecar isolation')
        .map(({ health, says }) => [health, says]);
    expect(await said('advisory', ['same_user', 'state_open'])).toEqual([
      ['warn', 'configured as enforced, and advisory: same_user, state_open'],
    ]);
    expect(await said('advisory', ['not_vouched'])).toEqual([['ok', 'advisory, as configured: the agent could go round the sidecar']]);
    expect(await said('enforced', [])).toEqual([['ok', 'enforced: nothing that the sidecar sees speaks against it']]);
    expect(await said('half', [])).toEqual([]);
  });

  it('fails for credentials that leaked days ago and are in use, and warns of others that leaked', async () => {
    const said = async (leaked: readonly string[], critical: readonly string[]): Promise<readonly unknown[]> =>
      (await running({ ...READY, leaked_credentials: leaked, critical_credentials: critical }))
        .filter(({ check }) => check === 'sidecar credentials')
        .map(({ health, says }) => [health, says]);
    expect(await said(['desk'], [])).toEqual([['warn', 'leaked, and in use: desk']]);
    expect(await said(['desk'], ['desk'])).toEqual([['fail', 'leaked five days ago or more, and in use: desk']]);
    expect(await said(['desk', 'mail'], ['desk'])).toEqual([
      ['fail', 'leaked five days ago or more, and in use: desk'],
      ['warn', 'leaked, and in use: desk, mail'],
    ]);
  });

  it('is well', async () => {
    const lines = await running(READY, { records: 3, seconds: 1 });
    expect(lines.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(lines.map(({ says }) => says)).toEqual(
      expect.arrayContaining([
        `runs as process ${process.pid}`,
        'ready: enforces release 4, 3 seconds of 15 minutes old',
        '3 records that the collector does not have yet',
        expect.stringMatching(/is in use by its own process \d+$/),
      ]),
    );
  });

  it.each<[string, object | string, string, string, RegExp, RegExp]>([
    [
      'has no policy',
      { ...READY, ready: false, reason: 'no release yet' },
      'sidecar readiness',
      'fail',
      /^not ready: no release yet$/,
      /policy publish/,
    ],
    [
      'waits for nobody',
      { ...READY, ready: false, reason: 'no bundle', connected: false },
      'sidecar readiness',
      'fail',
      /./,
      /is the control plane running/,
    ],
    [
      'is stale',
      { ...READY, ready: false, reason: 'expired' },
      'sidecar readiness',
      'fail',
      /^not ready: expired$/,
      /start the control plane/,
    ],
    [
      'cannot keep records',
      { ...READY, ready: false, reason: 'journal_full: x' },
      'sidecar readiness',
      'fail',
      /journal_full/,
      /journal_bytes_max/,
    ],
    ['is draining', { ...READY, ready: false, reason: 'draining' }, 'sidecar readiness', 'fail', /draining/, /ending/],
    [
      'has heard nothing for long',
      { ...READY, policy_age_ms: 500_000 },
      'sidecar readiness',
      'warn',
      /500 seconds|8 minutes of 15 minutes old/,
      /every call is refused/,
    ],
    ['is cut off', { ...READY, connected: false }, 'sidecar readiness', 'warn', /not connected/, /start the control plane/],
    [
      'cannot renew its certificate',
      { ...READY, connected: false, identity_expires_at: new Date(systemClock().wall() + 600_000).toISOString() },
      'sidecar identity',
      'warn',
      /ends in 9 minutes/,
      /join token/,
    ],
    [
      'has lost its certificate',
      { ...READY, identity_expires_at: '2020-01-01T00:00:00.000Z' },
      'sidecar identity',
      'fail',
      /ended/,
      /join token/,
    ],
    ['is another program', 'hello', 'sidecar readiness', 'fail', /not a sidecar/, /another program/],
  ])('%s', async (_name, status, check, health, says, remedy) => {
    const lines = await running(status);
    expect(lines.filter((line) => line.health !== 'ok').map((line) => [line.check, line.health])).toContainEqual([check, health]);
    const line = lines.find((one) => one.check === check && one.health === health);
    expect(line?.says).toMatch(says);
    expect(line?.remedy).toMatch(remedy);
  });

  it.each([
    [1_001, 2],
    [1, 61],
  ])('keeps %d records for %d seconds', async (records, seconds) => {
    expect(await running(READY, { records, seconds })).toContainEqual({
      check: 'audit backlog',
      health: 'warn',
      says: `${records} record${records === 1 ? '' : 's'} that the collector does not have yet, for ${seconds} s`,
      remedy: 'is the control plane up, and has it room?',
    });
  });

  it('has a health port that nobody answers at', async () => {
    const at = machine();
    sidecarYaml(at);
    at.write('sidecar-state/x', '');
    at.mode('sidecar-state', 0o700);
    open.push({ close: lockState(realFileSystem(), at.path('sidecar-state'), 'sidecar') });
    const { exit, lines } = await examined(at);
    expect([exit, lines.filter(({ health }) => health === 'fail').map(({ check }) => check)]).toEqual([1, ['sidecar readiness']]);
    expect(lines).toContainEqual(
      expect.objectContaining({
        check: 'sidecar port',
        health: 'warn',
        says: expect.stringContaining('runs and does not listen at 127.0.0.1:3'),
      }),
    );
  });

  it('has the port of its callers looked at where it has one', async () => {
    const at = machine();
    sidecarYaml(at);
    const files = 'certificate_file: tls.pem, key_file: tls.key';
    at.write(
      'sidecar.yaml',
      `${at.read('sidecar.yaml')}inbound: { listen: "127.0.0.1:28443", ${files}, agent: { url: "http://127.0.0.1:28444" } }\n`,
    );
    const { lines } = await examined(at);
    expect(lines.filter(({ check, says }) => check === 'sidecar port' && says.includes('127.0.0.1:28443'))).toHaveLength(1);
  });

  it('does not run, and says how to start it: with an identity, with a token, with neither', async () => {
    const at = machine();
    sidecarYaml(at);
    const remedy = async (): Promise<string | null | undefined> =>
      (await examined(at)).lines.find(({ check }) => check === 'sidecar')?.remedy;
    expect(await remedy()).toMatch(
      /^sallyport agents join-token --agent helper --out FILE.*; then sallyport sidecar --config sidecar\.yaml$/,
    );
    at.write('sidecar.yaml', `${at.read('sidecar.yaml')}control_plane: { join_token_file: token }\n`);
    expect(await remedy()).toBe('sallyport agents join-token --agent helper --out token; then sallyport sidecar --config sidecar.yaml');
    at.write('token', 'x');
    expect(await remedy()).toBe('sallyport sidecar --config sidecar.yaml');
  });
});
