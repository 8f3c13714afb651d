import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS, FAMILIES } from '../commands.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

/** What the last word of a line may become; the others were typed whole. */
type Complete = (...typed: readonly string[]) => readonly string[];

let at: Terminal;
beforeAll(async () => {
  at = terminal();
  mkdirSync(at.path('policy'));
  writeFileSync(at.path('rules.yaml'), '');
  writeFileSync(at.path('it’s a "file"'), '');
  for (const shell of ['bash', 'zsh', 'fish']) at.write(`completion.${shell}`, (await at.type('completion', shell)).out);
});
afterAll(() => at.close());

function run(shell: string, ...argv: readonly string[]): readonly string[] {
  const env = { PATH: process.env['PATH'], HOME: at.dir, LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '' };
  const { status, stdout, stderr } = spawnSync(shell, argv, { cwd: at.dir, encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${shell} ended with ${String(status)}: ${stderr}`);
  expect(stderr).toBe('');
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .toSorted();
}

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** bash calls the function with the words in an array. */
const bash: Complete = (...typed) =>
  run(
    'bash',
    '--norc',
    '-c',
    `source completion.bash; COMP_WORDS=(sallyport "$@"); COMP_CWORD=$#; _sallyport; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    ...typed,
  );

/** The shell's own interpreter over the script; what would reach its menu is printed instead. */
const ZSH = `
compdef() { }
compadd() { shift; print -l -- $@ }
_describe() { print -l -- \${\${(P)4}%%:*} }
_files() { [[ $1 == -/ ]] && print -l -- *(/N) || print -l -- *(N) }
_normal() { print -- "$words / $CURRENT" }
_message() { }
source completion.zsh
words=(sallyport "$@"); CURRENT=$#words
_sallyport
true`;
const zsh: Complete = (...typed) => {
  const last = typed.at(-1) ?? '';
  return run('zsh', '-f', '-c', ZSH, 'zsh', ...typed).filter((line) => line.startsWith(last) || line.includes(' / '));
};

const fish: Complete = (...typed) => {
  const line = ['sallyport', ...typed].map((word) => word.replaceAll(/[^A-Za-z0-9_./:=-]/g, String.raw`\$&`)).join(' ');
  return run('fish', '--no-config', '-c', `source completion.fish; complete -C ${JSON.stringify(line)}`).map(
    (offer) => offer.split('\t')[0]?.replace(/\/$/, '') ?? '',
  );
};

const FIRST = [...new Set(COMMANDS.map(({ name }) => name.split(' ')[0] ?? ''))];

describe.each([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
] as const)('%s', (shell, complete) => {
  // Not run where the shell is not installed; continuous integration installs all three.
  const isHere = has(shell);

  it.runIf(isHere)('offers every first word, and every second word of a family', () => {
    expect(complete('')).toEqual(expect.arrayContaining(FIRST));
    for (const family of Object.keys(FAMILIES)) {
      const words = COMMANDS.filter(({ name }) => name.startsWith(`${family} `)).map(({ name }) => name.split(' ')[1] ?? '');
      expect(complete(family, '')).toEqual(expect.arrayContaining(words));
    }
    expect(complete('pol')).toEqual(['policy']);
    expect(complete('policy', 'pub')).toEqual(['publish']);
  });

  it.runIf(isHere)('offers every option of every command', () => {
    for (const { name, allOptions } of COMMANDS) {
      const longs = Object.values(allOptions).map(({ flags }) => flags.split(' ')[0] ?? '');
      expect([name, complete(...name.split(' '), '--')]).toEqual([name, expect.arrayContaining(longs)]);
    }
    expect(complete('policy', 'check', 'policy', '--js')).toEqual(['--json']);
  });

  it.runIf(isHere)('offers folders where a folder is meant, files where a file is, words of a closed list, and else nothing', () => {
    expect(complete('policy', 'check', '')).toEqual(['policy']);
    expect(complete('tools', 'import', 'x', '--policy', '')).toEqual(['policy']);
    expect(complete('sidecar', '--config', 'ru')).toEqual(['rules.yaml']);
    expect(complete('audit', 'tail', '--view', '')).toEqual(['calls', 'records']);
    expect(complete('agents', 'join-token', '--agent', '')).toEqual([]);
    expect(complete('nonsense', '')).toEqual([]);
  });

  it.runIf(isHere)('offers none of our options behind --', () => {
    const offers = complete('tools', 'import', 'x', '--', 'ls', '--');
    expect(offers.filter((offer) => offer.startsWith('--json') || offer.startsWith('--policy'))).toEqual([]);
  });
});

describe('completion', () => {
  it('offers a file with spaces and quotes in its name as one word', () => {
    expect(bash('sidecar', '--config', 'it')).toEqual(['it’s a "file"']);
  });

  it('is one line in JSON, and says which shells it knows', async () => {
    expect((await at.type('completion', 'bash', '--json')).json()).toMatchObject({
      shell: 'bash',
      script: expect.stringContaining('complete -F _sallyport sallyport'),
    });
    expect(await at.type('completion', 'tcsh')).toMatchObject({
      exit: 2,
      out: '',
      err: expect.stringContaining('`tcsh` is no shell that is known here (one of bash, zsh, fish)'),
    });
    expect(await at.type('completion', 'constructor')).toMatchObject({ exit: 2 });
  });

  it('quotes what options say, so that a script is never cut short by it', () => {
    expect(at.read('completion.zsh')).toContain(String.raw`'\''`);
    expect(spawnSync('bash', ['-n', at.path('completion.bash')]).status).toBe(0);
  });
});
