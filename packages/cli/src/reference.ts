/** The reference page of the command line (docs/reference/cli.md), made from the commands themselves. */

import { GROUPS, synopsisOf } from './command.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './commands.ts';

/** Markdown, one section for each command, in the order of the overview. */
export function describeCommands(): string {
  const groups = GROUPS.flatMap((group) => {
    const commands = COMMANDS.filter((one) => one.group === group);
    return [`## ${group}`, '', ...commands.flatMap(describe)];
  });
  return [...HEAD, ...groups].join('\n');
}

const HEAD: readonly string[] = [
  '# The command line',
  '',
  'Made from the commands (`npm run generate`). In a clone, `npm run sallyport -- <command>` runs `sallyport <command>`.',
  '',
  'Exit codes: 0 yes; 1 the answer is no, or there is none; 2 used wrongly; 64 what is configured does not hold; 130 ended by',
  'Ctrl-C before the answer. The answer goes to standard output, as text or, with `--json`, as one JSON document (a stream:',
  'one a line). Progress and refusals go to standard error; with `--json` a refusal is the document, on standard output too:',
  '`{"exit","code","message","remedy","problems":[{"file","line","column","path","message","remedy"}]}`, where `code` is one of',
  '`answer_is_no`, `used_wrongly`, `config_invalid`, `stopped`, `internal`, or the code of a fault such as',
  '`upstream_unreachable`.',
  '',
];

function describe(one: Command): readonly string[] {
  return [
    `### \`${one.name}\``,
    '',
    `${one.summary.charAt(0).toUpperCase()}${one.summary.slice(1)}.`,
    '',
    '```text',
    synopsisOf(one),
    '```',
    '',
    ...(one.details ?? []).flatMap((paragraph) => [paragraph, '']),
    ...(one.arguments ?? []).map(({ name, says }) => `- \`${name}\`: ${says}`),
    ...((one.arguments ?? []).length === 0 ? [] : ['']),
    '| Option | Meaning | Default |',
    '|---|---|---|',
    ...Object.values(one.allOptions).map(({ flags, says, isRequired, shownDefault }) => {
      const otherwise = isRequired ? '**required**' : shownDefault === '' ? '' : `\`${shownDefault}\``;
      return `| \`${flags}\` | ${says.replaceAll('|', '\\|')} | ${otherwise} |`;
    }),
    '',
    '```sh',
    ...one.examples.flatMap(({ line, says }) => [`# ${says}`, `sallyport ${line}`]),
    '```',
    '',
  ];
}
