/**
 * From arguments to a run: commander finds the command and its options, this file gives them their types and turns what
 * went wrong into an exit code. It does not know what any command does.
 */

import { formatProblem } from '@sallyport/model';
import { Command as Commander, CommanderError, Option as CommanderOption } from 'commander';
import { GROUPS } from './command.ts';
import type { Command, Invocation } from './command.ts';
import { errorCode, errorText } from './failure.ts';
import type { Exit, Io } from './io.ts';
import type { Options } from './option.ts';
import { createOutput, refusalJson } from './output.ts';
import { commandNamed, usageProblem } from './usage.ts';
import type { Vocabulary } from './usage.ts';

const HELP_WIDTH = 100;
const USED_WRONGLY = 2;
const HELPFUL: ReadonlySet<string> = new Set(['commander.helpDisplayed', 'commander.version']);

/** Runs `sallyport <argv>`; resolves to the exit code and never throws. */
export async function runProgram(typed: readonly string[], io: Io, vocabulary: Vocabulary): Promise<Exit> {
  const argv = customary(typed, vocabulary);
  const exit = await runLine(argv, io, vocabulary);
  const lost = io.lost?.();
  if (lost === undefined) return exit;
  // An answer that did not arrive is no answer, whatever it was.
  io.note(`${typedName(argv, vocabulary)}: cannot write to standard output: ${lost}\n`);
  return exit === 0 || exit === 130 ? 1 : exit;
}

/** What other tools have taught people to type: `help policy publish`, `version`, `-v`. */
function customary(argv: readonly string[], { commands, families }: Vocabulary): readonly string[] {
  const [first = '', ...rest] = argv;
  const isKnown = rest.length === 0 || commands.some(({ name }) => name === rest.join(' ')) || Object.hasOwn(families, rest.join(' '));
  // What is no command has no help; it is told as what it is.
  if (first === 'help') return isKnown ? [...rest, '--help'] : rest;
  return rest.length === 0 && ['version', '-v', '-V'].includes(first) ? ['--version'] : argv;
}

async function runLine(argv: readonly string[], io: Io, vocabulary: Vocabulary): Promise<Exit> {
  // Owner: this run; written once, by the command that was found.
  const ran: { exit: Exit } = { exit: USED_WRONGLY };
  const program = programOf(vocabulary, io, (exit) => {
    ran.exit = exit;
  });
  // What follows `--` is somebody else's command line.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const asked = { io, argv: own, isJson: own.includes('--json'), isVerbose: own.includes('--verbose') };
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return ran.exit;
  } catch (error) {
    if (!(error instanceof CommanderError)) return failed(error, asked);
    return HELPFUL.has(error.code) ? 0 : usedWrongly(error, asked, vocabulary);
  }
}

interface Asked {
  readonly io: Io;
  /** Up to `--`. */
  readonly argv: readonly string[];
  readonly isJson: boolean;
  readonly isVerbose: boolean;
}

/** The line could not be understood: what of it, what was probably meant, and where to read on. */
async function usedWrongly(error: CommanderError, { io, argv, isJson }: Asked, vocabulary: Vocabulary): Promise<Exit> {
  const problem = usageProblem(error, argv, vocabulary);
  const typed = typedName(argv, vocabulary);
  if (isJson) await io.write(`${JSON.stringify(refusalJson({ exit: USED_WRONGLY, problems: [problem] }))}\n`);
  // Of a line without a command, commander has shown the whole help by now.
  else if (error.code !== 'commander.help') io.note(`${typed}: ${formatProblem(problem)}\n${typed} --help says what is understood\n`);
  return USED_WRONGLY;
}

/** `sallyport`, and the command where there is one. */
function typedName(argv: readonly string[], vocabulary: Vocabulary): string {
  return ['sallyport', commandNamed(argv, vocabulary)?.name ?? ''].join(' ').trimEnd();
}

