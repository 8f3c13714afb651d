import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificatePem } from '@sallyport/crypto/keys';
import { testAuthority } from '@sallyport/testkit';
import { run } from './run.ts';

describe('the sidecar as a command', () => {
  let dir: string;
  let said: { out: string; err: string };
  const servers: Server[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-run-'));
    said = { out: '', err: '' };
    writeFileSync(join(dir, 'root-pin'), `sha256:${'0'.repeat(64)}\n`);
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const io = { stdout: (text: string) => void (said.out += text), stderr: (text: string) => void (said.err += text) };
  const config = (more = ''): string => {
    const file = join(dir, 'sidecar.yaml');
    writeFileSync(file, `agent: support\nstate_dir: ${dir}/state\nroot_pin_file: ${dir}/root-pin\n${more}`);
    return file;
  };

  it('says how it is used, on request with 0 and otherwise with 2', async () => {
    expect([await run(['--help'], io), said]).toMatchObject([0, { out: expect.stringContaining('Usage: sallyport sidecar'), err: '' }]);
    for (const argv of [[], ['--config'], ['--nothing'], ['--config', 'a', 'b']]) {
      said = { out: '', err: '' };
      expect([await run(argv, io), said]).toMatchObject([2, { out: '', err: expect.stringContaining('Usage: sallyport sidecar') }]);
    }
  });

  it('--check-config says what is wrong, all of it, and touches nothing', async () => {
    const file = config('agnet: typo\nlimits: { sessions_max: -1 }\n');
    expect(await run(['--config', file, '--check-config'], io)).toBe(64);
    expect(said.err).toContain('agnet');
    expect(said.err).toContain('sessions_max');
    said = { out: '', err: '' };
    expect(await run(['--config', config(), '--check-config'], io)).toBe(64);
    expect(said.err).toContain('control_plane.join_token_file: missing, and there is no identity yet');
    mkdirSync(join(dir, 'state', 'identity'), { recursive: true });
    writeFileSync(join(dir, 'state', 'identity', 'certificates.json'), '{}');
    said = { out: '', err: '' };
    expect(await run(['--config', config(), '--check-config'], io)).toBe(0);
    expect(said).toEqual({ out: `${file}: ok\n`, err: '' });
  });

  it('--check-config reads the certificates of its ports as well', async () => {
    mkdirSync(join(dir, 'state', 'identity'), { recursive: true });
    writeFileSync(join(dir, 'state', 'identity', 'certificates.json'), '{}');
    const files = { certificate: join(dir, 'tls.pem'), key: join(dir, 'tls.key') };
    const inbound = `inbound: { certificate_file: ${files.certificate}, key_file: ${files.key}, agent: { url: "http://127.0.0.1:9" } }\n`;
    const checked = async (): Promise<unknown> => {
      said = { out: '', err: '' };
      return [await run(['--config', config(inbound), '--check-config'], io), said.err];
    };
    const [code, missing] = (await checked()) as [number, string];
    expect(code).toBe(64);
    for (const key of ['certificate_file', 'key_file']) expect(missing).toContain(`inbound.${key}: cannot read`);
    const authority = await testAuthority();
    const [one, other] = [await authority.issue('/sidecar/support/1'), await authority.issue('/sidecar/support/2')];
    writeFileSync(files.certificate, one.chain.map((der) => certificatePem(der)).join(''));
    writeFileSync(files.key, other.privatePem);
    expect(await checked()).toEqual([64, expect.stringContaining('inbound.key_file: the key does not fit the certificate')]);
    writeFileSync(files.key, one.privatePem);
    expect(await checked()).toEqual([0, '']);
  });

  it('does not start without a pin, or with sizes that cannot go together', async () => {
    writeFileSync(join(dir, 'root-pin'), 'trust me');
    expect(await run(['--config', config()], io)).toBe(64);
    expect(said.err).toContain('root_pin_file');
    said = { out: '', err: '' };
    expect(await run(['--config', config('limits: { answer_bytes_max: 67108864 }\naudit: { segment_bytes_max: 1073741824 }\n')], io)).toBe(
      64,
    );
    for (const path of ['limits.answer_bytes_max', 'audit.journal_bytes_max']) expect(said.err).toContain(path);
  });

  it('does not share its state with another: two would write one journal', async () => {
    mkdirSync(join(dir, 'state'));
    writeFileSync(join(dir, 'state', 'lock'), `${process.ppid} -\n`);
    expect(await run(['--config', config()], io)).toBe(1);
    expect(said.err).toContain('one sidecar at a time');
    expect(readdirSync(join(dir, 'state'))).toEqual(['lock']);
  });

  it('that cannot open its port ends with 1 and names it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    servers.push(other);
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    expect(await run(['--config', config(`health: { listen: "127.0.0.1:${port}" }\ndrain_ms: 0\n`)], io)).toBe(1);
    expect(said.err).toContain(`health.listen: cannot listen on \`127.0.0.1:${port}\`: it is in use by another process`);
  });
});
