import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DIALECTS, type Cell, type Dialect } from './gate.ts';
import { ANSWER, CALL, HEAD } from './pipeline.ts';

const row = (name: string, dialects: Readonly<Record<Dialect, Cell>>): string =>
  `| ${name} | ${DIALECTS.map((dialect) => (dialects[dialect] === 'runs' ? 'runs' : `not applicable: ${dialects[dialect].notApplicable}`)).join(' | ')} |`;

const table = (['HEAD', 'CALL', 'ANSWER'] as const)
  .map((list) => {
    const gates = list === 'ANSWER' ? ANSWER : list === 'HEAD' ? HEAD.gates : CALL.gates;
    const head = [list, '', `| gate | ${DIALECTS.join(' | ')} |`, `|---|${DIALECTS.map(() => '---|').join('')}`];
    return [...head, ...gates.map(({ name, dialects }) => row(name, dialects)), ''].join('\n');
  })
  .join('\n');

describe('the pipeline as a picture', () => {
  it('is in the order that review has seen', async () => {
    await expect(table).toMatchFileSnapshot('./__golden__/pipeline.txt');
  });

  it('is the table of docs/spec/pipeline-v1.md', () => {
    const page = readFileSync(new URL('../../../../docs/spec/pipeline-v1.md', import.meta.url), 'utf8');
    for (const line of table.split('\n').filter((text) => text.startsWith('| '))) expect(page).toContain(line);
  });

  it('runs every gate of HEAD for every dialect: which one it is is not known before', () => {
    for (const gate of HEAD.gates) for (const dialect of DIALECTS) expect(gate.dialects[dialect]).toBe('runs');
  });
});
