/** The sidecar as a command: configuration, anchors, start, and a drain on the first signal. */

import { Fault, formatProblem, type Problem } from '@sallyport/model';
import {
  giveBackMemory,
  onTermination,
  processEnvironment,
  readConfig,
  realFileSystem,
  systemClock,
  systemRandom,
} from '@sallyport/runtime';
import { createLog } from '@sallyport/telemetry';
import { parseArgs } from 'node:util';
import { judgeEnrolment, readAnchors } from './anchors.ts';
import { compose } from './compose.ts';
import { judgeCombinations, SIDECAR_CONFIG } from './config.ts';
import { judgeTlsPorts } from './tls-port.ts';

/** Where the command's own words go; its log goes to standard output. */
export interface Io {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Takes what is wrong with the configuration as it is, for programs; without it each is a line of `stderr`. */
  problems?(problems: readonly Problem[]): void;
}

/** Names this build in records and handshakes. */
export const BUILD = 'sallyport/0.1.0';

const HELP = `Usage: sallyport sidecar --config FILE [--check-config]

Stands beside one agent and decides every call by the policy bundle it holds.

Options:
  --config FILE     configuration, YAML (docs/reference/sidecar-config.md)
  --check-config    only say whether the configuration is right
  --help            this text

Example:
  sallyport sidecar --config sidecar.yaml
`;

/** Resolves with the exit code when the process has ended its work: 0 done, 1 could not start, 2 used wrongly, 64 bad configuration. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(argv, io);
  if (typeof flags === 'number') return flags;
  const disk = realFileSystem();
  const config = readConfig(SIDECAR_CONFIG, { file: flags.config, env: processEnvironment() });
  if (!config.ok) return badConfig(config.error, flags.config, io);
  const unfit = judgeCombinations(config.value);
  if (unfit.length > 0) return badConfig(unfit, flags.config, io);
  const anchors = readAnchors(config.value, disk);
  if (!anchors.ok) return badConfig(anchors.error, flags.config, io);
  if (flags.checkConfig) {
    const unready = [...judgeEnrolment(config.value, disk), ...judgeTlsPorts(config.value, disk)];
    if (unready.length > 0) return badConfig(unready, flags.config, io);
    io.stdout(`${flags.config}: ok\n`);
    return 0;
  }
  const clock = systemClock();
  const log = createLog({ level: 'info', name: 'sidecar', clock });
  const sidecar = compose(config.value, anchors.value, { clock, random: systemRandom, log, build: BUILD, disk });
  try {
    await sidecar.start();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    io.stderr(`sallyport sidecar: ${thrown.message}\n`);
    return 1;
  }
  onTermination(async () => {
    await sidecar.drain();
    return 0;
  });
  const over = new AbortController();
  void giveBackMemory(clock, { signal: over.signal });
  // A drain may also be asked for over the admin socket.
  await sidecar.ended;
  over.abort();
  return 0;
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
    io.stderr(`sallyport sidecar: --config is missing\n\n${HELP}`);
  } catch (thrown) {
    io.stderr(`sallyport sidecar: ${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${HELP}`);
  }
  return 2;
}

function badConfig(problems: readonly Problem[], file: string, io: Io): number {
  const placed = problems.map((problem) => ({ file, ...problem }));
  if (io.problems !== undefined) io.problems(placed);
  else for (const problem of placed) io.stderr(`${formatProblem(problem)}\n`);
  return 64;
}
