import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smallPolicy, writePolicy } from '../testing/policies.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
  writePolicy(at, 'p');
});
afterEach(() => at.close());

const EXAMPLE = new URL('../../../../examples/demo-policy', import.meta.url).pathname;

describe('policy check', () => {
  it('says ok, with sizes, and as JSON', async () => {
    expect(await at.type('policy', 'check', 'p')).toMatchObject({ exit: 0, out: 'ok: 1 rule, 1 tool, 2 tests\n', err: '' });
    expect((await at.type('policy', 'check', 'p', '--json')).json()).toEqual({
      ok: true,
      rules: 1,
      tools: 1,
      tests: 2,
      features: ['for.roles', 'rule.allow', 'rule.arguments', 'selector.tool'],
      problems: [],
    });
  });

  it('names every problem with file, line, column and remedy, all at once', async () => {
    const more = `  - id: broken\n    allow: [sums/ad]\n  - id: typed\n    allow: [sums/add]\n    when: args.n == "x"\n  - id: odd\n    alow: [sums/add]\n`;
    writePolicy(at, 'p', smallPolicy({ more }));
    const { exit, out, err } = await at.type('policy', 'check', 'p/');
    expect([exit, err]).toEqual([1, '']);
    expect(out).toContain('p/rules.yaml:10:13: rules[1].allow[0]: no tool `sums/ad` (did you mean `sums/add`)');
    expect(out).toMatch(/p\/rules\.yaml:13:\d+: rules\[2\]\.when: /);
    expect(out).toContain('p/rules.yaml:15:5: rules[3].alow: `alow` is not a field of a rule (did you mean `allow`)');
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^3 problems/);
  });

  it('asks whether the folder was meant, where much was read that is no policy', async () => {
    for (let n = 0; n < 60; n++) at.write(`all/package-${n}/package.json`, '{}');
    writePolicy(at, 'all/policy', smallPolicy({ more: '  - { id: broken, allow: [sums/ad] }\n' }));
    const { exit, out } = await at.type('policy', 'check', './all');
    expect([exit, out.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      expect.stringMatching(/problems?; 62 files were read: is \.\/all the folder of the policy\?$/),
    ]);
    expect(out).toMatch(/^all\/policy\/rules\.yaml:/m);
  });

  it('gives problems as JSON with the same places', async () => {
    writePolicy(at, 'p', smallPolicy({ more: '  - { id: broken, allow: [sums/ad] }\n' }));
    const { exit, json } = await at.type('policy', 'check', 'p', '--json');
    expect(exit).toBe(1);
    expect(json()).toEqual({
      ok: false,
      exit: 1,
      code: 'answer_is_no',
      message: 'p/rules.yaml:9:27: rules[1].allow[0]: no tool `sums/ad`',
      remedy: 'did you mean `sums/add`',
      problems: [
        {
          file: 'p/rules.yaml',
          line: 9,
          column: 27,
          path: 'rules[1].allow[0]',
          message: 'no tool `sums/ad`',
          remedy: 'did you mean `sums/add`',
        },
      ],
    });
  });

  it('warns and still says ok', async () => {
    const catalog = smallPolicy()['catalog.yaml'] ?? '';
    at.write('p/catalog.yaml', `${catalog}---\nkind: Tool\nname: sums/unused\n`);
    const { exit, out } = await at.type('policy', 'check', 'p');
    expect(exit).toBe(0);
    expect(out).toContain('warning: no rule allows `sums/unused`');
    expect(out).toContain('ok: 1 rule, 2 tools, 2 tests, 1 warning');
  });

  it.each([
    ['is not there', 'nowhere', 'cannot be read: there is no such file or folder'],
    ['is a file', 'p/rules.yaml', 'cannot be read: this is not a folder'],
    ['holds no policy', 'empty', 'holds no YAML document (name the folder with your policy in it'],
  ])('refuses a folder that %s, with 64', async (_name, dir, message) => {
    mkdirSync(at.path('empty'));
    const { exit, out, err } = await at.type('policy', 'check', dir);
    expect([exit, out]).toEqual([64, '']);
    expect(err).toContain(`${dir}: ${message}`);
  });

  it('reads no hidden file and follows no link', async () => {
    at.write('elsewhere/bad.yaml', 'nonsense: [');
    at.write('p/.bad.yaml', 'nonsense: [');
    symlinkSync(at.path('elsewhere/bad.yaml'), at.path('p/link.yaml'));
    symlinkSync(at.path('elsewhere'), at.path('p/folder'));
    expect((await at.type('policy', 'check', 'p')).exit).toBe(0);
  });

  it('refuses a file that is not UTF-8, by its name', async () => {
    at.write('p/latin.yaml', Uint8Array.of(0x6b, 0xe9));
    expect(await at.type('policy', 'check', 'p')).toMatchObject({ exit: 64, err: 'p/latin.yaml: is not UTF-8\n' });
  });
});

