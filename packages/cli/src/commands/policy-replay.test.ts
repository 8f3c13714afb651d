import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smallPolicy, writePolicy } from '../testing/policies.ts';
import { cameOut, decided, exportOf, hidden } from '../testing/records.ts';
import { terminal } from '../testing/terminal.ts';
import type { Ran, Terminal } from '../testing/terminal.ts';

let at: Terminal;
let digest: string;
beforeEach(async () => {
  at = terminal();
  writePolicy(at, 'policy');
  digest = String((await at.type('policy', 'build', 'policy', '--out', 'was', '--json')).json()['digest']);
});
afterEach(() => at.close());

const replay = (...argv: readonly string[]): Promise<Ran> => at.type('policy', 'replay', '--from', 'export.ndjson', ...argv);
const lastLine = ({ out }: Ran): string | undefined => out.trimEnd().split('\n').at(-1);

describe('policy replay', () => {
  it('finds every decision of the same policy the same, where the policy that decided is at hand', async () => {
    at.write('export.ndjson', exportOf([decided('D1', { policy_digest: digest }), cameOut('D1'), hidden('D2', { policy_digest: digest })]));
    const same = await replay('--policy', 'policy', '--was', 'was');
    expect([same.exit, same.out]).toEqual([
      0,
      'not certain: nothing here is proven; --verify proves it first\nok: 2 decisions: 2 same, 0 flipped to allow, 0 flipped to deny, 0 undecidable, 0 not by policy\n',
    ]);
  });

  it('says what was not recorded, and which policy would tell more, where it is not', async () => {
    at.write('export.ndjson', exportOf([decided('D1', { policy_digest: digest }), hidden('D2', { policy_digest: digest })]));
    const ran = await replay();
    expect(ran.exit).toBe(0);
    expect(ran.out).toContain(
      'undecidable: 1 call of sums/add, 1 of them denied until now, such as D2: not recorded: args.n, principal.roles, session.step',
    );
    expect(ran.out).toContain(`undecidable for want of the policy that decided, 1 policy: name each with --was: ${digest} (2)`);
    expect(lastLine(ran)).toBe(
      'ok: 2 decisions: 0 same, 0 flipped to allow, 0 flipped to deny, 2 undecidable (1 of them denied until now), 0 not by policy',
    );
  });

  it('exits with 1 where a denied call would be allowed, and names it', async () => {
    const rules = smallPolicy()['rules.yaml'] ?? '';
    const bound = rules
      .replace(/arguments: .*/, 'bind: [session.case == "A"]')
      .replace(/cases:[^]*/, 'cases: [{ call: sums/add, args: { n: 7 }, expect: resource_binding_mismatch }]\n');
    writePolicy(at, 'bound', { ...smallPolicy(), 'rules.yaml': bound });
    const was = String((await at.type('policy', 'build', 'bound', '--out', 'bound-was', '--json')).json()['digest']);
    const mismatch = {
      decision: 'deny',
      code: 'resource_binding_mismatch',
      rule_id: 'small-sums',
      policy_digest: was,
      detail: 'x',
    } as const;
    at.write('export.ndjson', exportOf([decided('D1', mismatch), decided('D2', { case: 'A', policy_digest: was }), cameOut('D2')]));
    writePolicy(at, 'open', {
      ...smallPolicy(),
      'rules.yaml': bound.replace(/    bind: .*\n/, '').replace('resource_binding_mismatch', 'allow'),
    });
    const flipped = await replay('--policy', 'open', '--was', 'bound-was');
    expect([flipped.exit, flipped.out]).toEqual([
      1,
      `D1 2026-11-20T12:00:00.000Z: sums/add of agent support-triage for alice: deny resource_binding_mismatch by small-sums -> allow
not certain: nothing here is proven; --verify proves it first
2 decisions: 1 same, 1 flipped to allow, 0 flipped to deny, 0 undecidable, 0 not by policy
`,
    ]);
    expect((await replay('--policy', 'open', '--was', 'bound-was', '--json')).json()).toMatchObject({
      ok: false,
      flipped_to_allow: 1,
      verified: false,
      flips: [{ decision_id: 'D1', was: 'deny', now: 'allow', policy_digest: was }],
    });
    expect(await replay('--policy', 'open', '--was', 'bound-was', '--format', 'sarif')).toMatchObject({
      exit: 1,
      out: expect.stringContaining('newly-allowed'),
    });
  });

  it('counts a flip to a denial and goes on', async () => {
    at.write('export.ndjson', exportOf([decided('D1', { policy_digest: digest })]));
    writePolicy(at, 'denying', smallPolicy({ more: '  - { id: not-t1, deny: [sums/add], for: { tenants: [t1] } }\n' }));
    const ran = await replay('--policy', 'denying', '--was', 'was');
    expect([ran.exit, lastLine(ran)]).toEqual([0, expect.stringContaining('0 flipped to allow, 1 flipped to deny')]);
  });

  it('judges an observed call by what rules answered, not by that it was let pass', async () => {
    const observed = decided('D1', {
      rule_id: 'observe',
      detail: 'observed: parameter_not_allowed by rule small-sums',
      policy_digest: digest,
    });
    at.write('export.ndjson', exportOf([observed]));
    expect((await replay('--policy', 'policy', '--was', 'was', '--json')).json()).toMatchObject({ same: 1 });
  });

  it('leaves to other gates what other gates refused, and other agents to their policies', async () => {
    const other = (id: string, gate: string, code: string): ReturnType<typeof decided> =>
      decided(id, { decision: 'deny', gate, code, rule_id: `gate:${gate}` });
    at.write(
      'export.ndjson',
      exportOf([
        other('D1', 'freshness', 'policy_stale'),
        other('D2', 'authentication', 'unauthenticated'),
        decided('D3', { agent_id: 'another' }),
      ]),
    );
    expect(lastLine(await replay('--was', 'was'))).toContain('0 undecidable, 3 not by policy');
  });

  it('takes the manifest of an export, and records of kinds that are to come, for what they are', async () => {
    const later = exportOf([decided('D1', { policy_digest: digest })]);
    const unknown = later.replace('"kind":"DECISION"', '"kind":"LATER"');
    at.write('export.ndjson', `${unknown}{"v":1,"kind":"EXPORT","certificates":[],"envelope":{}}\n`);
    const ran = await replay('--was', 'was');
    expect([ran.exit, ran.out]).toEqual([0, expect.stringContaining('1 record of kinds that this version does not know')]);
  });

  it('reads more records than fit into a screen, in bounded time', async () => {
    const line = exportOf([decided('D1', { policy_digest: digest })]);
    at.write('export.ndjson', line.repeat(20_000));
    expect((await replay('--was', 'was', '--json')).json()).toMatchObject({ decisions: 20_000, same: 20_000 });
  });

  it.each([
    ['no file', undefined, /there is no such file/],
    ['an empty file', '', /is empty/],
    ['a torn last record', (good: string) => good.slice(0, -30), /:2: ends in the middle of a record/],
    ['another version of the format', (good: string) => good.replace('{"v":1', '{"v":2'), /:1: is no record: v: the format version is 1/],
    [
      'a decision that is neither',
      (good: string) => good.replace('"decision":"allow"', '"decision":"maybe"'),
      /:1: is no record of kind DECISION: decision/,
    ],
    ['a member twice', (good: string) => good.replace('"v":1', '"v":1,"decision":"deny"'), /:1: is no record/],
    ['something else', () => '<html>\n', /:1: is no record/],
    ['view calls', () => '2026-11-20T12:00:00.000Z  allow  alice\n', /:1: is no record.*--view records/],
    [
      'records behind the manifest',
      (good: string) => `{"v":1,"kind":"EXPORT","certificates":[]}\n${good}`,
      /:2: stands behind the last line/,
    ],
    ['a line without end', () => `{"v":1,"x":"${'x'.repeat(5_000_000)}`, /:1: /],
  ] as const)('refuses %s, with the line, and tells nothing of it', async (_, make, said) => {
    const good = exportOf([decided('D1', { policy_digest: digest }), cameOut('D1')]);
    if (make !== undefined) at.write('export.ndjson', typeof make === 'string' ? make : make(good));
    const ran = await replay();
    expect([ran.exit, ran.out, ran.err.slice(0, 2_000)]).toEqual([64, '', expect.stringMatching(said)]);
  });

  it.each([
    ['a candidate that does not build', ['--policy', 'broken'], /Polcy/],
    ['a folder as the policy that decided', ['--was', 'policy'], /`policy` is no built bundle/],
    ['a bundle that was bent', ['--was', 'bent'], /the manifest names another policy part/],
    ['proof without a pin', ['--verify'], /\.sallyport/],
  ])('refuses %s', async (_, argv, said) => {
    at.write('export.ndjson', exportOf([decided('D1')]));
    at.write('broken/x.yaml', 'apiVersion: sallyport.dev/v1\nkind: Polcy\n');
    await at.type('policy', 'build', 'policy', '--out', 'bent');
    at.write('bent/parts/policy.json', at.read('bent/parts/policy.json').replace('100', '900'));
    expect(await replay(...argv)).toMatchObject({ exit: 64, out: '', err: expect.stringMatching(said) });
  });
});

