/** The checks of documents, each with a bad sample. */

import { describe, expect, test } from 'vitest';
import { checkCitations, checkDecisions, checkDependencies, checkIndex, checkLinks, checkTitles } from './documents.ts';
import type { Check } from './finding.ts';

const what = (check: Check, files: Readonly<Record<string, string>>): readonly string[] =>
  check(Object.entries(files).map(([path, text]) => ({ path, text }))).map((finding) => `${finding.where}: ${finding.what}`);

test('a page with two titles, or none, is found; a comment in a code block is no title', () => {
  const files = {
    'docs/two.md': '# One\n\n# Two\n',
    'docs/none.md': '## Only this\n',
    'docs/one.md': '# One\n\n```sh\n# not a title\n```\n',
  };
  expect(what(checkTitles, files)).toEqual(['docs/two.md: 2 first-level headings', 'docs/none.md: 0 first-level headings']);
});

describe('links', () => {
  const PAGES = { 'docs/a.md': '# A page\n\n## Second part, here\n', 'packages/net/README.md': '# net\n', LICENSE: 'text' };
  const links = (line: string): readonly string[] => what(checkLinks, { ...PAGES, 'docs/b.md': `# B\n${line}\n` });

  test.each(['[x](c.md)', '[x](../missing)', '[x](a.md#third-part)', '[x](#nowhere)', '![x](picture.png)'])('%s leads nowhere', (line) => {
    expect(links(line)).toHaveLength(1);
  });

  test.each([
    '[x](a.md)',
    '[x](a.md#second-part-here)',
    '[x](../packages/net)',
    '[x](../LICENSE)',
    '[x](#b)',
    '[x](https://example.org/a.md)',
    '`[x](c.md)`',
  ])('%s is in order', (line) => {
    expect(links(line)).toEqual([]);
  });
});

test('a source that cites a missing page is found', () => {
  const files = { 'packages/net/src/a.ts': '/** docs/spec/net-v1.md, docs/spec/audit-v1.md */', 'docs/spec/audit-v1.md': '# Audit\n' };
  expect(what(checkCitations, files)).toEqual(['packages/net/src/a.ts:1: cites `docs/spec/net-v1.md`, which is not there']);
});

test('a page that the index does not list is found', () => {
  const files = { 'docs/README.md': '# Docs\n[a](spec/a.md)\n', 'docs/spec/a.md': '', 'docs/spec/b.md': '', 'docs/adr/0001-x.md': '' };
  expect(what(checkIndex, files)).toEqual(['docs/spec/b.md: a page that docs/README.md does not list']);
});

test('a decision that is not listed is found, and a number given twice', () => {
  const files = {
    'docs/adr/README.md': '# Decisions\n- [1](0001-fail-closed.md)\n- [2](0002-runtime.md)\n',
    'docs/adr/0001-fail-closed.md': '',
    'docs/adr/0002-runtime.md': '',
    'docs/adr/0002-esm.md': '',
  };
  expect(what(checkDecisions, files)).toEqual([
    'docs/adr/0002-esm.md: a decision that the index does not list',
    'docs/adr/0002-esm.md: the number 0002 is taken',
  ]);
});

test('a dependency that nobody weighed is found, of whatever kind', () => {
  const files = {
    'docs/adr/0007-dependencies.md': '| `yaml` | reads policy documents |',
    'packages/policy/package.json': '{"dependencies":{"yaml":"2.9.1","left-pad":"1.0.0","@sallyport/model":"0.1.0"}}',
    'package.json': '{"optionalDependencies":{"right-pad":"1.0.0"}}',
  };
  expect(what(checkDependencies, files)).toEqual([
    'packages/policy/package.json: `left-pad` is not in docs/adr/0007-dependencies.md',
    'package.json: `right-pad` is not in docs/adr/0007-dependencies.md',
  ]);
});
