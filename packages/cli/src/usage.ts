/** A command line that cannot be understood, in our own words: what of it, what was probably meant, and how it is written. */

import { nearest } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import type { CommanderError } from 'commander';
import { synopsisOf } from './command.ts';
import type { Command } from './command.ts';

/** The commands that are understood, and what those of one first word have in common. */
export interface Vocabulary {
  readonly commands: readonly Command[];
  readonly families: Readonly<Record<string, string>>;
}

/** The command at the beginning of a line. */
export function commandNamed([first = '', second = '']: readonly string[], { commands }: Vocabulary): Command | undefined {
  return commands.find(({ name }) => name === `${first} ${second}`) ?? commands.find(({ name }) => name === first);
}

/** One problem with a remedy; `argv` is what was typed up to `--`. */
export function usageProblem({ code, message }: CommanderError, argv: readonly string[], vocabulary: Vocabulary): Problem {
  const command = commandNamed(argv, vocabulary);
  const synopsis = command === undefined ? undefined : synopsisOf(command);
  const words = quoted(message);
  switch (code) {
    case 'commander.unknownCommand':
      return { path: '', message: words, ...suggestCommand(argv, vocabulary) };
    case 'commander.unknownOption':
      return { path: '', message: words, ...suggestOption(words, command) };
    case 'commander.help':
      return {
        path: '',
        message: argv[0] === undefined ? 'there is no command' : `\`${argv[0]}\` alone is no command`,
        ...overview(argv[0]),
      };
    case 'commander.excessArguments':
      return { path: '', message: 'there are too many arguments', ...(synopsis === undefined ? {} : { remedy: synopsis }) };
    case 'commander.missingArgument':
      return { path: '', message: words, ...(synopsis === undefined ? {} : { remedy: synopsis }) };
    default:
      return { path: '', message: words };
  }
}

/** Commander's words in the house's spelling. */
function quoted(message: string): string {
  return message
    .replace(/^error: /, '')
    .replaceAll(/'([^'\n]*)'/g, '`$1`')
    .replace(/\n\(Did you mean [\s\S]*$/, '')
    .replaceAll(/<([A-Z:_-]+)>/g, '$1')
    .replace(/^required option (`[^`]*`) not specified$/, 'option $1 is missing')
    .replace(/^option (`[^`]*`) argument missing$/, 'option $1 lacks its value')
    .replace(/^missing required argument (`[^`]*`)$/, 'argument $1 is missing');
}

function overview(family: string | undefined): Pick<Problem, 'remedy'> {
  return { remedy: family === undefined ? 'sallyport --help' : `sallyport ${family} --help` };
}

/** `polcy check` and `policy chekc`, but also `check` and `policy-check`. */
function suggestCommand([first = '', second = '']: readonly string[], { commands, families }: Vocabulary): Pick<Problem, 'remedy'> {
  const names = commands.map(({ name }) => name);
  const meant = (name: string | undefined): Pick<Problem, 'remedy'> => (name === undefined ? {} : { remedy: `did you mean \`${name}\`?` });
  if (Object.hasOwn(families, first)) {
    const known = names.filter((name) => name.startsWith(`${first} `));
    const near = nearest(`${first} ${second}`, known);
    return near === undefined ? { remedy: `known are ${known.map((name) => `\`${name}\``).join(', ')}` } : meant(near);
  }
  const whole = names.find((name) => name === first.replaceAll(/[-_:.]/g, ' ')) ?? names.find((name) => name.replaceAll(' ', '') === first);
  const bySecond = names.filter((name) => name.split(' ')[1] === first);
  if (whole !== undefined) return meant(whole);
  const near = nearest(`${first} ${second}`.trim(), names) ?? nearest(first, [...names, ...Object.keys(families)]);
  if (bySecond.length > 0) return { remedy: `did you mean ${bySecond.map((name) => `\`${name}\``).join(' or ')}?` };
  return meant(near);
}

function suggestOption(words: string, command: Command | undefined): Pick<Problem, 'remedy'> {
  const typed = /`(-[^`]*)`/.exec(words)?.[1] ?? '';
  const known = Object.values(command?.allOptions ?? {}).map(({ flags }) => flags.split(' ')[0] ?? '');
  const near = nearest(typed.split('=')[0] ?? '', [...known, '--help']);
  return near === undefined ? {} : { remedy: `did you mean \`${near}\`?` };
}