describe('policy test', () => {
  it('passes, and says how many', async () => {
    expect(await at.type('policy', 'test', 'p')).toMatchObject({ exit: 0, out: 'ok: 2 tests passed\n' });
  });

  it('shows a failing case with its line, what was expected, what was seen and why', async () => {
    writePolicy(at, 'p', smallPolicy({ maximum: 5 }));
    const { exit, out } = await at.type('policy', 'test', 'p');
    expect(exit).toBe(1);
    expect(out).toContain('p/rules.yaml:13: `sums/add`: expected allow, seen parameter_not_allowed');
    expect(out).toContain('args.n = 7');
    expect(out).toContain('1 failed, 1 passed');
    const { outcomes, ...counts } = (await at.type('policy', 'test', 'p', '--json')).json();
    expect(counts).toMatchObject({ passed: 1, failed: 1, exit: 1, code: 'answer_is_no', message: expect.stringContaining('rules.yaml') });
    expect((outcomes as unknown[])[0]).toEqual({
      call: 'sums/add',
      file: 'rules.yaml',
      line: 13,
      expected: 'allow',
      seen: 'parameter_not_allowed',
      passed: false,
    });
  });

  it('does not call a policy without tests tested', async () => {
    at.write('p/rules.yaml', (smallPolicy()['rules.yaml'] ?? '').split('---')[0] ?? '');
    expect(await at.type('policy', 'test', 'p')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('holds no tests (add a document of kind Test)'),
    });
  });

  it('passes for the policy of the demo', async () => {
    expect(await at.type('policy', 'test', EXAMPLE)).toMatchObject({ exit: 0, out: 'ok: 17 tests passed\n' });
  });
});

describe('policy build', () => {
  it('gives the same bytes for the same policy, wherever it stands and however its files are cut', async () => {
    const first = (await at.type('policy', 'build', 'p', '--out', 'one', '--json')).json();
    renameSync(at.path('p'), at.path('moved'));
    const second = (await at.type('policy', 'build', 'moved', '--out', 'two.json', '--json')).json();
    expect(second['digest']).toBe(first['digest']);
    expect(second['parts']).toEqual(first['parts']);
  });

  it('gives other bytes for another revision, commit or rule, and for the rule alone another part', async () => {
    const build = async (...more: readonly string[]): Promise<Record<string, unknown>> =>
      (await at.type('policy', 'build', 'p', '--out', `b${more.join('')}`.replaceAll(/[^a-z0-9]/g, ''), '--json', ...more)).json();
    const base = await build();
    const digests = [base, await build('--revision', '2'), await build('--commit', 'abcdef1')].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(3);
    writePolicy(at, 'p', smallPolicy({ maximum: 50 }));
    const changed = (await build('--revision', '3'))['parts'] as { name: string; digest: string }[];
    const before = base['parts'] as { name: string; digest: string }[];
    expect(changed.filter(({ digest }, index) => digest !== before[index]?.digest).map(({ name }) => name)).toEqual(['policy']);
  });

  it('builds nothing where a test fails', async () => {
    writePolicy(at, 'p', smallPolicy({ maximum: 5 }));
    expect((await at.type('policy', 'build', 'p', '--out', 'b')).exit).toBe(1);
    expect(() => at.read('b/manifest.json')).toThrow('ENOENT');
  });

  it('says every wrong option at once', async () => {
    const { exit, err } = await at.type('policy', 'build', 'p', '--out', 'b', '--area', 'A', '--previous', 'x', '--commit', 'HEAD');
    expect(exit).toBe(2);
    for (const option of ['--area', '--previous', '--commit']) expect(err).toContain(option);
  });
});

