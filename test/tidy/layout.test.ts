/** The checks of places and names, each with a bad sample. */

import { expect, test } from 'vitest';
import type { Check } from './finding.ts';
import { checkFileNames, checkFolders, checkGates, checkMains, checkModuleComments } from './layout.ts';

const where = (check: Check, files: Readonly<Record<string, string>>): readonly string[] =>
  check(Object.entries(files).map(([path, text]) => ({ path, text }))).map((finding) => finding.where);
const lines = (count: number): string => 'const x = 1;\n'.repeat(count);

test('a folder without a subject is found, wherever it lies', () => {
  expect(where(checkFolders, { 'packages/net/src/utils/a.ts': '', 'test/lib/a.ts': '', 'packages/net/src/utils.ts': '' })).toEqual([
    'packages/net/src/utils/a.ts',
    'test/lib/a.ts',
  ]);
});

test('a file that is not in kebab-case is found', () => {
  const files = { 'packages/net/src/checkedDial.ts': '', 'packages/net/src/checked-dial.attack.test.ts': '', 'README.md': '' };
  expect(where(checkFileNames, files)).toEqual(['packages/net/src/checkedDial.ts']);
});

test('a longer source without a module comment is found; a short one and a test may do without', () => {
  const files = {
    'packages/net/src/long.ts': lines(61),
    'packages/net/src/short.ts': lines(60),
    'packages/net/src/told.ts': `/** Dials. */\n\n${lines(61)}`,
    'packages/net/src/long.test.ts': lines(61),
    'packages/testkit/src/fake.ts': lines(61),
    'packages/testkit/src/fake.test.ts': lines(61),
  };
  expect(where(checkModuleComments, files)).toEqual(['packages/net/src/long.ts', 'packages/testkit/src/fake.ts']);
});

test('a gate without a test is found', () => {
  const gates = 'packages/sidecar/src/pipeline/gates';
  const files = { [`${gates}/freshness.ts`]: '', [`${gates}/route.ts`]: '', [`${gates}/route.test.ts`]: '' };
  expect(where(checkGates, files)).toEqual([`${gates}/freshness.ts`]);
});

test('a main that does not fit on a screen is found', () => {
  expect(where(checkMains, { 'packages/sidecar/src/main.ts': lines(81), 'packages/cli/src/main.ts': lines(80) })).toEqual([
    'packages/sidecar/src/main.ts',
  ]);
});
