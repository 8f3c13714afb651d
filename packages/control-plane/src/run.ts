/** The control plane as a command: configuration, keys and signed files, start, and a drain on the first signal. */

import { parseArgs } from 'node:util';
import { Fault, formatProblem } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import { onTermination, processEnvironment, readConfig, realFileSystem, systemClock, systemRandom } from '@sallyport/runtime';
import { createLog } from '@sallyport/telemetry';
import { readAuthority } from './authority.ts';
import { compose } from './compose.ts';
import type { ControlPlane } from './compose.ts';
import { CONTROL_PLANE_CONFIG } from './config.ts';
import { readDatabase } from './database.ts';
import { judgeAttestation } from './enrolment/attestation.ts';

/** Where the command's own words go; its log goes to standard output. */
export interface Io {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Takes what is wrong with the configuration as it is, for programs; without it each is a line of `stderr`. */
  problems?(problems: readonly Problem[]): void;
}

const HELP = `Usage: sallyport control-plane --config FILE [--check-config]

Accepts signed policy, streams it to sidecars, issues their identities and collects their records.

Options:
  --config FILE     configuration, YAML (docs/reference/control-plane-config.md)
  --check-config    only say whether the configuration, the keys and the signed files are right
  --help            this text

Example:
  sallyport control-plane --config control-plane.yaml
`;

/** Resolves with the exit code when the process has ended its work: 0 done, 1 could not start or go on, 2 used wrongly, 64 bad configuration. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(argv, io);
  if (typeof flags === 'number') return flags;
  const clock = systemClock();
  const config = readConfig(CONTROL_PLANE_CONFIG, { file: flags.config, env: processEnvironment() });
  if (!config.ok) return badConfig(config.error, flags.config, io);
  const unfit = judgeAttestation(config.value);
  if (unfit.length > 0) return badConfig(unfit, flags.config, io);
  const authority = readAuthority(config.value, { disk: realFileSystem(), now: clock.wall() });
  const database = readDatabase(config.value);
  if (!authority.ok || !database.ok)
    return badConfig([...(authority.ok ? [] : authority.error), ...(database.ok ? [] : database.error)], flags.config, io);
  if (flags.checkConfig) {
    io.stdout(`${flags.config}: ok\n`);
    return 0;
  }
  const log = createLog({ level: 'info', name: 'control-plane', clock });
  const controlPlane = compose(config.value, { clock, random: systemRandom, log });
  try {
    await controlPlane.start();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    io.stderr(`sallyport control-plane: ${thrown.message}\n`);
    return thrown.code === 'config_invalid' ? 64 : 1;
  }
  return untilEnd(controlPlane, io);
}

/** Drains on a signal. Where nothing can be acknowledged any more the process ends: a supervisor starts it anew, and the start looks again. */
async function untilEnd(controlPlane: ControlPlane, io: Io): Promise<number> {
  const drained = new Promise<number>((resolve) => {
    onTermination(async () => {
      await controlPlane.drain();
      resolve(0);
      return 0;
    });
  });
  const failed = controlPlane.failed.then(async (fault) => {
    io.stderr(`sallyport control-plane: ${fault.message}\n`);
    await controlPlane.drain();
    return 1;
  });
  return Promise.race([drained, failed]);
}

function readFlags(argv: readonly string[], io: Io): { readonly config: string; readonly checkConfig: boolean } | number {
  try {
    const options = { config: { type: 'string' }, 'check-config': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    const { values } = parseArgs({ args: [...argv], options, strict: true });
    if (values.help === true) {
      io.stdout(HELP);
      return 0;
    }
    if (values.config !== undefined) return { config: values.config, checkConfig: values['check-config'] === true };
    io.stderr(`sallyport control-plane: --config is missing\n\n${HELP}`);
  } catch (thrown) {
    io.stderr(`sallyport control-plane: ${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${HELP}`);
  }
  return 2;
}

function badConfig(problems: readonly Problem[], file: string, io: Io): number {
  const placed = problems.map((problem) => ({ file, ...problem }));
  if (io.problems !== undefined) io.problems(placed);
  else for (const problem of placed) io.stderr(`${formatProblem(problem)}\n`);
  return 64;
}
