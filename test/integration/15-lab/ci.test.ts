/** The templates of deploy/ci, their shell steps run as they stand in a repository of their own. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smallPolicy } from '../../../packages/cli/src/testing/policies.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
/** The reader of YAML that policies are read with. */
const { parse } = createRequire(join(ROOT, 'packages/policy/package.json'))('yaml') as { readonly parse: (text: string) => unknown };
const COMMAND = `${process.execPath} --conditions=sallyport-src ${join(ROOT, 'packages/cli/src/main.ts')}`;

interface Step {
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly run: string;
}
const action = parse(readFileSync(join(ROOT, 'deploy/ci/github/action.yml'), 'utf8')) as {
  readonly inputs: Readonly<Record<string, { readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
};
const gitlab = parse(readFileSync(join(ROOT, 'deploy/ci/gitlab/policy.gitlab-ci.yml'), 'utf8')) as Readonly<
  Record<string, { readonly script: readonly string[] }>
> & { readonly variables: Readonly<Record<string, string>> };

let repo: string;
const git = (...argv: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t.example', ...argv], { cwd: repo, encoding: 'utf8' }).trim();
const write = (name: string, text: string): void => {
  mkdirSync(dirname(join(repo, name)), { recursive: true });
  writeFileSync(join(repo, name), text);
};
const read = (name: string): string => readFileSync(join(repo, name), 'utf8');
/** A policy that is covered: one case more than `smallPolicy` has. */
const writePolicy = (dir: string, maximum: number): void => {
  for (const [name, text] of Object.entries(smallPolicy({ maximum }))) write(`${dir}/${name}`, text);
  write(
    `${dir}/more.yaml`,
    'apiVersion: sallyport.dev/v1\nkind: Test\ncases: [{ call: sums/add, args: { n: 7 }, expect: tool_not_allowed }]\n',
  );
};
const commit = (): string => {
  git('add', '-A');
  git('commit', '-q', '-m', 'x', '--allow-empty');
  return git('rev-parse', 'HEAD');
};

beforeEach(() => {
  repo = mkdtempSync(join(tmpdir(), 'sallyport-ci-'));
  git('init', '-q');
});
afterEach(() => rmSync(repo, { recursive: true, force: true }));

interface StepRun {
  readonly status: number | null;
  readonly outputs: string;
  readonly said: string;
}

/** Runs the action's steps one after another, ending at the first that fails, as a runner does. */
function runAction(inputs: Readonly<Record<string, string>>): readonly StepRun[] {
  const given = (text: string): string =>
    text.replaceAll(
      /\$\{\{ inputs\.([a-z-]+) \}\}/g,
      (_, name: string) => inputs[name] ?? (name === 'command' ? COMMAND : (action.inputs[name]?.default ?? '')),
    );
  const runs: StepRun[] = [];
  for (const step of action.runs.steps) {
    for (const name of ['GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY']) write(`../${name}`.replace('../', '.git/'), '');
    const env = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, value]) => [name, given(value)]));
    const ran = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
      cwd: repo,
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: repo,
        GITHUB_OUTPUT: join(repo, '.git/GITHUB_OUTPUT'),
        GITHUB_STEP_SUMMARY: join(repo, '.git/GITHUB_STEP_SUMMARY'),
        ...env,
      },
    });
    runs.push({ status: ran.status, outputs: read('.git/GITHUB_OUTPUT'), said: ran.stdout + ran.stderr });
    if (ran.status !== 0) break;
  }
  return runs;
}

function runJob(name: string, variables: Readonly<Record<string, string>>): StepRun {
  const ran = spawnSync('sh', ['-c', (gitlab[name]?.script ?? []).join('\n')], {
    cwd: repo,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: repo, ...gitlab.variables, SALLYPORT_COMMAND: COMMAND, ...variables },
  });
  return { status: ran.status, outputs: '', said: ran.stdout + ran.stderr };
}

