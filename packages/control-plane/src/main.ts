/** The process: configuration, composition, start, drain. Exit 64 on bad configuration, before any port opens. */

import { Fault, formatProblem } from '@sallyport/model';
import { onTermination, processEnvironment, readConfig, realFileSystem, systemClock, systemRandom } from '@sallyport/runtime';
import { LOG_LEVELS, createLog } from '@sallyport/telemetry';
import type { LogLevel } from '@sallyport/telemetry';
import { readAuthority } from './authority.ts';
import { compose } from './compose.ts';
import { CONTROL_PLANE_CONFIG } from './config.ts';

/** Where a command writes. */
export interface RunIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

const USAGE = `usage: sallyport control-plane --config <file> [--check-config] [--log-level <${LOG_LEVELS.join('|')}>]\n`;
const EXIT_CONFIG = 64;
const EXIT_USAGE = 2;

/**
 * Runs a control plane until it is told to end, and resolves to the exit code: 0 after a clean end, 1 when it could not
 * start or go on, 2 for a wrong command line, 64 for a bad configuration, of which every problem is printed.
 */
export async function run(argv: readonly string[], io: RunIo): Promise<number> {
  const told = readArguments(argv);
  if (told === undefined) {
    io.stderr(USAGE);
    return EXIT_USAGE;
  }
  const clock = systemClock();
  const config = readConfig(CONTROL_PLANE_CONFIG, { file: told.config, env: processEnvironment() });
  const checked = config.ok && told.isCheck ? readAuthority(config.value, { disk: realFileSystem(), now: clock.wall() }) : config;
  if (!config.ok || !checked.ok) {
    const problems = config.ok ? (checked.ok ? [] : checked.error) : config.error;
    for (const problem of problems) io.stderr(`${formatProblem(problem)}\n`);
    return EXIT_CONFIG;
  }
  if (told.isCheck) {
    io.stdout('the configuration is fine\n');
    return 0;
  }
  const log = createLog({ level: told.logLevel, name: 'control-plane', clock, write: io.stdout });
  const controlPlane = compose(config.value, { clock, random: systemRandom, log });
  try {
    await controlPlane.start();
  } catch (error) {
    io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof Fault && error.code === 'config_invalid' ? EXIT_CONFIG : 1;
  }
  return untilEnd(controlPlane);
}

/** Drains on a signal, or when nothing can be acknowledged any more; a second signal ends the process at once. */
async function untilEnd(controlPlane: ReturnType<typeof compose>): Promise<number> {
  const signalled = new Promise<number>((resolve) => {
    onTermination(async () => {
      await controlPlane.drain();
      resolve(0);
      return 0;
    });
  });
  return Promise.race([signalled, controlPlane.failed.then(() => 1)]);
}

interface Told {
  readonly config: string;
  readonly isCheck: boolean;
  readonly logLevel: LogLevel;
}

function readArguments(argv: readonly string[]): Told | undefined {
  let config: string | undefined;
  let isCheck = false;
  let logLevel: LogLevel | undefined = 'info';
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at];
    if (word === '--check-config') isCheck = true;
    else if (word === '--config') config = argv[++at];
    else if (word === '--log-level') logLevel = LOG_LEVELS.find((level) => level === argv[at + 1]) ?? (at++, undefined);
    else return undefined;
    if (word === '--log-level' && logLevel !== undefined) at++;
  }
  return config === undefined || logLevel === undefined ? undefined : { config, isCheck, logLevel };
}
