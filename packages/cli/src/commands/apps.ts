/** `sallyport sidecar` and `sallyport control-plane`: the apps, each loaded only when it is the one to run. */

import { resolve } from 'node:path';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import type { Exit, Io } from '../io.ts';
import { flag, required } from '../option.ts';

const OPTIONS = {
  config: required('--config FILE', 'its configuration, YAML'),
  checkConfig: flag('--check-config', 'only say whether the configuration and the files that it names are right'),
} as const;

/** What an app's `run` wants of the world; its log goes to standard output by itself. */
function appIo(io: Io): { stdout(text: string): void; stderr(text: string): void } {
  return { stdout: (text) => void io.write(text), stderr: (text) => io.note(text) };
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
  async run({ options, io }) {
    const { run } = await import('@sallyport/sidecar');
    return (await run(argvOf(options, io), appIo(io))) as Exit;
  },
});

export const controlPlane: Command = command({
  name: 'control-plane',
  group: 'Run',
  summary: 'accept signed policy, stream it to sidecars, enrol them, and collect their records',
  details: [
    'Every key of the configuration: docs/reference/control-plane-config.md. Exits with 64 before any port opens where configuration, keys or signed files do not hold; also where it finds a key that it must not have.',
  ],
  options: OPTIONS,
  examples: [{ line: 'control-plane --config .sallyport/control-plane/config.yaml', says: 'as root init has set it up' }],
  async run({ options, io }) {
    const { run } = await import('@sallyport/control-plane');
    return (await run(argvOf(options, io), appIo(io))) as Exit;
  },
});
