import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const POLICY = join(import.meta.dirname, '..', '..', '..', 'examples', 'demo-policy');

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command as a process; `isReaderGone` closes the pipe before anything was read. */
async function main(argv: readonly string[], options: { readonly isReaderGone?: boolean } = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['--conditions=sallyport-src', join(import.meta.dirname, 'main.ts'), ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let [out, err] = ['', ''];
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  if (options.isReaderGone === true) child.stdout.destroy();
  else child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

describe('the command as a process', () => {
  it('answers on standard output with 0', async () => {
    expect(await main(['--version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' });
  });

  it('refuses on standard error with the code of the refusal', async () => {
    expect(await main(['policy', 'check', 'nowhere'])).toMatchObject({ code: 64, out: '' });
    expect(await main(['polcy', 'check'])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('did you mean `policy check`?'),
    });
  });

  it('does not complain that its reader has gone', async () => {
    expect(await main(['policy', 'publish', '--help'], { isReaderGone: true })).toMatchObject({ code: 0, err: '' });
  });

  describe('an answer that does not arrive', () => {
    /** The command behind a shell, which says where its standard output goes. */
    const inShell = async (script: string, argv: readonly string[]): Promise<Ended> => {
      const node = [process.execPath, '--conditions=sallyport-src', join(import.meta.dirname, 'main.ts'), ...argv];
      const child = spawn('/bin/sh', ['-c', script, 'sh', ...node], { stdio: ['ignore', 'pipe', 'pipe'] });
      let err = '';
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, out: '', err };
    };

    // Not run off Linux: the one output that can be opened and takes nothing is this device.
    it.skipIf(!existsSync('/dev/full')).each([
      ['an answer', ['policy', 'check', POLICY], 'sallyport policy check', 1],
      ['an answer for programs', ['policy', 'check', POLICY, '--json'], 'sallyport policy check', 1],
      ['a refusal for programs', ['policy', 'check', 'nowhere', '--json'], 'sallyport policy check', 64],
      ['help', ['policy', 'publish', '--help'], 'sallyport policy publish', 1],
    ])('is no success: %s on a full disk', async (_name, argv, typed, code) => {
      expect(await inShell('exec "$@" > /dev/full', argv)).toEqual({
        code,
        out: '',
        err: `${typed}: cannot write to standard output: the disk is full\n`,
      });
    });

    it('is no success where the disk took a part of it', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'sallyport-full-'));
      const file = join(dir, 'help');
      closeSync(openSync(file, 'w'));
      // One block of 512 or 1024 bytes: the first write is cut short, and says so by its count alone.
      const ended = await inShell(`ulimit -f 1; exec "$@" > '${file}'`, ['policy', 'publish', '--help']);
      const { size } = statSync(file);
      rmSync(dir, { recursive: true });
      expect([size === 512 || size === 1024, ended.code]).toEqual([true, 1]);
      expect(ended.err).toBe('sallyport policy publish: cannot write to standard output: the file is as large as it may become\n');
    });
  });
});
