import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startFolder } from './start-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const RUN = {
  INIT_CWD: '/srv/work',
  npm_package_name: 'sallyport-workspace',
  npm_lifecycle_event: 'sallyport',
  npm_package_json: '/srv/clone/package.json',
};

describe('paths count from', () => {
  it.each([
    ['where the script of the clone was typed', RUN, '/srv/clone', '/srv/work'],
    ['where a script of another package runs', { ...RUN, npm_package_name: 'their-agent' }, '/srv/clone', '/srv/clone'],
    ['where another script of the clone runs', { ...RUN, npm_lifecycle_event: 'test' }, '/srv/clone', '/srv/clone'],
    ['where a child of the script has gone', RUN, '/tmp/elsewhere', '/tmp/elsewhere'],
    ['where it runs, without npm', {}, '/srv/clone', '/srv/clone'],
  ])('%s', (_name, env, cwd, folder) => {
    expect(startFolder(env, cwd)).toBe(folder);
  });

  it('where a person is who runs npm there, or from anywhere with --prefix', () => {
    for (const [cwd, argv, path] of [
      [join(ROOT, 'examples'), ['run'], 'demo-policy'],
      ['/', ['--prefix', ROOT, 'run'], join('.', ROOT, 'examples', 'demo-policy')],
    ] as const) {
      const ran = spawnSync('npm', [...argv, '--silent', 'sallyport', '--', 'policy', 'check', path], {
        cwd,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      });
      expect([ran.status, ran.stderr.toString()]).toEqual([0, '']);
    }
  });
});
