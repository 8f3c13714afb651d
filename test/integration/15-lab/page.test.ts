/** The examples of docs/spec/policy-lab.md, run as they stand there. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../packages/cli/src/commands.ts';
import { decided, exportOf, hidden } from '../../../packages/cli/src/testing/records.ts';
import { terminal, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/spec/policy-lab.md'), 'utf8');

/** `old/rules.yaml`, by the names in backticks on the line above each YAML block. */
const FILES = [...PAGE.matchAll(/^(.*\.yaml`.*:)\n\n```yaml\n([^]*?)\n```$/gm)].flatMap(([, names = '', text = '']) =>
  [...names.matchAll(/`([^`]+\.yaml)`/g)].map((match) => ({ name: match[1] ?? '', text: `${text}\n` })),
);

/** A command, how it ends, and what it says, or how that begins. */
const EXAMPLES = [
  ...PAGE.matchAll(/^```sh\nsallyport (.*)\n```\n\nExits with (\d+)(, and begins)?[.:](?:\n\n```text\n([^]*?)\n```)?$/gm),
].map(([, line = '', exit = '', begins, text]) => ({ line, exit: Number(exit), isWhole: begins === undefined, text }));

function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

describe('the page of the lab', () => {
  let at: Terminal;
  let digest: string;
  beforeAll(async () => {
    at = terminal();
    for (const { name, text } of FILES) at.write(name, text);
    digest = String((await at.type('policy', 'build', 'old', '--out', 'old-bundle', '--json')).json()['digest']);
    const asked = { tool: 'orders/refund', tenant_id: 'acme', policy_digest: digest };
    at.write(
      'export.ndjson',
      exportOf([
        decided('01KAGD0000000000000000000A', { ...asked, rule_id: 'refund' }),
        hidden('01KAGD0000000000000000000B', { ...asked, operator: 'mallory', user_id: 'mallory' }),
      ]),
    );
  });
  afterAll(() => at.close());

  it('has every file that its examples need, and an example of every verb', () => {
    expect(FILES.map(({ name }) => name)).toEqual(['old/catalog.yaml', 'new/catalog.yaml', 'old/rules.yaml', 'new/rules.yaml']);
    expect(EXAMPLES.length).toBe(PAGE.match(/^```sh$/gm)?.length);
    const shown = new Set(EXAMPLES.map(({ line }) => line.split(' ').slice(0, 2).join(' ')));
    const verbs = COMMANDS.map(({ name }) => name).filter((name) => name.startsWith('policy '));
    const elsewhere = ['policy publish', 'policy rollback', 'policy log', 'policy schema'];
    expect(verbs.filter((name) => !shown.has(name)).filter((name) => !elsewhere.includes(name))).toEqual([]);
  });

  it.each(EXAMPLES.map((one) => [one.line, one] as const))('%s', async (_, { line, exit, isWhole, text }) => {
    const ran = await at.type(...wordsOf(line));
    expect([ran.exit, ran.err]).toEqual([exit, '']);
    const said = ran.out.replaceAll(digest, 'sha256:<digest>').trimEnd();
    if (text !== undefined) expect(isWhole ? said : said.slice(0, text.length)).toBe(text);
  });
});
