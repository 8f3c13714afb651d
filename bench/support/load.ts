/**
 * Load and what came of it. Throughput is driven by `wrk` where it is installed, which leaves more of its core to the tool
 * server than a generator in JavaScript can; latency at a constant rate always by our own.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, run } from './children.ts';

/** What to ask, of which port of 127.0.0.1. */
export interface Call {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Load extends Call {
  readonly connections: number;
  readonly seconds: number;
  /** Not counted, before `seconds`. */
  readonly warmUpSeconds: number;
  /** Calls a second, begun on time; without it, as many as are answered. */
  readonly ratePerSecond?: number;
}

/** Sorted, in milliseconds. `lateMs`: how late the generator itself was. */
export interface Measured {
  readonly perSecond: number;
  readonly ms: readonly number[];
  readonly lateMs: readonly number[];
}

const GENERATOR = join(import.meta.dirname, '..', 'process', 'load-generator.ts');

/** `wrk` or our own generator, as the report names it. */
export const throughputGenerator: 'wrk' | 'own' = spawnSync('wrk', ['--version']).error === undefined ? 'wrk' : 'own';

/** Calls at a constant rate. */
export async function constantRate(load: Load & { readonly ratePerSecond: number }): Promise<Measured> {
  return ownGenerator(load);
}

async function ownGenerator(load: Load): Promise<Measured> {
  return JSON.parse(await run('load', [process.execPath, GENERATOR], { input: JSON.stringify(load) })) as Measured;
}

export interface Throughput {
  readonly perSecond: number;
  /** Part of its core that the proxy used, 1 being all of it. */
  readonly busy: number;
}

/** As many calls as get answered; every answer must be 200. `proxy` is who is measured. */
export async function throughput(load: Load, proxy: Child): Promise<Throughput> {
  if (load.warmUpSeconds > 0) await atFullSpeed({ ...load, seconds: load.warmUpSeconds, warmUpSeconds: 0 });
  const before = { at: performance.now(), cpuMs: proxy.cpuMs() };
  const perSecond = await atFullSpeed({ ...load, warmUpSeconds: 0 });
  // The generator's own start and end are in the time, and so in the divisor only: the share is a little low, never high.
  return { perSecond, busy: (proxy.cpuMs() - before.cpuMs) / (performance.now() - before.at) };
}

async function atFullSpeed(load: Load): Promise<number> {
  return throughputGenerator === 'wrk' ? wrk(load) : (await ownGenerator(load)).perSecond;
}

async function wrk({ port, path, headers, body, connections, seconds }: Load): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-wrk-'));
  try {
    const script = join(dir, 'call.lua');
    const quoted = (value: string): string => JSON.stringify(value);
    const fields = Object.entries(headers).map(([name, value]) => `wrk.headers[${quoted(name)}] = ${quoted(value)}`);
    writeFileSync(
      script,
      `wrk.method = "POST"
wrk.body = ${quoted(body)}
${fields.join('\n')}
function done(summary)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"calls":%d,"us":%d,"errors":%d}\\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`,
    );
    const argv = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, `http://127.0.0.1:${port}${path}`];
    const result = JSON.parse(/^RESULT (.*)$/m.exec(await run('load', argv))?.[1] ?? '{}') as Record<'calls' | 'us' | 'errors', number>;
    if (result.errors !== 0) throw new Error(`${result.errors} calls to ${path} on port ${port} were not answered 200`);
    return result.calls / (result.us / 1_000_000);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
