/** The completion of bash: one function over tables, without the bash-completion package. */

import { quoted } from './words.ts';
import type { Kind, Offered } from './words.ts';

export function bashScript({ commands, first, second, both }: Offered): string {
  const cases = commands.flatMap(({ name, options, positional }) => [
    `    ${quoted(name)})`,
    `      options=${quoted(options.map(({ long }) => long).join(' '))}`,
    `      positional=${quoted(textOf(positional))}`,
    ...valueCases(options.flatMap(({ long, value }) => (value === undefined ? [] : [[long, value] as const]))),
    '      ;;',
  ]);
  return `# bash completion of sallyport; made by \`sallyport completion bash\`.
# For this shell: source <(sallyport completion bash)
_sallyport() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" one="\${COMP_WORDS[1]}" two="\${COMP_WORDS[2]}"
  local name='' options='' positional='' value='' at seconds=''
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W ${quoted([...first.map(([word]) => word), 'help', '--help', '--version'].join(' '))} -- "$word"))
    return
  fi
  case "$one" in
${[...second].map(([family, words]) => `    ${quoted(family)}) seconds=${quoted(words.map(([word]) => word).join(' '))}${both.has(family) ? OWN_OPTIONS : ''} ;;`).join('\n')}
  esac
  if (( COMP_CWORD == 2 )) && [[ -n "$seconds" ]]; then
    COMPREPLY=($(compgen -W "$seconds --help" -- "$word"))
    return
  fi
  if [[ -n "$seconds" ]]; then name="$one $two"; else name="$one"; fi
  # Behind -- stands another command.
  for (( at = 2; at < COMP_CWORD; at++ )); do
    if [[ "\${COMP_WORDS[at]}" == '--' ]]; then
      if (( at == COMP_CWORD - 1 )); then COMPREPLY=($(compgen -c -- "$word")); else local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$word")); fi
      return
    fi
  done
  case "$name" in
${cases.join('\n')}
    *) return ;;
  esac
  if [[ -z "$value" ]]; then
    if [[ "$word" == -* ]]; then value="words $options"; else value="$positional"; fi
  fi
  case "$value" in
    words\\ *) COMPREPLY=($(compgen -W "\${value#words }" -- "$word")) ;;
    file) local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$word")); compopt -o filenames 2>/dev/null ;;
    folder) local IFS=$'\\n'; COMPREPLY=($(compgen -d -- "$word")); compopt -o filenames 2>/dev/null ;;
    command) COMPREPLY=($(compgen -W '--' -- "$word")) ;;
  esac
}
complete -F _sallyport sallyport
`;
}

/** An option in the place of the second word is the first one's. */
const OWN_OPTIONS = `; [[ "$two" == -* ]] && seconds=''`;

function valueCases(values: readonly (readonly [long: string, value: Kind])[]): readonly string[] {
  if (values.length === 0) return [];
  return ['      case "$before" in', ...values.map(([long, value]) => `        ${long}) value=${quoted(textOf(value))} ;;`), '      esac'];
}

function textOf(kind: Kind): string {
  return typeof kind === 'string' ? kind : `words ${kind.join(' ')}`;
}
