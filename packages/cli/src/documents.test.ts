import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS, FAMILIES } from './commands.ts';
import type { Io } from './io.ts';
import { runProgram } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

/** Words as a shell would cut them; enough for what documents write. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** Every command line that a page shows, without what a shell does around it. */
const LINES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT }).flatMap((page) =>
  readFileSync(join(ROOT, page), 'utf8')
    .replaceAll(/ *\\\n */g, ' ')
    .split('\n')
    .flatMap((line) => /^(?:npm run (?:--silent )?sallyport -- |sallyport )(.*)$/.exec(line.trim())?.[1] ?? [])
    .filter((line) => !line.endsWith('[options]'))
    .map((line) => [page, line.replace(/ >.*$/, '').replace(/\s+# .*$/, '')] as const),
);

async function understood(argv: readonly string[]): Promise<readonly [number, string]> {
  let said = '';
  const io = {
    write: async () => {},
    note: (text: string) => (said += text),
    env: {},
    cwd: ROOT,
    signal: new AbortController().signal,
  } as unknown as Io;
  const commands = COMMANDS.map((one) => ({ ...one, run: async () => 0 as const }));
  return [await runProgram(argv, io, { commands, families: FAMILIES }), said];
}

describe('a command line that a page shows', () => {
  it('is found at all', () => {
    expect(LINES.length).toBeGreaterThan(30);
  });

  it.each(LINES)('is understood: %s: %s', async (_page, line) => {
    expect(await understood(wordsOf(line))).toEqual([0, '']);
  });

  it('would be noticed if it were not', async () => {
    expect((await understood(wordsOf('policy publich x')))[0]).toBe(2);
  });
});
