/** `sallyport completion`: a script by which a shell completes commands, options and files. */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { bashScript } from '../onboard/completion/bash.ts';
import { fishScript } from '../onboard/completion/fish.ts';
import { offered } from '../onboard/completion/words.ts';
import type { Offered } from '../onboard/completion/words.ts';
import { zshScript } from '../onboard/completion/zsh.ts';
import { refusal } from '../output.ts';

const SCRIPTS: Readonly<Record<string, (words: Offered) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

export const completion: Command = command({
  name: 'completion',
  group: 'Run',
  summary: 'print a script that completes commands, options and files in a shell',
  details: ['The script is made from the commands of this version. It asks nothing of anybody while one types.'],
  arguments: [{ name: 'SHELL', says: 'bash, zsh or fish' }],
  options: {},
  examples: [
    { line: 'completion bash > ~/.local/share/bash-completion/completions/sallyport', says: 'for every bash to come' },
    { line: 'completion zsh > ~/.zfunc/_sallyport', says: 'with ~/.zfunc in $fpath' },
    { line: 'completion fish > ~/.config/fish/completions/sallyport.fish', says: 'for every fish to come' },
  ],
  async run({ arguments: [shell = ''], out }) {
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined)
      return out.refuse(
        refusal(2, `\`${shell.slice(0, 40)}\` is no shell that is known here`, `one of ${Object.keys(SCRIPTS).join(', ')}`),
      );
    // The list of commands names this one.
    const { COMMANDS, FAMILIES } = await import('../commands.ts');
    const text = script(offered({ commands: COMMANDS, families: FAMILIES }));
    await out.answer({ shell, script: text }, text.trimEnd());
    return 0;
  },
});
