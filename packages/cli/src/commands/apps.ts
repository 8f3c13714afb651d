/** `sallyport sidecar` and `sallyport control-plane`: the apps, each loaded only when it is the one to run. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Problem } from '@sallyport/model';
import { homeOfConfig, keepDevelopmentKeys, renewDevelopmentKeys } from '../ceremony/renew-development.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { at } from '../files.ts';
import type { Exit, Io } from '../io.ts';
import { flag, required } from '../option.ts';

const OPTIONS = {
  config: required('--config FILE', 'its configuration, YAML'),
  checkConfig: flag('--check-config', 'only say whether the configuration and the files that it names are right'),
} as const;

/** What an app's `run` wants of the world; its log goes to standard output by itself. */
interface AppIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** What is wrong with the configuration, with its places; lines of `stderr` where it is left out. */
  readonly problems?: (problems: readonly Problem[]) => void;
}

type RunApp = (argv: readonly string[], io: AppIo) => Promise<number>;

/** `remedy`: where one gets a configuration from. */
async function runApp(run: RunApp, { options, io, out }: Invocation<typeof OPTIONS>, remedy: string): Promise<Exit> {
  const file = at(io.cwd, options.config);
  if (!existsSync(file))
    return out.refuse({
      exit: 64,
      problems: [{ path: '', file: options.config, message: `there is no such file (looked for ${file})`, remedy }],
    });
  const argv = argvOf(options, io);
  const stdout = (text: string): void => void io.write(text);
  if (!options.json) return (await run(argv, { stdout, stderr: io.note })) as Exit;
  // What the app says besides is lines. Its log is JSON by itself.
  const said: Problem[] = [];
  const stderr = (text: string): unknown =>
    said.push(
      ...text
        .trimEnd()
        .split('\n')
        .map((message) => ({ path: '', message })),
    );
  const problems = (found: readonly Problem[]): unknown => said.push(...found);
  const exit = (await run(argv, { stdout: options.checkConfig ? () => undefined : stdout, stderr, problems })) as Exit;
  if (exit !== 0) return out.refuse({ exit, problems: said });
  if (options.checkConfig) await out.answer({ ok: true }, '');
  return 0;
}

/** The path as it was typed, wherever the app finds the same file by it: problems name it so. */
function argvOf({ config, checkConfig }: { readonly config: string; readonly checkConfig: boolean }, { cwd }: Io): readonly string[] {
  const path = at(cwd, config);
  return ['--config', resolve(config) === path ? config : path, ...(checkConfig ? ['--check-config'] : [])];
}

export const sidecar: Command = command({
  name: 'sidecar',
  group: 'Run',
  summary: 'stand beside an agent and judge every call of it',
  details: [
    'Every key of the configuration: docs/reference/sidecar-config.md. Exits with 64 before any port opens where it does not hold. The first Ctrl-C drains, the second does not wait.',
  ],
  options: OPTIONS,
  examples: [{ line: 'sidecar --config sidecar.yaml', says: 'until it is told to stop' }],
  async run(call) {
    const { run } = await import('@sallyport/sidecar');
    return runApp(run, call, 'every key of one: docs/reference/sidecar-config.md; `sallyport dev` needs none');
  },
});

export const controlPlane: Command = command({
  name: 'control-plane',
  group: 'Run',
  summary: 'accept signed policy, stream it to sidecars, enrol them, and collect their records',
  details: [
    'Every key of the configuration: docs/reference/control-plane-config.md. Exits with 64 before any port opens where configuration, keys or signed files do not hold; also where it finds a key that it must not have.',
    'Beside the release key of a development root it lets the online keys go on before they end.',
  ],
  options: OPTIONS,
  examples: [{ line: 'control-plane --config .sallyport/control-plane/config.yaml', says: 'as root init has set it up' }],
  async run(call) {
    const { run } = await import('@sallyport/control-plane');
    const remedy = '`sallyport root init --development` makes one as .sallyport/control-plane/config.yaml';
    const { io, options } = call;
    const home = options.checkConfig ? undefined : homeOfConfig(at(io.cwd, options.config), io);
    if (home === undefined) return runApp(run, call, remedy);
    const ended = new AbortController();
    // Before the start, which would refuse online keys that have ended.
    await renewDevelopmentKeys(home, io);
    const kept = keepDevelopmentKeys(home, io, ended.signal);
    try {
      return await runApp(run, call, remedy);
    } finally {
      ended.abort();
      await kept;
    }
  },
});