describe('the GitHub action', () => {
  it('puts no input into a script: what is named in a pull request is never run', () => {
    for (const { run } of action.runs.steps) expect(run).not.toContain('${{');
  });

  it('passes a change that only denies more, writes all three reports, and asks for nobody', () => {
    writePolicy('policy', 100);
    const base = commit();
    writePolicy('policy', 50);
    commit();
    const runs = runAction({ base });
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(runs.at(-1)?.outputs).toBe('asks=false\n');
    expect(JSON.parse(read('sallyport-reports/check.sarif'))).toMatchObject({ version: '2.1.0' });
    expect(read('sallyport-reports/tests.xml')).toContain('<testsuite name="tests" tests="3" failures="0"');
    expect(read('sallyport-reports/diff.md')).toContain('### sallyport policy diff: ok');
    expect(read('.git/GITHUB_STEP_SUMMARY')).toBe(read('sallyport-reports/diff.md'));
  });

  it('asks for a second person where a call is newly allowed', () => {
    writePolicy('policy', 100);
    const base = commit();
    writePolicy('policy', 200);
    const runs = runAction({ base });
    expect([runs.length, runs.at(-1)?.status, runs.at(-1)?.outputs]).toEqual([3, 0, 'asks=true\n']);
    expect(read('sallyport-reports/diff.md')).toContain('a call that was denied is allowed');
  });

  it('asks for one too where the base has no policy, or one that does not build', () => {
    write('README.md', 'x');
    const before = commit();
    writePolicy('policy', 100);
    expect(runAction({ base: before }).at(-1)).toMatchObject({ status: 0, outputs: 'asks=true\n' });
    write('policy/more.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n');
    const broken = commit();
    writePolicy('policy', 100);
    expect(runAction({ base: broken }).at(-1)).toMatchObject({ status: 0, outputs: 'asks=true\n' });
  });

  it('compares nothing where no base is named', () => {
    writePolicy('policy', 100);
    expect(runAction({}).at(-1)).toMatchObject({ status: 0, outputs: 'asks=false\n' });
  });

  it('ends at the check with the place of the problem, and leaves the report', () => {
    writePolicy('policy', 100);
    write('policy/x.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n');
    const [only, ...more] = runAction({});
    expect([only?.status, more, only?.said]).toEqual([1, [], expect.stringContaining('policy/x.yaml:2:')]);
    expect(read('sallyport-reports/check.sarif')).toContain('"uri":"policy/x.yaml"');
  });

  it('ends at the tests where they do not cover a rule, unless that is not asked', () => {
    writePolicy('policy', 100);
    rmSync(join(repo, 'policy/more.yaml'));
    expect(runAction({}).map(({ status }) => status)).toEqual([0, 1]);
    expect(runAction({ 'require-coverage': 'false' }).map(({ status }) => status)).toEqual([0, 0, 0]);
  });

  it('runs nothing of hostile names: folders with spaces, quotes and dollars, and a base that is an option', () => {
    const dir = 'a "b" $(touch pwned) `touch pwned`; touch pwned';
    writePolicy(dir, 100);
    const base = commit();
    expect(runAction({ policy: dir, base }).map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(runAction({ policy: dir, base: '--upload-pack=touch pwned' }).at(-1)?.status).toBe(2);
    expect(existsSync(join(repo, 'pwned'))).toBe(false);
  });

  it('hands on what it found under the name that its outputs say', () => {
    expect(action.outputs['asks']?.value).toBe('${{ steps.diff.outputs.asks }}');
    const workflow = parse(readFileSync(join(ROOT, 'deploy/ci/github/workflow.yml'), 'utf8')) as {
      readonly jobs: Readonly<Record<string, { readonly if?: string }>>;
    };
    expect(workflow.jobs['second-person']?.if).toBe("needs.policy.outputs.asks == 'true'");
  });
});

describe('the GitLab template', () => {
  it('checks, tests and compares, and ends with 1 where more is allowed', () => {
    writePolicy('policy', 100);
    const base = commit();
    writePolicy('policy', 50);
    const jobs = ['policy:check', 'policy:test', 'policy:diff'];
    expect(jobs.map((name) => runJob(name, { SALLYPORT_BASE: base }).status)).toEqual([0, 0, 0]);
    expect(read('sallyport-reports/check.xml')).toContain('<testsuites');
    writePolicy('policy', 200);
    expect(runJob('policy:diff', { SALLYPORT_BASE: base })).toMatchObject({ status: 1, said: expect.stringContaining('is allowed') });
  });

  it('fails where the policy does not build, and warns where the base does not', () => {
    writePolicy('policy', 100);
    write('policy/x.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n');
    const base = commit();
    expect(runJob('policy:check', { SALLYPORT_BASE: base })).toMatchObject({
      status: 1,
      said: expect.stringContaining('policy/x.yaml:2:'),
    });
    expect(runJob('policy:test', { SALLYPORT_BASE: base }).status).toBe(1);
    rmSync(join(repo, 'policy/x.yaml'));
    expect(runJob('policy:diff', { SALLYPORT_BASE: base })).toMatchObject({ status: 1, said: expect.stringContaining('Polcy') });
    expect(runJob('policy:diff', { SALLYPORT_BASE: '' }).status).toBe(0);
  });
});
