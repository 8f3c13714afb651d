/** The completion of zsh: words with what they are about. */

import { quoted } from './words.ts';
import type { Kind, Offered } from './words.ts';

export function zshScript({ commands, first, second, both }: Offered): string {
  const cases = commands.flatMap(({ name, options, positional }) => [
    `    ${quoted(name)})`,
    `      options=(${options.map(({ long, says }) => described(long, says)).join(' ')})`,
    `      positional=${quoted(textOf(positional))}`,
    ...valueCases(options.flatMap(({ long, value }) => (value === undefined ? [] : [[long, value] as const]))),
    '      ;;',
  ]);
  return `#compdef sallyport
# zsh completion of sallyport; made by \`sallyport completion zsh\`.
# For this shell: source <(sallyport completion zsh); for every one: write it as _sallyport into a folder of $fpath.
_sallyport() {
  local word="\${words[CURRENT]}" before="\${words[CURRENT-1]}" name positional='' value=''
  local -a offers options
  if (( CURRENT == 2 )); then
    offers=(${[...first, ['help', 'show the help of a command'] as const].map(([one, says]) => described(one, says)).join(' ')})
    _describe -t commands 'command' offers
    return
  fi
  case "\${words[2]}" in
${[...second].map(([family, offers]) => `    ${quoted(family)}) offers=(${offers.map(([one, says]) => described(one, says)).join(' ')})${both.has(family) ? OWN_OPTIONS : ''} ;;`).join('\n')}
  esac
  if (( CURRENT == 3 && $#offers )); then
    _describe -t commands 'command' offers
    return
  fi
  if (( $#offers )); then name="\${words[2]} \${words[3]}"; else name="\${words[2]}"; fi
  # Behind -- stands another command.
  local -i separator=\${words[(i)--]}
  if (( separator < CURRENT )); then
    shift $separator words
    (( CURRENT -= separator ))
    _normal
    return
  fi
  case "$name" in
${cases.join('\n')}
    *) return 1 ;;
  esac
  if [[ -z "$value" ]]; then
    if [[ "$word" == -* ]]; then
      _describe -t options 'option' options
      return
    fi
    value="$positional"
  fi
  case "$value" in
    words\\ *) compadd -- \${=value#words } ;;
    file) _files ;;
    folder) _files -/ ;;
    command) compadd -- -- ;;
    *) _message 'a value' ;;
  esac
}
if [[ "\${funcstack[1]}" == '_sallyport' ]]; then _sallyport "$@"; else compdef _sallyport sallyport; fi
`;
}

/** An option in the place of the second word is the first one's. */
const OWN_OPTIONS = '; [[ "${words[3]}" == -* ]] && offers=()';

/** A colon parts the word from what is said of it. */
function described(word: string, says: string): string {
  return quoted(`${word}:${says.replaceAll(':', String.raw`\:`)}`);
}

function valueCases(values: readonly (readonly [long: string, value: Kind])[]): readonly string[] {
  if (values.length === 0) return [];
  return ['      case "$before" in', ...values.map(([long, value]) => `        ${long}) value=${quoted(textOf(value))} ;;`), '      esac'];
}

function textOf(kind: Kind): string {
  return typeof kind === 'string' ? kind : `words ${kind.join(' ')}`;
}
