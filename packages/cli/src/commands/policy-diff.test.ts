import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smallPolicy, writePolicy } from '../testing/policies.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
  writePolicy(at, 'old');
  writePolicy(at, 'wide', smallPolicy({ maximum: 200 }));
  writePolicy(at, 'tight', smallPolicy({ maximum: 50 }));
});
afterEach(() => at.close());

const lastLine = (out: string): string | undefined => out.trimEnd().split('\n').at(-1);

describe('policy diff', () => {
  it('of the same policy is empty, be it a folder, a bundle in a folder or in a file', async () => {
    await at.type('policy', 'build', 'old', '--out', 'folder');
    await at.type('policy', 'build', 'old', '--out', 'file.json', '--revision', '7');
    for (const [a = '', b = ''] of [
      ['old', 'old'],
      ['old', 'folder'],
      ['folder', 'file.json'],
      ['file.json', 'old'],
    ]) {
      const { exit, out } = await at.type('policy', 'diff', a, b);
      expect([exit, out]).toEqual([
        0,
        'answered alike whatever the call: 1 pair of agent and tool; 0 could differ; 2 calls tried\nok: policy identical; calls tried: 0 newly allowed, 0 newly denied, 0 with another code\n',
      ]);
    }
  });

  it('exits with 1 and shows the call where something is newly allowed, and with 0 the other way round', async () => {
    const wider = await at.type('policy', 'diff', 'old', 'wide');
    expect([wider.exit, wider.err]).toEqual([1, '']);
    expect(wider.out).toContain(
      'wide/rules.yaml:5: rule `small-sums` changed\n  arguments: {"n":{"maximum":100}} -> {"n":{"maximum":200}}',
    );
    expect(wider.out).toContain(
      'sums/add of agent support-triage: parameter_not_allowed -> allow, by rule small-sums\n  {"n":101} with roles [rep]',
    );
    const tighter = await at.type('policy', 'diff', 'old', 'tight');
    expect([tighter.exit, lastLine(tighter.out)]).toEqual([
      0,
      expect.stringMatching(/^ok: 1 change of the policy; calls tried: 0 newly allowed, [1-9][0-9]* newly denied, 0 with another code$/),
    ]);
  });

  it('gives the same bytes every time, in every form', async () => {
    for (const form of ['text', 'json', 'sarif', 'junit', 'markdown']) {
      const [one, two] = [
        await at.type('policy', 'diff', 'old', 'wide', '--format', form),
        await at.type('policy', 'diff', 'old', 'wide', '--format', form),
      ];
      expect([one.out, one.exit]).toEqual([two.out, 1]);
    }
    const json = (await at.type('policy', 'diff', 'old', 'wide', '--json')).json();
    expect(json).toMatchObject({
      ok: false,
      identical: false,
      changes: [{ kind: 'rule', name: 'small-sums', change: 'changed', fields: [{ field: 'arguments' }], could_allow_more: true }],
      newly_denied: [],
    });
    expect(json['newly_allowed']).toContainEqual(
      expect.objectContaining({
        tool: 'sums/add',
        args: '{"n":101}',
        before: 'parameter_not_allowed',
        after: 'allow',
        rule_after: 'small-sums',
      }),
    );
  });

  it('says of two environments that the policy is identical and which values differ', async () => {
    const catalog = (smallPolicy()['catalog.yaml'] ?? '').replace('"http://127.0.0.1:9/mcp"', '"${env.sums}"');
    for (const port of [9, 10]) {
      writePolicy(at, `env-${port}`);
      at.write(`env-${port}/catalog.yaml`, catalog);
      at.write(
        `env-${port}/env.yaml`,
        `apiVersion: sallyport.dev/v1\nkind: Environment\nvalues: { sums: { url: "http://127.0.0.1:${port}/mcp" } }\n`,
      );
    }
    const { exit, out } = await at.type('policy', 'diff', 'env-9', 'env-10');
    expect([exit, lastLine(out)]).toEqual([1, expect.stringMatching(/^policy identical, 1 value differs; /)]);
  });

  it.each([
    ['a side that does not build', ['broken', 'old'], 64, /broken\/x\.yaml:2:\d+: .*Polcy/],
    ['both sides that do not', ['broken', 'broken'], 64, /Polcy[^]*Polcy/],
    ['a folder that is not there', ['nowhere', 'old'], 64, /nowhere: /],
    ['a bundle with a part of another', ['mixed', 'old'], 64, /`mixed`: the manifest names another policy part/],
    ['a bundle whose manifest is torn', ['torn', 'old'], 64, /`torn` holds no manifest/],
    ['a file that is no bundle', ['old/rules.yaml', 'old'], 64, /is not a bundle of format/],
    ['one policy', ['old'], 2, /one policy alone differs from nothing/],
    ['three policies', ['old', 'wide', '--against', 'published'], 2, /one too many/],
    ['another word than published', ['old', '--against', 'main'], 2, /is not understood/],
    ['no control plane', ['old', '--against', 'published'], 64, /\.sallyport/],
  ])('refuses %s, and does not answer', async (_, argv, exit, said) => {
    at.write('broken/x.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n');
    await at.type('policy', 'build', 'old', '--out', 'mixed');
    await at.type('policy', 'build', 'wide', '--out', 'wide-bundle');
    at.write('mixed/parts/policy.json', at.read('wide-bundle/parts/policy.json'));
    await at.type('policy', 'build', 'old', '--out', 'torn');
    at.write('torn/manifest.json', at.read('torn/manifest.json').slice(0, -9));
    const ran = await at.type('policy', 'diff', ...argv);
    expect([ran.exit, ran.out, ran.err]).toEqual([exit, '', expect.stringMatching(said)]);
  });
});

