/** A key behind a command: what it answers is believed only as far as its public half bears it out. */

import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOLDERS, ROOT_1, makeAuthority, makeSigners } from './testing/signers.ts';
import { terminal } from './testing/terminal.ts';
import type { Ran, Terminal } from './testing/terminal.ts';

let at: Terminal;
beforeEach(async () => {
  at = terminal();
  makeSigners(at, HOLDERS);
  await makeAuthority(at);
  await at.type(...ROOT_1, '--out', 'root-1');
});
afterEach(() => at.close());

/** OpenSSL 3.0 signs Ed25519 from a file alone, since it has to know the length; later ones read a pipe as well. */
const OPENSSL = (key: string, then = ''): string =>
  `f=$(mktemp) && cat > "$f" && openssl pkeyutl -sign -rawin -inkey ${key}.pem -in "$f"${then}; code=$?; rm -f "$f"; exit $code`;

function writeCommand(name: string, script: string, { key = 'alice', timeoutMs = 60_000 } = {}): void {
  at.write(`${name}.yaml`, `argv: [sh, -c, ${JSON.stringify(script)}]\npublic_key_file: ${key}.pub\ntimeout_ms: ${timeoutMs}\n`);
}
function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
const signBy = (name: string, ...more: readonly string[]): Promise<Ran> =>
  at.type('root', 'sign', 'root-1', '--key', `command:${name}.yaml`, '--out', `by-${name}`, ...more);

describe('a signing command', () => {
  it.each([
    ['raw', OPENSSL('alice')],
    ['in base64, with a line feed', OPENSSL('alice', ' | base64 -w0 && echo')],
  ])('signs with OpenSSL: %s', async (_name, script) => {
    writeCommand('hsm', script);
    const signed = await signBy('hsm', '--json');
    expect([signed.exit, signed.err]).toEqual([0, expect.stringContaining('root 1 of acme.test')]);
    const assembled = await at.type('root', 'sign', 'by-hsm', '--key', 'bob.pem', '--out', 'both', '--json');
    expect(assembled.json()).toMatchObject({ complete: true });
    expect((await at.type('root', 'assemble', 'both')).exit).toBe(0);
  });

  it.each([
    ['answers a signature of another’s key', OPENSSL('bob'), /answered a signature that key [0-9a-f]{32} did not make/],
    ['answers a signature over something else', `echo other > o && openssl pkeyutl -sign -rawin -inkey alice.pem -in o`, /did not make/],
    ['prints garbage', 'echo garbage', /answered no signature: 64 bytes, or their base64, were expected/],
    ['prints nothing', 'true', /answered no signature/],
    ['never stops printing', 'yes', /answered more than 1024 bytes/],
    ['fails', 'exit 3', /ended with 3/],
    ['signs, and fails all the same', OPENSSL('alice', '; exit 4'), /ended with 4/],
  ])('that %s signs nothing', async (_name, script, message) => {
    writeCommand('hsm', script);
    const ran = await signBy('hsm');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(at.path('by-hsm'))).toBe(false);
  });

  it('that hangs is ended, with what it started', async () => {
    writeCommand('hsm', 'echo touch it >&2; sleep 20 & echo $! > started; wait', { timeoutMs: 1_000 });
    const ran = await signBy('hsm');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(/touch it\n[^]*did not answer within 1000 ms/)]);
    const started = Number(at.read('started'));
    // Nobody is there any more to be signalled, once the system has collected it.
    await expect.poll(() => isRunning(started)).toBe(false);
    expect(existsSync(at.path('by-hsm'))).toBe(false);
  });

  it('of somebody who has no say is not even asked', async () => {
    writeCommand('hsm', 'touch asked', { key: 'erin' });
    expect(await signBy('hsm')).toMatchObject({ exit: 1, err: expect.stringContaining('signs nothing here') });
    expect(existsSync(at.path('asked'))).toBe(false);
  });

  it.each([
    ['that is not there', undefined, /hsm\.yaml/],
    ['without a command', 'argv: []\npublic_key_file: alice.pub\n', /argv/],
    ['without a public key', 'argv: [sh]\n', /public_key_file/],
    ['with a key that nobody can read', 'argv: [sh]\npublic_key_file: nowhere.pub\n', /nowhere\.pub/],
    ['with a field that means nothing', 'argv: [sh]\npublic_key_file: alice.pub\nshell: true\n', /shell/],
    ['that may take for ever', 'argv: [sh]\npublic_key_file: alice.pub\ntimeout_ms: 999999999\n', /timeout_ms/],
  ])('%s is refused before anything runs', async (_name, yaml, message) => {
    if (yaml !== undefined) at.write('hsm.yaml', yaml);
    const ran = await signBy('hsm');
    expect([ran.exit, ran.err]).toEqual([64, expect.stringMatching(message)]);
  });

  it('that cannot be run is named', async () => {
    at.write('hsm.yaml', 'argv: [./nowhere]\npublic_key_file: alice.pub\n');
    expect(await signBy('hsm')).toMatchObject({ exit: 1, err: expect.stringContaining('cannot be run: there is no such file or folder') });
  });

  it('signs bundles as well', async () => {
    await at.type('root', 'init', '--development');
    const { writePolicy } = await import('./testing/policies.ts');
    writePolicy(at, 'p');
    await at.type('policy', 'build', 'p', '--out', 'b');
    at.write('publisher.pem', at.read('.sallyport/signing/publisher.pem'));
    at.write('publisher.pub', at.read('alice.pub'));
    writeCommand('ci', OPENSSL('publisher'), { key: 'publisher' });
    expect(await at.type('bundle', 'sign', 'b', '--key', 'command:ci.yaml')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('did not make'),
    });
    writeCommand('ci', OPENSSL('alice'));
    const signed = await at.type('bundle', 'sign', 'b', '--key', 'command:ci.yaml', '--json');
    expect([signed.exit, signed.json()['signatures']]).toEqual([0, [expect.stringMatching(/^[0-9a-f]{32}$/)]]);
  });
});
