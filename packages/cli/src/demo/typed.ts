/** The demo types the commands that a person would type, and reads their answers as JSON. */

import { Fault } from '@sallyport/model';
import type { Command } from '../command.ts';
import type { Exit, Io } from '../io.ts';
import { runProgram } from '../program.ts';

export interface Typed {
  readonly exit: Exit;
  /** Standard output. */
  readonly bytes: Uint8Array;
  /** Standard error. */
  readonly said: string;
}

/** Runs one command line inside this process, as if in the folder `cwd`. */
export async function type(
  argv: readonly string[],
  options: { readonly commands: readonly Command[]; readonly cwd: string; readonly io: Io },
): Promise<Typed> {
  const chunks: Uint8Array[] = [];
  let said = '';
  const io: Io = {
    ...options.io,
    cwd: options.cwd,
    // The person's own folder must not reach into the demo's.
    env: {},
    isTerminal: false,
    write: async (chunk) => void chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk),
    note: (text) => {
      said += text;
    },
  };
  const exit = await runProgram(argv, io, { commands: options.commands, families: {} });
  return { exit, bytes: Buffer.concat(chunks), said };
}

/** The answer of a command with `--json`; a Fault where it could not even refuse. */
export function answerOf({ bytes, said }: Typed): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new Fault('upstream_protocol', 'internal', `a command did not answer: ${said.trim()}`, { cause });
  }
}