describe('policy build', () => {
  it('of the same files gives the same bytes from any folder, in any order of writing, whatever else lies around', async () => {
    const files = Object.entries({
      ...smallPolicy(),
      'sub/more.yaml': 'apiVersion: sallyport.dev/v1\nkind: Tool\nname: sums/other\neffect: read\n',
    });
    for (const [name, text] of files) at.write(`first/${name}`, text);
    for (const [name, text] of files.toReversed()) at.write(`elsewhere/deeper/${name}`, text);
    at.write('elsewhere/deeper/.hidden.yaml', 'not: policy');
    at.write('elsewhere/deeper/notes.txt', 'not policy either');
    const commit = 'c0ffee'.repeat(6);
    await at.type('policy', 'build', 'first', '--out', 'a', '--commit', commit);
    await at.type('policy', 'build', 'elsewhere/deeper/', '--out', 'b', '--commit', commit);
    for (const name of [
      'manifest.json',
      'test-report.json',
      ...['policy', 'catalog', 'environment', 'identity', 'egress', 'detectors', 'tests'].map((part) => `parts/${part}.json`),
    ])
      expect([name, at.read(`b/${name}`)]).toEqual([name, at.read(`a/${name}`)]);
    expect(JSON.parse(at.read('a/manifest.json'))).toMatchObject({ source: { commit } });
  });

  it('of the same declarations in other files differs in the tests part alone, which says where things stand', async () => {
    const { 'catalog.yaml': catalog = '', 'rules.yaml': rules = '' } = smallPolicy();
    at.write('one/all.yaml', `# in one file\n${catalog}---\n${rules.replace('apiVersion: sallyport.dev/v1\n', '')}`);
    const parts = async (dir: string): Promise<Record<string, string>> => {
      const { parts: built } = (await at.type('policy', 'build', dir, '--out', `${dir}-bundle`, '--json')).json();
      return Object.fromEntries((built as { name: string; digest: string }[]).map(({ name, digest }) => [name, digest]));
    };
    const [one, two] = [await parts('one'), await parts('old')];
    expect(Object.keys(one).filter((name) => one[name] !== two[name])).toEqual(['tests']);
  });
});
