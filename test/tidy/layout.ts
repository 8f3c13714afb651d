/** Where things lie: folder and file names, module comments, gates with their tests, a main that fits on a screen. */

import { type Check, isGenerated, isProduct, isTest } from './finding.ts';

/** A source file up to this length explains itself; a longer one begins with a module comment. */
const UNCOMMENTED_LINES_MAX = 60;
const MAIN_LINES_MAX = 80;
const GATES = 'packages/sidecar/src/pipeline/gates/';
const FOLDERS: readonly string[] = ['utils', 'util', 'common', 'shared', 'helpers', 'lib'];

const linesIn = (text: string): number => text.trimEnd().split('\n').length;

export const checkFolders: Check = (files) =>
  files.flatMap(({ path }) => {
    const folder = path
      .split('/')
      .slice(0, -1)
      .find((name) => FOLDERS.includes(name));
    if (folder === undefined) return [];
    const why = 'such a folder attracts whatever has no name yet, and the list of folders is the architecture';
    return [{ where: path, what: `the folder \`${folder}\``, why, instead: 'a folder named after its one subject' }];
  });

export const checkFileNames: Check = (files) =>
  files.flatMap(({ path }) => {
    const name = path.split('/').at(-1) ?? '';
    if (!/\.(ts|mjs)$/.test(name) || isGenerated(path) || /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(name)) return [];
    const why = 'one spelling for all files: a file is found by the name of what it exports';
    return [{ where: path, what: `the file name \`${name}\``, why, instead: 'kebab-case' }];
  });

export const checkModuleComments: Check = (files) =>
  files.flatMap(({ path, text }) => {
    if (!isProduct(path) && !path.startsWith('packages/testkit/src/')) return [];
    if (isTest(path) || linesIn(text) <= UNCOMMENTED_LINES_MAX || text.startsWith('/**')) return [];
    const why = 'a reader decides from the first lines whether this is the place';
    return [
      {
        where: path,
        what: `${linesIn(text)} lines without a module comment`,
        why,
        instead: 'two to five lines on top: what it is for, what it does not do, which page of docs/spec',
      },
    ];
  });

export const checkGates: Check = (files) => {
  const paths = new Set(files.map(({ path }) => path));
  return [...paths]
    .filter((path) => path.startsWith(GATES) && path.endsWith('.ts') && !isTest(path) && !paths.has(path.replace(/\.ts$/, '.test.ts')))
    .map((path) => ({
      where: path,
      what: 'a gate without a test beside it',
      why: 'a gate that nobody has seen refuse is not known to refuse',
      instead: `${path.replace(/\.ts$/, '.test.ts')}: a table of facts and results, denials first`,
    }));
};

export const checkMains: Check = (files) =>
  files
    .filter(({ path, text }) => /^packages\/[^/]+\/src\/main\.ts$/.test(path) && linesIn(text) > MAIN_LINES_MAX)
    .map(({ path, text }) => ({
      where: path,
      what: `main.ts has ${linesIn(text)} lines`,
      why: 'what a process does from start to drain must fit on one screen',
      instead: `at most ${MAIN_LINES_MAX} lines; what is constructed belongs in compose.ts`,
    }));
