/** What a message or a page tells somebody to type has to exist: every command, and every option of it. */

import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Command } from './command.ts';
import { COMMANDS, FAMILIES } from './commands.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';
import { writePolicy } from './testing/policies.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const HELP = ['--help', '-h', '--version'];
/** Options of Node, npm and other programs that our sources speak with. */
const FOREIGN: ReadonlySet<string> = new Set(['--conditions', '--input-type', '--eval', '--import', '--silent']);

/** Mentions in sources and pages: in backticks, at the beginning of a text, and behind `next: ` or an opening bracket. */
const MENTIONED = /(?:\\?`|'|"|next: |\()sallyport (?!\$\{|[<[…])([^`\n]*)/g;

interface Mention {
  readonly where: string;
  readonly line: string;
}

function mentionsIn(where: string, text: string): readonly Mention[] {
  return [...text.matchAll(MENTIONED)].map((match) => ({ where, line: (match[1] ?? '').replace(/\\$/, '') }));
}

/** Decision records tell of what was and of what may be. */
const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.{md,yaml,mjs}'], { cwd: ROOT }).filter(
  (path) => !path.includes('docs/adr/'),
);
const SOURCES = globSync('packages/*/src/**/*.ts', { cwd: ROOT }).filter((path) => !/\.test\.ts$|\/testing\/|\/gen\//.test(path));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const MENTIONS = [...PAGES, ...SOURCES].flatMap((path) => mentionsIn(path, read(path)));

const optionsOf = ({ allOptions }: Command): readonly string[] => [
  ...Object.values(allOptions).map(({ flags }) => flags.split(' ')[0] ?? ''),
  ...HELP,
];

/** What of a mentioned line does not exist; empty where all of it does. */
function missingIn(line: string): readonly string[] {
  const [first = '', second = ''] = line.split(/[ :,;.)'"$]/);
  if (HELP.includes(first) || first === 'help') return [];
  const command = COMMANDS.find(({ name }) => name === `${first} ${second}`) ?? COMMANDS.find(({ name }) => name === first);
  if (command === undefined) return Object.hasOwn(FAMILIES, first) && !/^[a-z]/.test(second) ? [] : [`${first} ${second}`.trim()];
  // Behind `--` another program's line begins, behind a semicolon or an `or` another thought.
  const own = line.replace(/( -- |[;)]|, or ).*$/, '');
  return [...own.matchAll(/(?<=^| |\()--[a-z][a-z-]*/g)].map(([option]) => option).filter((option) => !optionsOf(command).includes(option));
}

describe('a command that a message or a page names', () => {
  it('is found at all', () => {
    expect(MENTIONS.length).toBeGreaterThan(60);
  });

  it('exists, with the options that are named', () => {
    const missing = MENTIONS.flatMap(({ where, line }) => missingIn(line).map((what) => `${where}: ${what}`));
    expect(missing).toEqual([]);
  });

  it.each([
    ['root show', ['root show']],
    ['root init --development', []],
    ['policy rollback --undo', ['--undo']],
    ['policy: see there', []],
    ['tools import files -- npx some-server --its-own', []],
  ])('would be noticed if it did not: %s', (line, missing) => {
    expect(missingIn(line)).toEqual(missing);
  });
});

describe('an option that a message of the command line names', () => {
  const known = new Set([...COMMANDS.flatMap(optionsOf), ...FOREIGN]);
  const inSources = SOURCES.filter((path) => path.startsWith('packages/cli/')).flatMap((path) =>
    read(path)
      .split('\n')
      .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
      .flatMap((line) => [...line.matchAll(/(?<=['"`( ])--[a-z][a-z-]+/g)].map(([option]) => `${path}: ${option}`)),
  );

  it('belongs to some command', () => {
    expect(inSources.length).toBeGreaterThan(50);
    expect(inSources.filter((one) => !known.has(one.split(': ')[1] ?? ''))).toEqual([]);
  });
});

/** A complete line of every command that reads the administrator's folder. */
const LINES: readonly (readonly [name: string, ...more: string[]])[] = [
  ['policy publish', 'p'],
  ['policy rollback', '--reason', 'x'],
  ['policy log'],
  ['fleet status'],
  ['identities export'],
  ['agents join-token', '--agent', 'helper'],
  ['revoke token', 'x', '--reason', 'x'],
  ['revoke principal', 'x', '--reason', 'x'],
  ['revoke credential', 'x', '--reason', 'x'],
  ['revoke session', 'x', '--reason', 'x'],
  ['revoke run', 'x', '--reason', 'x'],
  ['revoke account', 'https://idp.test x', '--reason', 'x'],
  ['revoke agent', 'x', '--reason', 'x'],
  ['revoke sidecar', 'spiffe://x/y', '--reason', 'x'],
  ['revoke tool', 'a/b', '--reason', 'x'],
  ['revoke bundle', 'sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '--reason', 'x'],
  ['revoke everything', '*', '--reason', 'x'],
  ['directory import', 'nowhere.ndjson'],
  ['directory show', 'alice'],
  ['audit tail'],
  ['audit verify', 'export.ndjson'],
  ['bundle sign', 'built'],
  ['bundle verify', 'built'],
  ['release promote'],
];

describe('a remedy names only options of the command that was typed:', () => {
  let at: Terminal;
  beforeAll(async () => {
    at = terminal();
    writePolicy(at, 'p');
    at.write('export.ndjson', '');
    at.write('empty/notes.txt', '');
    at.write('unreadable/notes.txt', '');
    for (const name of ['root-pin', 'root', 'admin']) mkdirSync(at.path(`unreadable/${name}`));
    await at.type('root', 'init', '--development', '--dir', 'idle', '--grpc', '127.0.0.1:9');
    await at.type('policy', 'build', 'p', '--out', 'built');
    await at.type('bundle', 'sign', 'built', '--dir', 'idle');
  });
  afterAll(() => at.close());

  describe.each(LINES)('%s', (name, ...more) => {
    it.each(['nowhere', 'empty', 'unreadable', 'idle'])('with the folder `%s`', async (dir) => {
      const command = COMMANDS.find((one) => one.name === name);
      if (command === undefined) throw new Error(name);
      const { err } = await at.type(...name.split(' '), ...more, '--dir', dir);
      const elsewhere = [...err.matchAll(/`sallyport ([^`]*)`/g)].map(([, line]) => line ?? '');
      const own = err.replaceAll(/`sallyport [^`]*`/g, '');
      const named = [...own.matchAll(/--[a-z][a-z-]+/g)].map(([option]) => option);
      expect([err, named.filter((option) => !optionsOf(command).includes(option))]).toEqual([err, []]);
      expect(elsewhere.flatMap(missingIn)).toEqual([]);
    });
  });
});
