import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { certificatePem, generateKey } from '@sallyport/crypto/keys';
import type { Instant, Problem } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { controlPlaneHarness, flipBit, testAuthority } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';
import { readAuthority } from './authority.ts';
import type { ControlPlaneConfig } from './config.ts';
import { run } from './run.ts';

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness({ isStopped: true });
});
afterEach(async () => harness.close());

const file = (name: string): string => join(harness.directory, name);

function problems(config: Partial<ControlPlaneConfig> = {}, now: Instant = harness.clock.wall()): readonly Problem[] {
  const read = readAuthority({ ...harness.config, ...config }, { disk: realFileSystem(), now });
  return read.ok ? [] : read.error;
}

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(file(name), content, { mode: 0o600 });
  return file(name);
}

describe('a start judges keys and signed files', () => {
  test('what belongs together is fine', () => {
    expect(problems()).toEqual([]);
  });

  test.each(['publisher-1', 'publisher-2', 'registrar-1', 'registrar-2', 'release-1', 'release-2', 'root-1', 'root-2'])(
    'stolen control plane: with the key of %s it does not start',
    (name) => {
      const role = name.split('-')[0] ?? '';
      const audit_key_file = write('bad.pem', harness.simulator.privatePem(name));
      expect(problems({ audit_key_file })).toMatchObject([
        { path: 'audit_key_file', message: expect.stringContaining(`a ${role} key`) as string },
      ]);
    },
  );

  test.each(['publisher-1', 'release-2', 'root-1'])(
    'stolen control plane: with the key of %s lying beside its own, under any name and mode, it does not start',
    (name) => {
      writeFileSync(file('notes.txt'), harness.simulator.privatePem(name), { mode: 0o644 });
      expect(problems()).toMatchObject([{ message: expect.stringMatching(/notes\.txt` is a (publisher|release|root) key/) as string }]);
    },
  );

  test('a stranger’s key, a certificate or nonsense beside its own keeps nobody from starting', () => {
    write('stranger.pem', generateKey('ed25519').privatePem);
    write('nonsense.pem', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    write('large', 'x'.repeat(100_000));
    expect(problems()).toEqual([]);
  });

  test('one key in two roles: each private key serves one', () => {
    expect(problems({ audit_key_file: harness.config.freshness_key_file })).toMatchObject([
      { path: 'audit_key_file', message: 'this is the same key as `freshness_key_file`' },
    ]);
  });

  test('keys that Root or the online keys do not list are refused', () => {
    const stranger = write('stranger.pem', generateKey('ed25519').privatePem);
    expect(problems({ freshness_key_file: stranger }).map(({ path }) => path)).toEqual(['freshness_key_file']);
    expect(problems({ revocation_key_file: stranger }).map(({ path }) => path)).toEqual(['revocation_key_file']);
  });

  test('a CA that Root does not list, or whose key is another, is refused', async () => {
    const other = await testAuthority(harness.simulator.trustDomain);
    const certificate_file = write('other.crt', certificatePem(other.ca.certificate));
    const key_file = write('other.pem', other.ca.privatePem);
    expect(problems({ workload_ca: { certificate_file, key_file } })).toMatchObject([
      { path: 'workload_ca.certificate_file', message: 'root 2 does not list this CA' },
    ]);
    expect(problems({ workload_ca: { ...harness.config.workload_ca, key_file } })).toMatchObject([{ path: 'workload_ca.key_file' }]);
    expect(problems({ workload_ca: { ...harness.config.workload_ca, certificate_file: write('no.crt', 'no certificate') } })).toMatchObject(
      [{ path: 'workload_ca.certificate_file' }],
    );
  });

  test('development root in production: it has to be allowed', () => {
    expect(problems({ allow_development_root: false })).toMatchObject([
      { path: 'root_files', message: expect.stringContaining('allow_development_root') as string },
    ]);
  });

  test('a pin of another root, or no pin, is refused: there is no trust on first use', () => {
    expect(problems({ root_pin_file: write('pin', `sha256:${'0'.repeat(64)}`) })).toMatchObject([{ path: 'root_files' }]);
    expect(problems({ root_pin_file: write('pin', 'latest') })).toMatchObject([{ path: 'root_pin_file' }]);
    expect(problems({ root_pin_file: file('absent') })).toMatchObject([
      { path: 'root_pin_file', message: expect.stringContaining('there is no file') as string },
    ]);
  });

  test('a chain of roots with a missing link is refused', () => {
    const [first = '', second = ''] = harness.config.root_files;
    expect(problems({ root_files: [second, first] })).toMatchObject([{ path: 'root_files' }]);
  });

  test('a flipped bit in a delegation or in the online keys is refused', () => {
    const delegation = write('bent.json', flipBit(readFileSync(file('delegation.json')), 200));
    expect(problems({ delegation_files: [delegation] })).toMatchObject([{ path: 'delegation_files[0]' }]);
    const keys = write('bent-keys.json', flipBit(readFileSync(file('online-keys.json')), 200));
    expect(problems({ online_keys_file: keys }).map(({ path }) => path)).toContain('online_keys_file');
  });

  test('an area that is delegated twice is ambiguous', () => {
    const twice = [file('delegation.json'), file('delegation.json')];
    expect(problems({ delegation_files: twice })).toMatchObject([
      { path: 'delegation_files[1]', message: expect.stringContaining('twice') as string },
    ]);
  });

  test('a ttl beyond what Root allows, or below what its profile does, is refused', () => {
    expect(problems({ freshness_ttl_ms: 86_400_000 })).toMatchObject([{ path: 'freshness_ttl_ms' }]);
    expect(problems({ freshness_ttl_ms: 1_000 })).toMatchObject([{ path: 'freshness_ttl_ms' }]);
    expect(problems({ freshness_ttl_ms: 2_000 })).toEqual([]);
  });

  test('an expired root is refused', () => {
    expect(problems({}, (harness.clock.wall() + 400 * 86_400_000) as Instant)).toMatchObject([
      { path: 'root_files', message: expect.stringContaining('expired') as string },
    ]);
  });

  test('a key that others can read is refused', () => {
    chmodSync(harness.config.revocation_key_file, 0o644);
    expect(problems()).toMatchObject([{ path: 'revocation_key_file', message: expect.stringContaining('0644') as string }]);
  });

  test('gRPC has no Unix socket here', () => {
    const listen = { ...harness.config.listen, enrolment: { kind: 'unix', path: '/run/x.sock' } as const };
    expect(problems({ listen })).toMatchObject([{ path: 'listen.enrolment' }]);
  });

  test('all problems at once, each with its place', () => {
    const stranger = write('stranger.pem', generateKey('ed25519').privatePem);
    const found = problems({
      freshness_key_file: stranger,
      audit_key_file: file('absent.pem'),
      freshness_ttl_ms: 1,
      online_keys_file: file('absent.json'),
    });
    expect(found.map(({ path }) => path).toSorted()).toEqual(['audit_key_file', 'freshness_ttl_ms', 'online_keys_file']);
  });
});

describe('the command', () => {
  const io = (): { readonly out: string[]; readonly err: string[]; stdout(text: string): void; stderr(text: string): void } => {
    const [out, err]: [string[], string[]] = [[], []];
    return { out, err, stdout: (text) => void out.push(text), stderr: (text) => void err.push(text) };
  };

  test('--check-config says yes, and opens nothing', async () => {
    const told = io();
    expect(await run(['--config', harness.configFile, '--check-config'], told)).toBe(0);
    expect(told.out).toEqual([`${harness.configFile}: ok\n`]);
    expect(() => readFileSync(join(harness.config.state_dir, 'control-plane.db'))).toThrow('ENOENT');
  });

  test('a bad configuration is exit 64 with every problem and its place, before any port opens', async () => {
    const told = io();
    const text = readFileSync(harness.configFile, 'utf8')
      .replace('"freshness_key_file"', '"freshnes_key_file"')
      .replace('"127.0.0.1:0"', '"everywhere"');
    expect(await run(['--config', write('bad.yaml', text)], told)).toBe(64);
    const said = told.err.join('');
    for (const word of ['freshnes_key_file', 'listen.grpc', 'bad.yaml']) expect(said).toContain(word);
  });

  test('files that do not fit are exit 64 too', async () => {
    rmSync(file('freshness.pem'));
    writeFileSync(file('freshness.pem'), harness.simulator.privatePem('release-1'), { mode: 0o600 });
    const told = io();
    expect(await run(['--config', harness.configFile], told)).toBe(64);
    expect(told.err.join('')).toContain('never lives in a control plane');
  });

  test.each([[[]], [['--confg', 'x']], [['--config']], [['serve']]])('used wrongly (%j) it explains itself and exits 2', async (argv) => {
    const told = io();
    expect(await run(argv, told)).toBe(2);
    expect(told.err.join('')).toContain('Usage: sallyport control-plane');
  });

  test('--help has an example', async () => {
    const told = io();
    expect(await run(['--help'], told)).toBe(0);
    expect(told.out.join('')).toContain('Example:');
  });

  test('a state folder that cannot be made is exit 1 and says which', async () => {
    const told = io();
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-not-a-folder-'));
    const text = readFileSync(harness.configFile, 'utf8').replace('"state"', JSON.stringify(`${write('plain', 'x')}/state`));
    expect(await run(['--config', write('nowhere.yaml', text)], told)).toBe(1);
    expect(told.err.join('')).toContain('plain/state');
    rmSync(directory, { recursive: true });
  });
});
