/** What a shell may offer, out of the commands themselves: names, options, and what kind of thing stands behind each. */

import type { Command } from '../../command.ts';
import type { Vocabulary } from '../../usage.ts';

/** `nothing`: the shell cannot know, and offers nothing rather than files that are not meant. */
export type Kind = 'file' | 'folder' | 'command' | 'nothing' | readonly string[];

export interface OfferedOption {
  /** `--json`. */
  readonly long: string;
  readonly says: string;
  /** `undefined` for a switch. */
  readonly value: Kind | undefined;
}

export interface OfferedCommand {
  /** `policy check`. */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OfferedOption[];
  readonly positional: Kind;
}

export interface Offered {
  readonly commands: readonly OfferedCommand[];
  /** First words with what they are about: families, and commands of one word. */
  readonly first: readonly (readonly [word: string, says: string])[];
  /** Second words of each family. */
  readonly second: ReadonlyMap<string, readonly (readonly [word: string, says: string])[]>;
  /** Families that are commands themselves, and so have options of their own. */
  readonly both: ReadonlySet<string>;
}

const HELP: OfferedOption = { long: '--help', says: 'show the help', value: undefined };

export function offered({ commands, families }: Vocabulary): Offered {
  const second = new Map<string, (readonly [string, string])[]>();
  const first = new Map<string, string>();
  for (const { name, summary } of commands) {
    const [family = '', word] = name.split(' ');
    if (word === undefined) first.set(family, summary);
    else {
      if (!first.has(family)) first.set(family, families[family] ?? '');
      second.set(family, [...(second.get(family) ?? []), [word, summary]]);
    }
  }
  const both = new Set([...second.keys()].filter((family) => commands.some(({ name }) => name === family)));
  return { commands: commands.map(offeredCommand), first: [...first], second, both };
}

function offeredCommand({ name, summary, allOptions, arguments: positions = [] }: Command): OfferedCommand {
  const options = Object.values(allOptions).map(({ flags, says, words }): OfferedOption => {
    const [long = '', value] = flags.split(' ');
    return { long, says, value: value === undefined ? undefined : (words ?? kindOf(value)) };
  });
  const kinds = positions.map(({ name: position, isRest }): Kind => (isRest === true ? 'command' : kindOf(position)));
  return { name, summary, options: [...options, HELP], positional: kinds.find((kind) => kind !== 'nothing') ?? 'nothing' };
}

/** Values are named after what they are: `DIR`, `FILE`. */
function kindOf(value: string): Kind {
  if (/(?:^|-|_)DIR$/.test(value)) return 'folder';
  return /^(?:FILE|PATH|PIN|SOCKET)$/.test(value) ? 'file' : 'nothing';
}

/** A text in single quotes, as all three shells read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
