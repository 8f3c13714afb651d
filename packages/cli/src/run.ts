/** The whole command. */

import { COMMANDS, FAMILIES } from './commands.ts';
import type { Exit, Io } from './io.ts';
import { runProgram } from './program.ts';

/** Runs `sallyport <argv>`; resolves to the exit code and never throws. */
export function run(argv: readonly string[], io: Io): Promise<Exit> {
  return runProgram(argv, io, { commands: COMMANDS, families: FAMILIES });
}
