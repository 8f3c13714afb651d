/** The completion of fish: one line for each thing that may be offered. */

import type { Kind, Offered } from './words.ts';

export function fishScript({ commands, first, second }: Offered): string {
  const lines = [
    ...first.map(([word, says]) => offer('__sallyport_is 0', `-a ${fishQuoted(word)} -d ${fishQuoted(says)}`)),
    ...[...second].flatMap(([family, words]) =>
      words.map(([word, says]) => offer(`__sallyport_is 1 ${family}`, `-a ${fishQuoted(word)} -d ${fishQuoted(says)}`)),
    ),
    ...commands.flatMap(({ name, options, positional }) => [
      ...options.map(({ long, says, value }) =>
        offer(`__sallyport_in ${name}`, `-l ${long.slice(2)} -d ${fishQuoted(says)}${value === undefined ? '' : ` -r${valueOf(value)}`}`),
      ),
      ...(positional === 'nothing' ? [] : [offer(`__sallyport_in ${name}`, positionalOf(positional))]),
    ]),
  ];
  return `# fish completion of sallyport; made by \`sallyport completion fish\`.
# For this shell: sallyport completion fish | source; for every one: write it to ~/.config/fish/completions/sallyport.fish
function __sallyport_words
    # The words that are typed whole, without the command itself and without options.
    set -l all (commandline -opc)
    for word in $all[2..-1]
        string match -q -- '-*' $word; and break
        echo $word
    end
end
function __sallyport_is -d 'exactly these words, and as many'
    set -l typed (__sallyport_words)
    test (count $typed) -eq $argv[1]; or return 1
    set -e argv[1]
    test "$typed" = "$argv"
end
function __sallyport_in -d 'the command is this one, and -- was not yet'
    contains -- -- (commandline -opc); and return 1
    set -l typed (__sallyport_words)
    set -l many (count $argv)
    test (count $typed) -ge $many; or return 1
    test "$typed[1..$many]" = "$argv"
end
function __sallyport_behind -d 'behind --'
    contains -- -- (commandline -opc)
end
function __sallyport_folders
    set -l typed (commandline -ct)
    for folder in $typed*/
        echo $folder
    end
end
complete -c sallyport -f
complete -c sallyport -n '__sallyport_behind' -F
${lines.join('\n')}
`;
}

function offer(when: string, what: string): string {
  return `complete -c sallyport -n ${fishQuoted(when)} ${what}`;
}

function valueOf(kind: Kind): string {
  if (kind === 'file') return ' -F';
  if (kind === 'folder') return ` -f -a '(__sallyport_folders)'`;
  return typeof kind === 'string' ? ' -f' : ` -f -a ${fishQuoted(kind.join(' '))}`;
}

function positionalOf(kind: Kind): string {
  if (kind === 'file') return '-F';
  if (kind === 'folder') return `-a '(__sallyport_folders)'`;
  return kind === 'command' ? `-a '--'` : `-a ${fishQuoted(typeof kind === 'string' ? '' : kind.join(' '))}`;
}

/** fish reads a backslash inside single quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
