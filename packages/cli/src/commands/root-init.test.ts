import { existsSync, statSync } from 'node:fs';
import { readCertificate, verifyChain } from '@sallyport/crypto';
import { CONTROL_PLANE_CONFIG } from '@sallyport/control-plane';
import { readConfig } from '@sallyport/runtime';
import { EMPTY_HIGH_WATER, judgeRootExpiry, trustDelegation, trustOnlineKeys, trustRoot } from '@sallyport/trust';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pemCertificates } from '../pem.ts';
import { terminal, withoutFolder } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

const modeOf = (name: string): string => (statSync(at.path(name)).mode & 0o777).toString(8);
const bytesOf = (name: string): Uint8Array => new TextEncoder().encode(at.read(name));

describe('root init', () => {
  it('makes a folder in which everything follows from the pin', async () => {
    const { exit, err } = await at.type('root', 'init', '--development', '--admin', 'alice');
    expect([exit, err]).toEqual([0, '']);
    const pin = at.read('.sallyport/root-pin').trim();
    const root = trustRoot({ pin: pin as never, chain: [bytesOf('.sallyport/root/1.json')], allowDevelopmentRoot: true });
    if (!root.ok) throw new Error(root.error.detail);
    const context = { root: root.value, highWater: EMPTY_HIGH_WATER, at: at.clock.wall() };
    expect(judgeRootExpiry(root.value, at.clock.wall())).toBeUndefined();
    expect(trustDelegation(bytesOf('.sallyport/delegations/default.json'), context).ok).toBe(true);
    expect(trustOnlineKeys(bytesOf('.sallyport/online-keys.json'), context).ok).toBe(true);
    expect([root.value.role('release').threshold, root.value.rollbackThreshold, root.value.role('release').keys.length]).toEqual([1, 2, 2]);
    const chain = pemCertificates(at.read('.sallyport/admin/alice.crt'));
    const authorities = root.value.certificateAuthorities.map(({ certificate }) => certificate);
    expect(verifyChain(chain, authorities, at.clock.wall()).ok).toBe(true);
    expect(chain.map((der) => readCertificate(der)?.spiffeId)).toEqual(['spiffe://demo.local/admin/alice', 'spiffe://demo.local']);
  });

  it('moves in beside what `init` and `dev` keep there, and beside nothing else', async () => {
    at.write('.sallyport/dev-issuer/key.pem', 'mine');
    at.write('.sallyport/dev/log', 'mine');
    expect(await at.type('root', 'init', '--development')).toMatchObject({ exit: 0 });
    expect([at.read('.sallyport/dev-issuer/key.pem'), at.read('.sallyport/dev/log')]).toEqual(['mine', 'mine']);
    expect(at.read('.sallyport/root-pin')).toMatch(/^sha256:/);
    at.write('other/note', 'mine');
    expect(await at.type('root', 'init', '--development', '--dir', 'other')).toMatchObject({ exit: 1 });
  });

  it('writes a configuration that the control plane takes, with no key in reach that it must not have', async () => {
    await at.type('root', 'init', '--development');
    const config = readConfig(CONTROL_PLANE_CONFIG, { file: at.path('.sallyport/control-plane/config.yaml') });
    expect(config.ok).toBe(true);
    expect((await at.type('control-plane', '--config', '.sallyport/control-plane/config.yaml', '--check-config')).exit).toBe(0);
    expect(at.read('.sallyport/control-plane/config.yaml')).not.toContain('signing');
  });

  it('keeps private files to their owner', async () => {
    await at.type('root', 'init', '--development');
    const files = ['signing/root', 'signing/registrar', 'signing/release-1', 'signing/release-2', 'signing/publisher'];
    const online = [
      'control-plane/freshness',
      'control-plane/revocation',
      'control-plane/audit',
      'control-plane/workload-ca',
      'admin/admin',
    ];
    expect([...files, ...online].map((name) => modeOf(`.sallyport/${name}.pem`))).toEqual(Array.from({ length: 10 }, () => '600'));
    expect(['.sallyport', '.sallyport/signing', '.sallyport/control-plane', '.sallyport/admin'].map(modeOf)).toEqual([
      '700',
      '700',
      '700',
      '700',
    ]);
  });

  it('lists what it made by its name', async () => {
    const { out } = await at.type('root', 'init', '--development');
    const named = [...out.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name ?? '');
    expect(named.toSorted()).toEqual(['admin/', 'control-plane/', 'delegations/', 'online-keys.json', 'root-pin', 'root/', 'signing/']);
    expect(named.filter((name) => !existsSync(at.path(`.sallyport/${name}`)))).toEqual([]);
  });

  it.each([
    ['--grpc', '0.0.0.0:7443', true],
    ['--enrolment', '10.0.0.7:7445', true],
    ['--grpc', '[::1]:7443', false],
  ])('tells who listens for others how they find it: %s %s', async (option, address, isTold) => {
    const { out } = await at.type('root', 'init', '--development', option, address);
    expect(out.includes('in server_names of .sallyport/control-plane/config.yaml')).toBe(isTold);
  });

  it('makes other keys each time', async () => {
    const pins = [];
    for (const dir of ['a', 'b']) pins.push((await at.type('root', 'init', '--development', '--dir', dir, '--json')).json()['root_pin']);
    expect(new Set(pins).size).toBe(2);
  });

  it('answers as JSON, and reads the folder from the environment', async () => {
    const elsewhere = terminal({ env: { SALLYPORT_DIR: 'from-env' } });
    const { out } = await elsewhere.type('root', 'init', '--development', '--json');
    const answer = JSON.parse(withoutFolder(out, elsewhere)) as Record<string, unknown>;
    elsewhere.close();
    expect(answer).toMatchObject({ dir: '<folder>/from-env', profile: 'development', trust_domain: 'demo.local', admin: 'admin' });
    expect(answer['next']).toBe('sallyport control-plane --config from-env/control-plane/config.yaml');
    expect(Object.keys(answer)).toEqual([
      'dir',
      'profile',
      'trust_domain',
      'root_pin',
      'admin',
      'expires_at',
      'online_keys_until',
      'files',
      'next',
    ]);
  });

  it('refuses to write over anything, and leaves it as it is', async () => {
    at.write('.sallyport/note', 'mine');
    const { exit, out, err } = await at.type('root', 'init', '--development');
    expect([exit, out]).toEqual([1, '']);
    expect(err).toContain('is not empty, and nothing in it is overwritten (name another folder with --dir');
    expect(at.read('.sallyport/note')).toBe('mine');
  });

  it('leaves nothing behind where it cannot finish', async () => {
    at.write('taken', 'a file');
    expect((await at.type('root', 'init', '--development', '--dir', 'taken/below')).exit).toBe(64);
    expect((await at.type('root', 'init', '--development', '--dir', 'taken')).exit).toBe(1);
    expect(at.read('taken')).toBe('a file');
  });

  it('says every wrong name at once', async () => {
    const { exit, err } = await at.type(
      'root',
      'init',
      '--development',
      '--trust-domain',
      'Demo',
      '--admin',
      '../x',
      '--grpc',
      'here',
      '--enrolment',
      'unix:/x',
    );
    expect(exit).toBe(2);
    for (const option of ['--trust-domain', '--admin', '--grpc', '--enrolment']) expect(err).toContain(option);
  });

  it('makes no production root: no single machine should', async () => {
    const { exit, err } = await at.type('root', 'init');
    expect([exit, err]).toEqual([2, expect.stringContaining('add --development')]);
  });
});
