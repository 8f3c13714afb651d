import { Fault } from '@sallyport/model';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command } from './command.ts';
import { COMMANDS, FAMILIES } from './commands.ts';
import type { Io } from './io.ts';
import { runProgram } from './program.ts';
import { required } from './option.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

const LINES = ['', ...Object.keys(FAMILIES), ...COMMANDS.map(({ name }) => name)];

describe('help', () => {
  it('reads for every command as reviewed', async () => {
    const pages: string[] = [];
    for (const line of LINES) {
      const { exit, out, err } = await at.type(...line.split(' ').filter((word) => word !== ''), '--help');
      expect([line, exit, err]).toEqual([line, 0, '']);
      pages.push(`$ sallyport ${line === '' ? '' : `${line} `}--help\n${out}`);
    }
    await expect(pages.join('\n')).toMatchFileSnapshot('./__golden__/help.txt');
  });

  it('gives every command an example that begins with its name, and says what each option is for', () => {
    for (const { name, examples, allOptions } of COMMANDS) {
      expect(examples.map(({ line }) => line.startsWith(name))).not.toContain(false);
      for (const { says } of Object.values(allOptions)) expect(says).toMatch(/[^.]$/);
    }
  });

  it.each([[], ['policy'], ['policy', 'publish']])('is found by the word `help` too, and is an answer: %j', async (...words) => {
    const asked = await at.type(...words, '--help');
    expect([asked.exit, await at.type('help', ...words)]).toEqual([0, { ...asked, json: expect.any(Function) }]);
  });

  it.each([
    ['polcy', 'unknown command `polcy` (did you mean'],
    ['policy chekc', 'unknown command `chekc` (did you mean `policy check`?)'],
  ])('of what is no command is none: %s', async (words, message) => {
    expect(await at.type('help', ...words.split(' '))).toMatchObject({ exit: 2, out: '', err: expect.stringContaining(message) });
  });

  it.each([['--version'], ['version'], ['-v'], ['-V']])('leaves the version to %s', async (...argv) => {
    expect(await at.type(...argv)).toMatchObject({ exit: 0, out: '0.1.0\n', err: '' });
  });
});

describe('used wrongly', () => {
  it.each([
    ['no command', [], 'Usage: sallyport'],
    ['a command family alone', ['policy'], 'Usage: sallyport policy'],
    ['a mistyped command', ['polcy', 'check', 'x'], 'sallyport: unknown command `polcy` (did you mean `policy check`?)'],
    ['a mistyped subcommand', ['policy', 'chekc', 'x'], 'unknown command `chekc` (did you mean `policy check`?)'],
    ['a subcommand that is none', ['fleet', 'x'], 'unknown command `x` (known are `fleet status`)'],
    ['the second word alone', ['tail'], 'unknown command `tail` (did you mean `audit tail`?)'],
    ['a command in one word', ['policy-check', 'x'], 'unknown command `policy-check` (did you mean `policy check`?)'],
    ['a word like no other', ['xylophone'], 'sallyport: unknown command `xylophone`\nsallyport --help says what is understood\n'],
    ['a mistyped option', ['policy', 'check', 'x', '--jsn'], 'policy check: unknown option `--jsn` (did you mean `--json`?)\n'],
    ['a missing argument', ['policy', 'check'], 'argument `DIR` is missing (sallyport policy check DIR [options])'],
    ['an argument too many', ['policy', 'check', 'a', 'b'], 'there are too many arguments (sallyport policy check DIR [options])'],
    ['a missing option', ['agents', 'join-token'], 'option `--agent NAME` is missing\n'],
    ['an option without its value', ['policy', 'build', 'x', '--out'], 'option `--out PATH` lacks its value'],
    [
      'a word outside the list',
      ['audit', 'tail', '--view', 'record'],
      'option --view VIEW: `record` is none of calls, records (did you mean records?)',
    ],
    [
      'a span without a unit',
      ['agents', 'join-token', '--agent', 'a', '--ttl', '60'],
      'option --ttl SPAN: `60` is not a span of time such as 90s, 15m, 1h or 30d',
    ],
    ['a span out of range', ['agents', 'join-token', '--agent', 'a', '--ttl', '30d'], 'option --ttl SPAN: `30d` is outside 1m to 1d'],
    ['a number that is none', ['policy', 'log', '--limit', '0'], 'option --limit N: `0` is not a whole number from 1'],
  ])('is %s: exit 2, on standard error, nothing on standard output', async (_name, argv, message) => {
    const { exit, out, err } = await at.type(...argv);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).not.toMatch(/\n {4}at /);
  });
});

