/** A report as Markdown for a comment on a pull request. Everything that an author wrote stands as code. */

import { visibleText } from '../onboard/visible-text.ts';
import { FINDINGS } from './finding.ts';
import type { Finding, Report } from './finding.ts';

/** A comment that is longer is cut by the code host, or refused. */
const FINDINGS_SHOWN = 200;

export function markdownOf({ command, isGood, verdict, findings }: Report): string {
  const shown = findings.slice(0, FINDINGS_SHOWN);
  const more = findings.length - shown.length;
  return [
    `### sallyport ${command}: ${isGood ? 'ok' : 'no'}`,
    '',
    code(verdict),
    ...(shown.length === 0 ? [] : ['', '| | where | what |', '|---|---|---|', ...shown.map(rowOf)]),
    ...(more === 0 ? [] : ['', `and ${more} more`]),
  ].join('\n');
}

function rowOf({ id, problem }: Finding): string {
  const { file, line, path, message, remedy } = problem;
  const place = file === undefined ? path : `${file}${line === undefined ? '' : `:${line}`}`;
  const what = message.split('\n').map(code).join('<br>');
  return `| ${FINDINGS[id]} | ${place === '' ? '' : code(place)} | ${what}${remedy === undefined ? '' : `<br>remedy: ${code(remedy)}`} |`;
}

/**
 * Text as code that no Markdown, HTML or table can be made of: whatever is not a letter, a digit or plain punctuation is
 * a character reference, which renders as the character and never counts as markup. What could begin a link is one too.
 */
function code(text: string): string {
  const safe = visibleText(text)
    .toWellFormed()
    .replaceAll(/[^\p{L}\p{N} .,;/=-]|(?<=www)\./giu, (found) => `&#${found.codePointAt(0) ?? 0xfffd};`);
  return `<code>${safe}</code>`;
}
