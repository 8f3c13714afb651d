/** The rules of the house over the whole tree. Each check has a test of its own beside it, with a bad sample. */

import { describe, expect, test } from 'vitest';
import { checkDeclarations, checkImports } from './arrows.ts';
import { checkCitations, checkDecisions, checkDependencies, checkIndex, checkLinks, checkTitles } from './documents.ts';
import { type Check, inWords } from './finding.ts';
import { checkFileNames, checkFolders, checkGates, checkMains, checkModuleComments } from './layout.ts';
import { checkLock } from './lock.ts';
import { checkText } from './text.ts';
import { readTree } from './tree.ts';

const CHECKS: Readonly<Record<string, Check>> = {
  'packages import along the arrows of the table': checkImports,
  'package.json and tsconfig.json declare exactly the arrows of the table': checkDeclarations,
  'no banned text': checkText,
  'no folder without a subject': checkFolders,
  'files are named in kebab-case': checkFileNames,
  'longer sources begin with a module comment': checkModuleComments,
  'every gate has a test beside it': checkGates,
  'every main.ts fits on a screen': checkMains,
  'every page has one title': checkTitles,
  'every relative link leads somewhere': checkLinks,
  'every page that is cited exists': checkCitations,
  'every page is listed': checkIndex,
  'every decision is listed': checkDecisions,
  'every dependency is weighed': checkDependencies,
  'the lock serves every platform': checkLock,
};

describe('the tree', () => {
  const files = readTree();

  test.each(Object.entries(CHECKS))('%s', (_, check) => {
    const findings = check(files);
    if (findings.length > 0) expect.fail(`\n${findings.map(inWords).join('\n\n')}\n`);
  });

  test('is really read: the checks above saw the sources and the documents', () => {
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['packages/model/src/index.ts', 'README.md', 'package-lock.json']));
  });
});
