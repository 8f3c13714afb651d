/** One rule for every `--out`: what is named has to have its place. */

import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COMMANDS } from './commands.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';
import { writePolicy } from './testing/policies.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
  writePolicy(at, 'p');
});
afterEach(() => at.close());

/** A line of each command that has an `--out`, complete but for it. */
const LINES: readonly (readonly [name: string, ...more: string[]])[] = [
  ['policy build', 'p'],
  ['tools import', 'sums', '--policy', 'p', '--url', 'http://127.0.0.1:9/mcp'],
  ['api-key create'],
  ['agents join-token', '--agent', 'helper'],
  ['login', '--issuer', 'http://127.0.0.1:9', '--client-id', 'x'],
  ['root draft', '--trust-domain', 'acme.test'],
  ['root rotate'],
  ['root sign', 'nowhere', '--key', 'nowhere'],
  ['area delegate'],
  ['area sign', 'nowhere', '--key', 'nowhere'],
  ['online-keys draft'],
  ['online-keys sign', 'nowhere', '--key', 'nowhere'],
  ['bundle keygen'],
  ['release promote', '--sign-only'],
  ['release extend', '--in', 'nowhere', '--ttl', '1m', '--reason', 'x'],
];

describe('--out', () => {
  it('is here for every command that has one', () => {
    const named = COMMANDS.filter(({ allOptions }) => Object.values(allOptions).some(({ flags }) => flags.startsWith('--out ')));
    expect(LINES.map(([name]) => name)).toEqual(named.map(({ name }) => name));
  });

  it.each(LINES)('of %s makes no folder for a mistyped name, and names the one that is missing', async (name, ...more) => {
    const ran = await at.type(...name.split(' '), ...more, '--out', 'nowhere/below/x');
    expect(ran).toMatchObject({
      exit: 64,
      out: '',
      err: `nowhere/below/x: there is no folder \`${at.path('nowhere/below')}\` (make it first, or name another place)\n`,
    });
    expect(existsSync(at.path('nowhere'))).toBe(false);
  });

  it.each(LINES)('of %s takes a file above it for no folder', async (name, ...more) => {
    at.write('file', '');
    expect(await at.type(...name.split(' '), ...more, '--out', 'file/x')).toMatchObject({
      exit: 64,
      err: expect.stringContaining('there is no folder'),
    });
  });

  it('of what is made once never touches what is there', async () => {
    at.write('taken', 'mine');
    for (const line of [
      ['bundle', 'keygen'],
      ['api-key', 'create'],
      ['agents', 'join-token', '--agent', 'helper'],
    ])
      expect(await at.type(...line, '--out', 'taken')).toMatchObject({
        exit: 64,
        err: 'taken: exists, and is not overwritten (name a new file)\n',
      });
    expect(at.read('taken')).toBe('mine');
  });
});
