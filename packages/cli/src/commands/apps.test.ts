import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

describe.each(['sidecar', 'control-plane'])('what is wrong with the configuration of a %s', (app) => {
  it('has its place in members of its own, for programs', async () => {
    at.write('c.yaml', 'nothing_of_the_kind: 1\n');
    const { exit, err, json } = await at.type(app, '--config', 'c.yaml', '--check-config', '--json');
    const { problems } = json() as { problems: readonly Record<string, unknown>[] };
    expect([exit, err, problems.length > 0]).toEqual([64, '', true]);
    expect(problems.find(({ path }) => path === 'nothing_of_the_kind')).toMatchObject({
      file: expect.stringMatching(/c\.yaml$/),
      line: 1,
      message: expect.not.stringContaining('c.yaml'),
    });
  });

  it('is a line each, for people', async () => {
    at.write('c.yaml', 'nothing_of_the_kind: 1\n');
    const { exit, out, err } = await at.type(app, '--config', 'c.yaml', '--check-config');
    expect([exit, out]).toEqual([64, '']);
    expect(err).toMatch(/c\.yaml:1(:1)?: nothing_of_the_kind: /);
  });
});