/** The world let us down, or we did: one line for people, the rest on demand. */
async function failed(error: unknown, { io, isJson, isVerbose }: Asked): Promise<Exit> {
  const exit: 1 | 130 = io.signal.aborted ? 130 : 1;
  const code = exit === 130 ? 'stopped' : errorCode(error);
  if (isJson)
    await io.write(`${JSON.stringify(refusalJson({ exit, code, problems: [{ path: '', message: errorText(error, false) }] }))}\n`);
  if (isVerbose) io.note(`${errorText(error, true)}\n`);
  else if (!isJson && exit !== 130) io.note(`sallyport: ${errorText(error, false)} (--verbose tells more)\n`);
  return exit;
}

/** The tree of commands; `done` is told the exit code of the one that ran. */
export function programOf({ commands, families }: Vocabulary, io: Io, done: (exit: Exit) => void): Commander {
  const program = new Commander('sallyport')
    .description('Zero-trust gateway for AI agents: a sidecar that judges every call by a signed policy, and its control plane.')
    .version('0.1.0', '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.write(text),
      writeErr: (text) => io.note(text),
      // Said by `usedWrongly`, in the form that was asked for.
      outputError: () => undefined,
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError(false);
  const made = new Map<string, Commander>();
  for (const group of GROUPS) {
    for (const one of commands.filter((candidate) => candidate.group === group)) {
      const [first = '', second] = one.name.split(' ');
      // A command may have others below it, whose options are their own: `doctor`, and `doctor session`.
      if (second === undefined)
        made.set(first, attach(program, first, one, { io, done }).helpGroup(`${group}:`).helpCommand(false).enablePositionalOptions());
      else {
        const says = families[first] ?? '';
        const family = made.get(first) ?? program.command(first).summary(says).description(says).helpGroup(`${group}:`).helpCommand(false);
        made.set(first, family);
        attach(family, second, one, { io, done });
      }
    }
  }
  return program;
}

interface Run {
  readonly io: Io;
  readonly done: (exit: Exit) => void;
}

function attach(parent: Commander, name: string, spec: Command, { io, done }: Run): Commander {
  const made = parent.command(name).summary(spec.summary).description(describe(spec));
  for (const one of spec.arguments ?? []) {
    const shown = one.isRest === true ? `${one.name}...` : one.name;
    made.argument(one.isOptional === true ? `[${shown}]` : `<${shown}>`, one.says);
  }
  const given = new Map<string, string[]>();
  for (const [key, option] of Object.entries(spec.allOptions)) {
    const collected: string[] = [];
    given.set(key, collected);
    const long = option.flags.split(' ')[0] ?? '';
    made.addOption(commanderOption(option, collected));
    if (long === option.flags) made.on(`option:${long.slice(2)}`, () => collected.push(''));
  }
  made.addHelpText('after', () => examplesOf(spec));
  made.action(async () => {
    const options: Record<string, unknown> = {};
    for (const [key, option] of Object.entries(spec.allOptions)) {
      const read = option.read(given.get(key) ?? []);
      if (!read.ok) made.error(`error: option ${option.flags}: ${read.error}`);
      else options[key] = read.value;
    }
    const out = createOutput(io, { isJson: options['json'] === true, command: spec.name });
    done(await spec.run({ arguments: made.args, options: options as Invocation<Options>['options'], io, out }));
  });
  return made;
}

/** An option that gathers what was typed and leaves its meaning to `read`. */
function commanderOption({ flags, says, isRequired, shownDefault }: Command['allOptions'][string], collected: string[]): CommanderOption {
  const [long = '', value] = flags.split(' ');
  const shown = shownDefault === '' ? says : `${says} (default: ${shownDefault})`;
  const made = new CommanderOption(value === undefined ? long : `${long} <${value}>`, shown);
  if (isRequired) made.makeOptionMandatory();
  if (value !== undefined) {
    made.argParser((typed) => {
      collected.push(typed);
      return typed;
    });
  }
  return made;
}

function describe({ summary, details }: Command): string {
  const first = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  return [first, ...(details ?? [])].join('\n\n');
}

function examplesOf({ examples }: Command): string {
  return [
    '',
    examples.length === 1 ? 'Example:' : 'Examples:',
    ...examples.flatMap(({ line, says }) => [`  # ${says}`, `  sallyport ${line}`]),
  ].join('\n');
}
