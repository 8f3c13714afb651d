import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

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
});
