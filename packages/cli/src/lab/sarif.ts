/** A report as SARIF 2.1.0: what code hosts show beside the line that it is about. */

import type { Json } from '@sallyport/model';
import { visibleText } from '../onboard/visible-text.ts';
import { FINDINGS } from './finding.ts';
import type { Finding, FindingId, Report } from './finding.ts';

export function sarifOf({ findings }: Report): string {
  const ids = [...new Set(findings.map(({ id }) => id))].toSorted();
  return JSON.stringify({
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'sallyport', informationUri: 'https://sallyport.dev', rules: ids.map(ruleOf) } },
        columnKind: 'utf16CodeUnits',
        results: findings.map((finding) => resultOf(finding, ids.indexOf(finding.id))),
      },
    ],
  });
}

function ruleOf(id: FindingId): Json {
  return { id, shortDescription: { text: FINDINGS[id] } };
}

function resultOf({ id, level, problem }: Finding, ruleIndex: number): Json {
  const { file, line, column, path, message, remedy } = problem;
  const words = [path === '' ? message : `${path}: ${message}`, ...(remedy === undefined ? [] : [`remedy: ${remedy}`])];
  return {
    ruleId: id,
    ruleIndex,
    level,
    message: { text: visibleText(words.join('\n')) },
    locations: file === undefined ? [] : [{ physicalLocation: { artifactLocation: { uri: uriOf(file) }, ...regionOf(line, column) } }],
    ...(remedy === undefined ? {} : { properties: { remedy: visibleText(remedy) } }),
  };
}

function regionOf(line: number | undefined, column: number | undefined): Readonly<Record<string, Json>> {
  return line === undefined ? {} : { region: { startLine: line, ...(column === undefined ? {} : { startColumn: column }) } };
}

/** A relative reference; a name with a colon must not read as a scheme, nor one with a space or `#` as something else. */
function uriOf(file: string): string {
  const encoded = file
    .toWellFormed()
    .split('/')
    .map((segment) => encodeURIComponent(segment))
    .join('/');
  return encoded.startsWith('//') ? `/.${encoded}` : encoded;
}