describe('policy explain', () => {
  const explain = async (...more: readonly string[]): Promise<{ exit: number; out: string; err: string }> =>
    at.type('policy', 'explain', 'p', '--call', 'sums/add', ...more);

  it('names rule, file and line of an allow, and what would deny it', async () => {
    const { exit, out } = await explain('--args', '{"n":7}', '--as', 'roles=rep');
    expect(exit).toBe(0);
    expect(out).toContain('allow sums/add, by rule small-sums (p/rules.yaml:5)');
    expect(out).toContain('to deny it:');
  });

  it('names what is unmet and the smallest change', async () => {
    const { exit, out } = await explain('--args', '{"n":700}', '--as', 'roles=rep');
    expect(exit).toBe(1);
    expect(out).toContain('deny sums/add: parameter_not_allowed, by small-sums (p/rules.yaml:5)');
    expect(out).toContain('args.n = 700');
    expect(out).toContain('to allow it:\n  change n: must be at most 100');
  });

  it('says of a principal that no rule is for that the tool is hidden', async () => {
    const { exit, out } = await explain('--as', 'roles=visitor');
    expect(exit).toBe(1);
    expect(out).toContain('deny: tool_not_allowed, by gate tool');
    expect(out).toContain('tools it can see: none');
  });

  it.each([
    ['a tool that is not there', ['--call', 'sums/ad'], 'did you mean sums/add?'],
    ['arguments of a wrong type', ['--args', '{"n":"7"}', '--as', 'roles=rep'], 'deny: schema_violation, by gate validation\n  n: '],
    [
      'an argument that is not declared',
      ['--args', '{"n":7,"m":1}', '--as', 'roles=rep'],
      'deny: field_not_allowed, by gate validation\n  m: ',
    ],
    ['arguments with a name twice', ['--args', '{"n":7,"n":8}', '--as', 'roles=rep'], 'deny: malformed_request, by gate validation'],
  ])('explains %s before any rule', async (_name, more, text) => {
    const { exit, out } = await explain(...more);
    expect(exit).toBe(1);
    expect(out).toContain(text);
  });

  it('takes the caller from a file and from words, the words last', async () => {
    at.write('who.json', '{"roles":["visitor"],"principal":"bob","session":{"case":"T-1","completed":["sums/add"]}}');
    expect((await explain('--args', '{"n":7}', '--as', 'who.json')).exit).toBe(1);
    expect((await explain('--args', '{"n":7}', '--as', 'who.json', '--as', 'roles=rep')).exit).toBe(0);
  });

  it.each([
    ['an unknown word', ['--as', 'rols=rep'], '`rols` says nothing of a call (did you mean roles?)'],
    ['an unknown member', ['--as', 'who.json'], 'who.json: rols: `rols` is not a field of `given` (did you mean `roles`)'],
    ['a word without the map that it stands in', ['--as', 'acr=gold'], '`acr` says nothing of a call (did you mean signed_in.acr?)'],
    ['what is more than a word', ['--as', 'approvals=bob'], '`approvals` is more than a word can say (name a JSON file that holds it)'],
    ['a moment that is none', ['--as', 'at=noon'], '--as at: must be an instant in UTC (such as 2026-12-31T23:59:59Z)'],
    ['a risk that is none', ['--as', 'session.risk=high'], '--as session.risk: `risk` must be a whole number from 0 to 100'],
    ['a file that is not there', ['--as', 'nobody.json'], 'nobody.json: cannot be read'],
    ['an attribute that no issuer maps', ['--as', 'attributes.level=3'], 'no issuer maps a claim to `level`'],
    ['a tool that is no name', ['--as', 'session.completed=add'], '`add` is not a tool'],
    [
      'arguments that are no JSON',
      ['--args', '{n:7}', '--as', 'roles=rep'],
      '`--args` is not JSON (names and texts stand in double quotes:',
    ],
    ['an agent that is not there', ['--agent', 'support-triag'], 'no agent `support-triag` (did you mean support-triage?)'],
  ])('refuses %s, with 2', async (_name, more, message) => {
    at.write('who.json', '{"rols":["rep"]}');
    const { exit, err } = await explain(...more);
    expect(exit).toBe(2);
    expect(err).toContain(message);
  });

  describe('says of a call all that a test can', () => {
    const RULES: Readonly<Record<string, string>> = {
      task: 'task: [refunds]',
      step_up: 'step_up: { acr: [gold], amr: [mfa], max_age: 10m }',
      hours: 'hours: { days: [mon, tue], from: "08:00", to: "18:00", utc_offset: "+01:00" }',
      risk: 'risk: { max: 50 }',
      valid: 'valid: { until: 2020-01-01T00:00:00Z }',
      reviewed: 'reviewed: args.note',
      approval: 'approval: { by: { role: lead } }',
    };
    const asked = async (demand: string, ...as: readonly string[]): Promise<{ exit: number; out: string; err: string }> => {
      writePolicy(at, 'q', {
        'p.yaml': `${(smallPolicy()['catalog.yaml'] ?? '').replace('{ n: { type: integer } }', '{ n: { type: integer }, note: { type: string } }')}---
kind: Policy
agent: support-triage
rules: [{ id: r, allow: [sums/add], ${RULES[demand]} }]
`,
      });
      const words = as.flatMap((one) => ['--as', one]);
      return at.type('policy', 'explain', 'q', '--call', 'sums/add', '--args', '{"n":1,"note":"Dear Bob"}', ...words);
    };

    it.each([
      ['task', ['session.task=refunds'], ['session.task=sales'], '--as session.task=…'],
      ['step_up', ['signed_in.acr=gold', 'signed_in.amr=pwd,mfa', 'signed_in.ago=10m'], ['signed_in.acr=gold'], '--as signed_in.amr=…'],
      [
        'step_up',
        ['signed_in.acr=gold', 'signed_in.amr=mfa'],
        ['signed_in.acr=gold', 'signed_in.amr=mfa', 'signed_in.ago=601s'],
        '--as signed_in.ago=…',
      ],
      ['hours', ['at=2026-06-29T16:59:00Z'], ['at=2026-06-29T17:00:00Z'], '--as at=…'],
      ['risk', ['session.risk=50'], [], '--as session.risk=…'],
      ['reviewed', ['session.reviewed=Dear Bob'], [], '--as session.reviewed=…'],
      ['approval', ['approvals.json'], [], '`approvals` in a JSON file'],
    ])('%s: allowed with %j, not with %j, and the answer says how to say it: %s', async (demand, enough, lacking, said) => {
      at.write('approvals.json', '{"approvals":[{"person":"bob","roles":["lead"]}]}');
      expect(await asked(demand, ...enough)).toMatchObject({ exit: 0, err: '' });
      const denied = await asked(demand, ...lacking);
      expect(denied.exit).toBe(1);
      expect(denied.out).toContain('to try another: ');
      expect(denied.out).toContain(said);
    });

    it('lays words over the file, map by map', async () => {
      at.write('who.json', '{"signed_in":{"acr":"gold","amr":["pwd"]},"at":"2026-06-29T12:00:00Z"}');
      expect((await asked('step_up', 'who.json')).exit).toBe(1);
      expect((await asked('step_up', 'signed_in.amr=mfa', 'who.json')).exit).toBe(0);
    });

    it('is asked now, unless told when', async () => {
      const before = at.clock.wall();
      const { exit, out } = await asked('valid');
      expect([exit, Date.parse(/now = "([^"]+)"/.exec(out)?.[1] ?? '') >= before]).toEqual([1, true]);
      expect((await asked('valid', 'at=2019-12-31T23:59:59Z')).exit).toBe(0);
    });

    it('says on which days', async () => {
      expect((await asked('hours', 'at=2026-07-01T12:00:00Z')).out).toContain('call on mon, tue between 08:00 and 18:00 (UTC+01:00)');
    });
  });

  it('tells what was made of the arguments before they were judged', async () => {
    const catalog = (smallPolicy()['catalog.yaml'] ?? '').replace(
      'arguments: { required: [n], properties: { n: { type: integer } } }',
      'unknown_arguments: strip\nranges: [{ from: since, to: until, max: 30d, over: narrow }]\narguments: { required: [since, until], properties: { since: { type: string, format: date }, until: { type: string, format: date } } }',
    );
    const rules = 'kind: Policy\nagent: support-triage\nrules: [{ id: r, allow: [sums/add], when: args.since > "2026-05-01" }]\n';
    writePolicy(at, 'q', { 'p.yaml': `${catalog}---\n${rules}` });
    const asked = ['policy', 'explain', 'q', '--call', 'sums/add', '--args', '{"since":"2026-01-01","until":"2026-06-01","page":2}'];
    const changes = ['narrowed `since` from 2026-01-01 to 2026-05-02', 'took out the unknown argument `page`'];
    const { exit, out } = await at.type(...asked);
    expect([exit, out.split('\n').slice(0, 3)]).toEqual([
      0,
      [...changes.map((change) => `before the decision: ${change}`), 'allow sums/add, by rule r (q/p.yaml:21)'],
    ]);
    expect((await at.type(...asked, '--json')).json()).toMatchObject({ arguments_changed: changes });
  });

  it('answers as JSON', async () => {
    const { json } = await at.type('policy', 'explain', 'p', '--call', 'sums/add', '--args', '{"n":700}', '--as', 'roles=rep', '--json');
    expect(json()).toMatchObject({
      decision: 'deny',
      code: 'parameter_not_allowed',
      rule_id: 'small-sums',
      file: 'p/rules.yaml',
      line: 5,
      change: ['change n: must be at most 100'],
      rules: [{ rule_id: 'small-sums', verb: 'allow', matches: false, unmet: [{ requirement: 'arguments', values: { 'args.n': '700' } }] }],
    });
  });

  it('says that nobody was named, where that may be why', async () => {
    const hint = 'nobody was named who calls: add --as, such as --as roles=member\n';
    expect([(await explain('--args', '{"n":7}')).err, (await explain('--args', '{"n":7}', '--as', 'roles=rep')).err]).toEqual([hint, '']);
  });

  it('knows the id of a decision, and who is asked for that', async () => {
    const id = '01JD7Q2M8ZK4T6V9W1X3Y5A7B9';
    expect(await at.type('policy', 'explain', id)).toMatchObject({
      exit: 2,
      err: expect.stringContaining(`\`${id}\` is the id of a decision, and no folder (ask its sidecar: \`sallyport explain ${id}\`)`),
    });
  });

  it('wants to know what is asked', async () => {
    expect(await at.type('policy', 'explain', 'p')).toMatchObject({ exit: 2, err: expect.stringContaining('`--call` is missing') });
    expect(await at.type('policy', 'explain', 'p', '--call', 'add')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('`add` is not a tool'),
    });
  });
});