describe('policy suggest', () => {
  const suggest = (...argv: readonly string[]): Promise<Ran> => at.type('policy', 'suggest', '--from', 'export.ndjson', ...argv);

  it('proposes for each agent, tool and tenant the very people who were denied, and says from which decisions', async () => {
    at.write(
      'export.ndjson',
      exportOf([hidden('D1'), hidden('D2', { operator: 'bob' }), hidden('D3', { tenant_id: 't2', operator: 'carol' }), hidden('D4')]),
    );
    const { exit, out } = await suggest('--policy', 'policy');
    expect(exit).toBe(0);
    expect(out).toContain('# from export.ndjson: 4 decisions\n# not certain: nothing here is proven; --verify proves it first\napiVersion');
    expect(out).toContain(
      '  # 3 denials, from 2026-11-20T12:00:00.000Z to 2026-11-20T12:00:03.000Z: D1, D2, D4\n  # others may call it by small-sums: a role may be all that is missing\n',
    );
    expect(out).toContain('    for: { tenants: ["t1"], principals: ["alice", "bob"] }');
    expect(out).toContain('    for: { tenants: ["t2"], principals: ["carol"] }');
  });

  it('writes what builds as it stands, allows whom it names, and nobody and nothing else', async () => {
    at.write('export.ndjson', exportOf([hidden('D1'), hidden('D2', { tenant_id: 't2', operator: 'carol' })]));
    at.write('policy/suggested.yaml', (await suggest('--policy', 'policy')).out);
    expect((await at.type('policy', 'check', 'policy')).exit).toBe(0);
    const asks = async (principal: string, tenant: string): Promise<number> =>
      (
        await at.type(
          'policy',
          'explain',
          'policy',
          '--call',
          'sums/add',
          '--args',
          '{"n":700}',
          '--as',
          `principal=${principal}`,
          '--as',
          `tenant=${tenant}`,
        )
      ).exit;
    expect([
      await asks('alice', 't1'),
      await asks('carol', 't2'),
      await asks('alice', 't2'),
      await asks('carol', 't1'),
      await asks('bob', 't1'),
    ]).toEqual([0, 0, 1, 1, 1]);
    expect((await at.type('policy', 'diff', 'was', 'policy')).exit).toBe(1);
  });

  it('does not propose what a rule refused, nor what the policy has no tool, server or agent for, nor for nobody', async () => {
    const catalog = `${smallPolicy()['catalog.yaml'] ?? ''}---\nkind: ToolServer\nname: far\nmcp: { url: "http://127.0.0.1:9/mcp" }\nnetwork: loopback\n---\nkind: Tool\nname: far/away\neffect: read\n`;
    at.write('policy/catalog.yaml', catalog);
    const refused = decided('D1', { decision: 'deny', code: 'parameter_not_allowed', rule_id: 'small-sums' });
    at.write(
      'export.ndjson',
      exportOf([
        refused,
        hidden('D2', { tool: 'sums/nothing' }),
        hidden('D3', { tool: 'far/away' }),
        hidden('D4', { agent_id: 'other' }),
        hidden('D5', { operator: 'anonymous' }),
        hidden('D6', { operator: '-' }),
        decided('D7', { decision: 'deny', gate: 'freshness', code: 'policy_stale', rule_id: 'gate:freshness' }),
        decided('D8'),
      ]),
    );
    const { out } = await suggest('--policy', 'policy');
    expect(
      out
        .split('\n')
        .filter((line) => line.startsWith('# not suggested'))
        .toSorted(),
    ).toEqual([
      '# not suggested: 1 denial of far/away: agent support-triage does not use server far',
      '# not suggested: 1 denial of sums/add: nobody signed in: a rule for anonymous is written by hand',
      '# not suggested: 1 denial of sums/add: rule small-sums refused it (parameter_not_allowed): mend that rule, or the call',
      '# not suggested: 1 denial of sums/add: the policy has no agent other',
      '# not suggested: 1 denial of sums/add: the record does not know who called',
      '# not suggested: 1 denial of sums/nothing: the policy has no such tool',
    ]);
    expect(out).toContain('# no rule to suggest');
  });

  it('proposes for an observed call that no rule was for', async () => {
    at.write(
      'export.ndjson',
      exportOf([decided('D1', { rule_id: 'observe', detail: 'observed: no_matching_policy by rule default-deny' })]),
    );
    expect((await suggest('--policy', 'policy')).out).toContain('  # 1 denial, 1 of them observed, from ');
  });

  it('lets no name of a record leave its quotes or its comment', async () => {
    const evil = ['"] }\n  - id: x', "'; rm -rf", '${env.x}', 'a b', '\u202etxt', 'x'.repeat(400), '# no', '*', '{{'];
    at.write(
      'export.ndjson',
      exportOf(
        evil.flatMap((name, index) => [
          hidden(`D${index}`, { operator: name }),
          hidden(`E${index}`, { tool: `sums/${name}`, tenant_id: name }),
        ]),
      ),
    );
    const { out } = await suggest();
    for (const line of out.trimEnd().split('\n'))
      expect(line).toMatch(
        /^(?:#|apiVersion: |kind: Policy$|agent: "|rules:$|---$| {2}# | {2}- id: suggested-[a-z0-9-]+$| {4}allow: \["[^"]+"\]$| {4}for: \{ tenants: \["[^"]+"\], principals: \[("[^"]+"(, )?)+\] \}$)/,
      );
    at.write('policy/suggested.yaml', (await suggest('--policy', 'policy')).out);
    expect(await at.type('policy', 'check', 'policy')).toMatchObject({ exit: 0 });
  });

  it('says the same of the same records', async () => {
    at.write('export.ndjson', exportOf([hidden('D1'), hidden('D2', { operator: 'bob' })]));
    expect((await suggest()).out).toBe((await suggest()).out);
    expect((await at.type('policy', 'suggest', '--from', 'export.ndjson', '--json')).json()).toMatchObject({
      suggestions: [{ tool: 'sums/add', principals: ['alice', 'bob'], denials: 2, decision_ids: ['D1', 'D2'] }],
      not_suggested: [],
    });
  });
});