describe('used wrongly under --json', () => {
  it.each([
    ['a mistyped command', ['polcy', 'check', '--json'], 'unknown command `polcy`', 'did you mean `policy check`?'],
    ['a mistyped option', ['policy', 'check', 'x', '--json', '--alowed'], 'unknown option `--alowed`', null],
    ['a missing argument', ['policy', 'check', '--json'], 'argument `DIR` is missing', 'sallyport policy check DIR [options]'],
    ['a number that is none', ['policy', 'log', '--limit', '0', '--json'], 'option --limit N: `0` is not a whole number from 1', null],
  ])('is %s: one document on standard output, nothing beside it', async (_name, argv, message, remedy) => {
    const { exit, err, json } = await at.type(...argv);
    const problem = remedy === null ? { message } : { message, remedy };
    expect([exit, err]).toEqual([2, '']);
    expect(json()).toEqual({ exit: 2, code: 'used_wrongly', message, remedy, problems: [problem] });
  });

  it('does not read the options of the command behind `--`', async () => {
    expect(await at.type('policy', 'chekc', '--', '--json')).toMatchObject({ exit: 2, out: '' });
  });
});

describe('a command that fails', () => {
  const failing = (thrown: unknown): ReturnType<typeof command> =>
    command({
      name: 'fail',
      group: 'Run',
      summary: 'fails',
      options: { why: required('--why TEXT', 'for no reason') },
      examples: [{ line: 'fail', says: 'always' }],
      run: async () => {
        throw thrown;
      },
    });
  const fail = async (
    thrown: unknown,
    argv: readonly string[] = [],
    signal = new AbortController().signal,
  ): Promise<readonly [number, string, string]> => {
    let [out, err] = ['', ''];
    const io = {
      write: async (text: string) => (out += text),
      note: (text: string) => (err += text),
      env: {},
      cwd: at.dir,
      signal,
      isTerminal: false,
    } as unknown as Io;
    return [await runProgram(['fail', '--why', 'x', ...argv], io, { commands: [failing(thrown)], families: {} }), err, out];
  };

  it('says so in one line, without a stack trace', async () => {
    expect(await fail(new Fault('store_failed', 'internal', 'the disk is gone'))).toEqual([
      1,
      'sallyport: the disk is gone (--verbose tells more)\n',
      '',
    ]);
    expect(await fail(new TypeError('x is not a function'))).toEqual([
      1,
      'sallyport: this should not have happened: x is not a function (--verbose tells more)\n',
      '',
    ]);
  });

  it('shows causes and stack traces where they are asked for', async () => {
    const [exit, err] = await fail(new Fault('store_failed', 'internal', 'outer', { cause: new Error('inner') }), ['--verbose']);
    expect(exit).toBe(1);
    expect(err).toMatch(/Fault: outer\n +at [\s\S]*caused by: Error: inner\n +at /);
  });

  it('is quiet and 130 where it was stopped', async () => {
    expect(await fail(new Error('aborted'), [], AbortSignal.abort())).toEqual([130, '', '']);
  });

  it.each([
    ['a fault', new Fault('store_failed', 'internal', 'the disk is gone'), 'store_failed', 'the disk is gone'],
    ['a bug', new TypeError('x is not a function'), 'internal', 'this should not have happened: x is not a function'],
  ])('is one document under --json: %s', async (_name, thrown, code, message) => {
    const [exit, err, out] = await fail(thrown, ['--json']);
    expect([exit, err]).toEqual([1, '']);
    expect(JSON.parse(out)).toEqual({ exit: 1, code, message, remedy: null, problems: [{ message }] });
  });

  it('is one document under --json where it was stopped', async () => {
    const [exit, , out] = await fail(new Error('aborted'), ['--json'], AbortSignal.abort());
    expect([exit, JSON.parse(out)]).toMatchObject([130, { exit: 130, code: 'stopped' }]);
  });
});