describe('a report of check and test', () => {
  it('in every form says the same verdict by exit code, for a policy that builds and one that does not', async () => {
    writePolicy(at, 'bad', smallPolicy({ more: '  - { id: broken, allow: [sums/ad] }\n' }));
    writePolicy(at, 'failing', smallPolicy({ expect: 'tool_not_allowed' }));
    for (const form of ['text', 'json', 'junit', 'sarif', 'markdown']) {
      const exits: number[] = [];
      for (const [verb, dir] of [
        ['check', 'p'],
        ['check', 'bad'],
        ['test', 'p'],
        ['test', 'bad'],
        ['test', 'failing'],
      ] as const)
        exits.push((await at.type('policy', verb, dir, '--format', form)).exit);
      expect([form, exits]).toEqual([form, [0, 1, 0, 1, 1]]);
    }
  });

  it('names file, line and remedy of a problem in JUnit and SARIF', async () => {
    writePolicy(at, 'bad', smallPolicy({ more: '  - { id: broken, allow: [sums/ad] }\n' }));
    const junit = await at.type('policy', 'check', 'bad', '--format', 'junit');
    expect(junit.out).toContain('file="bad/rules.yaml" line="9"><failure message="bad/rules.yaml:9:27: rules[1].allow[0]: ');
    expect(junit.out).toContain('(did you mean `sums/add`)');
    const sarif = (await at.type('policy', 'check', 'bad', '--format', 'sarif')).json();
    expect(sarif).toMatchObject({
      runs: [
        {
          results: [
            {
              ruleId: 'policy-problem',
              locations: [{ physicalLocation: { artifactLocation: { uri: 'bad/rules.yaml' }, region: { startLine: 9, startColumn: 27 } } }],
            },
          ],
        },
      ],
    });
  });

  it('gives each test of a JUnit report its own outcome', async () => {
    writePolicy(at, 'failing', smallPolicy({ expect: 'tool_not_allowed' }));
    const { out } = await at.type('policy', 'test', 'failing', '--format', 'junit');
    expect(out).toContain('<testsuite name="tests" tests="2" failures="1" errors="0" skipped="0">');
    expect(out).toMatch(/sums\/add expects tool_not_allowed \(line 13\)" file="failing\/rules.yaml" line="13"><failure message="failing/);
    expect(out).toMatch(/sums\/add expects parameter_not_allowed \(line 14\)" file="failing\/rules.yaml" line="14"\/>/);
  });
});

describe('policy test --coverage', () => {
  it('tells both counts and every gap, and is a no only where it is required', async () => {
    const told = await at.type('policy', 'test', 'p', '--coverage');
    expect([told.exit, told.out]).toEqual([
      0,
      `p/rules.yaml:5  allow  small-sums  1 allowed  1 denied  for 0, arguments 1
p/rules.yaml:5: warning: no test is denied by \`for\` of rule \`small-sums\` alone (add a case that meets everything else that the rule demands)
ok: 2 tests passed; 1 allowed and 1 denied cases, 1 of 1 rule shown to do both, 1 gap
`,
    ]);
    const required = await at.type('policy', 'test', 'p', '--require-coverage');
    expect([required.exit, required.out.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      '2 tests passed, not covered; 1 allowed and 1 denied cases, 1 of 1 rule shown to do both, 1 gap',
    ]);
    expect((await at.type('policy', 'test', 'p', '--require-coverage', '--json')).json()).toMatchObject({
      exit: 1,
      code: 'answer_is_no',
      coverage: { allow_cases: 1, deny_cases: 1, complete: false, gaps: [{ id: 'coverage-gap', level: 'error', line: 5 }] },
    });
  });

  it('demands a denied case for each allowed one, and both for every rule', async () => {
    const { 'rules.yaml': rules = '' } = smallPolicy();
    const covered = `${rules}---\nkind: Test\ncases: [{ call: sums/add, args: { n: 7 }, expect: tool_not_allowed }]\n`;
    at.write('p/rules.yaml', covered);
    expect(await at.type('policy', 'test', 'p', '--require-coverage')).toMatchObject({
      exit: 0,
      out: expect.stringContaining('1 allowed and 2 denied cases, 1 of 1 rule shown to do both, 0 gaps'),
    });
    const more = '  - { call: sums/add, args: { n: 8 }, expect: allow }\n  - { call: sums/add, args: { n: 9 }, expect: allow }\n';
    at.write(
      'p/rules.yaml',
      covered.replace('expect: parameter_not_allowed }\n', (found) => found + more),
    );
    expect(await at.type('policy', 'test', 'p', '--require-coverage')).toMatchObject({
      exit: 1,
      out: expect.stringContaining('2 denied and 3 allowed cases (add cases that expect a denial)'),
    });
  });
});
