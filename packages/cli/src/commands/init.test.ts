import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { formatProblem } from '@sallyport/model';
import { operatorTokens } from '@sallyport/credentials';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEverything, startFilesystem } from '../demo/mcp-servers.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { listedTool, startListing } from '../testing/mcp-listing.ts';
import type { McpListing } from '../testing/mcp-listing.ts';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

const READ = { annotations: { readOnlyHint: true } };

let at: Terminal;
let server: McpListing | undefined;
beforeEach(() => {
  at = terminal({ env: { USER: 'ada' } });
});
afterEach(async () => {
  at.close();
  await server?.close();
  server = undefined;
});

async function serve(...tools: readonly unknown[]): Promise<string> {
  server = await startListing(tools);
  return server.url;
}

/** What `policy check` and `policy test` say of a folder, in one line each. */
async function judged(dir: string): Promise<readonly unknown[]> {
  const [check, test] = [await at.type('policy', 'check', dir, '--json'), await at.type('policy', 'test', dir, '--json')];
  return [check.exit, test.exit, test.json()['failed']];
}

describe('a first policy', () => {
  it.each([
    ['server-everything', startEverything, [] as string[], 'everything'],
    ['server-filesystem, bridged', () => startFilesystem(at.dir), ['--name', 'files'], 'files'],
  ])('for %s passes check and test at once, and allows what the server marks as read', async (_name, start, more, name) => {
    const real = await start();
    try {
      const ran = await at.type('init', '--server', real.url, '--agent', 'triage', ...more, '--json');
      expect(ran).toMatchObject({ exit: 0, err: '' });
      expect(await judged('policy')).toEqual([0, 0, 0]);
      const marked = (await at.type('tools', 'import', name, '--check', '--json')).json() as { tools: { tool: string; effect: string }[] };
      const reads = marked.tools.filter(({ effect }) => effect === 'read').map(({ tool }) => tool);
      const explained = await Promise.all(
        marked.tools.map(
          async ({ tool }) =>
            (await at.type('policy', 'explain', 'policy', '--call', tool, '--args', '{}', '--as', 'roles=member', '--json')).json()['code'],
        ),
      );
      const allowed = marked.tools.filter((_tool, index) => explained[index] !== 'tool_not_allowed').map(({ tool }) => tool);
      expect([allowed, reads.length > 5]).toEqual([reads, true]);
      expect((ran.json()['allowed'] as string[]).map((tool) => `${name}/${tool}`)).toEqual(reads);
    } finally {
      await real.close();
    }
  });

  it('is the folder that it says it is', async () => {
    const { exit, out } = await at.type('init', '--server', await serve(listedTool('get', READ), listedTool('put')), '--name', 'files');
    expect(exit).toBe(0);
    expect(out.replaceAll(server?.url ?? '', '<url>')).toMatchInlineSnapshot(`
      "made policy for agent helper and 2 tools of files
        policy/agent.yaml             the agent helper
        policy/identity.yaml          whose tokens say for whom it acts
        policy/operator-keys.json     public keys of the issuer
        policy/environment.yaml       addresses, and what else differs between environments
        policy/servers.yaml           the tool server files
        policy/tools.files.lock.yaml  2 tools as the server describes them
        policy/rules.yaml             member may use the 1 tool that files marks as read-only; what else it has (1) is denied, and stands there as comments
        policy/tests.yaml             3 tests, all pass
        .sallyport/dev-issuer/        the private key of the issuer, which stays on this machine
      next:
        sallyport policy check policy
        sallyport policy test policy
        sallyport dev -- <the command of your agent>
      "
    `);
    expect(readdirSync(at.path('policy')).toSorted()).toEqual([
      'agent.yaml',
      'environment.yaml',
      'identity.yaml',
      'operator-keys.json',
      'rules.yaml',
      'servers.yaml',
      'tests.yaml',
      'tools.files.lock.yaml',
    ]);
    expect(at.read('policy/rules.yaml')).toMatchInlineSnapshot(`
      "apiVersion: sallyport.dev/v1
      # What no rule allows is denied. Roles come from the operator's token; docs/spec/policy-v1.md has all that a rule can say.
      kind: Policy
      agent: helper
      rules:
        # files marks these as read-only. That is its word, and reading can be harm enough: strike what the agent does not need.
        - id: read
          allow:
            - files/get
          for: { roles: [member] }

        # What files does not mark as read-only is denied, and hidden from listings. Take the # away where the agent needs a
        # tool, and say for whom, within which bounds of its arguments, and how often.

        # destructive, for want of a word: "Does put."
        # - id: put
        #   allow: [files/put]
        #   for: { roles: [member] }
        #   when: args.path == "…"
      "
    `);
    expect(at.read('policy/tests.yaml')).toMatchInlineSnapshot(`
      "apiVersion: sallyport.dev/v1
      # Run by \`sallyport policy test\`, and before anything is published.
      kind: Test
      name: an operator with the role member
      given: { roles: [member] }
      cases:
        - { call: files/get, args: { path: "example" }, expect: allow }
        - { call: files/put, args: { path: "example" }, expect: tool_not_allowed }
      ---
      kind: Test
      name: anybody else
      given: { roles: [] }
      cases:
        - { call: files/get, args: { path: "example" }, expect: tool_not_allowed }
      "
    `);
  });

  it('allows nothing where the server marks nothing as read-only, and still builds', async () => {
    await at.type('init', '--server', await serve(listedTool('get'), listedTool('put')));
    expect(await judged('policy')).toEqual([0, 0, 0]);
    expect(at.read('policy/tests.yaml')).toContain('expect: tool_not_allowed');
    const policy = at
      .read('policy/rules.yaml')
      .replaceAll(/^# (apiVersion|kind|agent|rules):/gm, '$1:')
      .replaceAll(/^ {2}# {1,3}(?=- id|allow|for)/gm, (line) => (line.includes('#   ') ? '    ' : '  '));
    at.write('policy/rules.yaml', policy);
    expect((await at.type('policy', 'check', 'policy')).out).toContain('ok: 2 rules');
  });

  it('has no comment that, without its #, is not the document it looks like', async () => {
    await at.type(
      'init',
      '--server',
      await serve(
        listedTool('get', READ),
        listedTool('Put-It.now', {
          inputSchema: { type: 'object', properties: { 'a b': { type: 'string' }, to: { type: 'string' } }, required: ['a b', 'to'] },
        }),
      ),
      '--name',
      'files',
    );
    at.write('policy/servers.yaml', at.read('policy/servers.yaml').replaceAll(/^# (kind: ToolOverlay|name|effect|classes)/gm, '$1'));
    at.write(
      'policy/rules.yaml',
      at
        .read('policy/rules.yaml')
        .replaceAll(/^ {2}# (?=- id)/gm, '  ')
        .replaceAll(/^ {2}# {3}(?=allow|for|when)/gm, '    '),
    );
    at.write(
      'policy/tests.yaml',
      'apiVersion: sallyport.dev/v1\nkind: Test\ngiven: { roles: [member] }\ncases: [{ call: files/Put-It.now, args: { "a b": x, to: "…" }, expect: allow }]\n',
    );
    expect(await judged('policy')).toEqual([0, 0, 0]);
    expect(at.read('policy/rules.yaml')).toContain(
      '  - id: put-it-now\n    allow: [files/Put-It.now]\n    for: { roles: [member] }\n    when: args.to == "…"\n',
    );
  });

  it('has no line that a server could have written', async () => {
    const words = '\n---\nkind: Policy\nagent: helper\nrules: [{ id: evil, allow: ["files/*"] }]\n';
    await at.type(
      'init',
      '--name',
      'files',
      '--server',
      await serve(
        listedTool('get', { ...READ, description: words }),
        listedTool('put', {
          description: words,
          inputSchema: { type: 'object', properties: { [words]: { type: 'string', enum: [words] } }, required: [words] },
        }),
      ),
    );
    expect(await judged('policy')).toEqual([0, 0, 0]);
    const read = readPolicy('policy', { cwd: at.dir } as never);
    expect(read.ok ? read.value.policy.parts.rules.map(({ id }) => id) : read.error.problems.map(formatProblem)).toEqual(['read']);
  });

  it('makes up arguments that fit, and leaves out the test where it cannot', async () => {
    const of = (properties: object): unknown => ({
      ...READ,
      inputSchema: { type: 'object', properties, required: Object.keys(properties) },
    });
    const url = await serve(
      listedTool(
        'many',
        of({
          n: { type: 'integer', minimum: 7 },
          m: { type: 'number', maximum: -1 },
          d: { type: 'string', format: 'date-time' },
          s: { type: 'string', minLength: 12 },
          l: { type: 'array', minItems: 2, items: { type: 'string', enum: ['x'] } },
          o: { type: 'object', properties: { b: { type: 'boolean' } }, required: ['b'] },
          e: { anyOf: [{ type: 'null' }, { type: 'integer' }] },
        }) as never,
      ),
      listedTool('pattern', of({ p: { type: 'string', pattern: '^O-[0-9]{6}$' } }) as never),
    );
    await at.type('init', '--server', url, '--name', 'files');
    expect(await judged('policy')).toEqual([0, 0, 0]);
    expect(at.read('policy/tests.yaml').match(/call: files\/\w+, .*allow \}/g)).toEqual([
      'call: files/many, args: { "n": 7, m: -1, d: "2026-01-31T12:00:00Z", s: "examplexxxxx", l: ["x", "x"], o: { b: false }, e: 1 }, expect: allow }',
    ]);
  });
});

describe('a first policy for a server that is too much', () => {
  it('is made for those of its tools that are asked for', async () => {
    const { json } = await at.type(
      'init',
      '--server',
      await serve(listedTool('get_a', READ), listedTool('get_b', READ), listedTool('put')),
      '--only',
      'get_*',
      '--json',
    );
    expect(json()).toMatchObject({ tools: 2, allowed: ['get_a', 'get_b'] });
  });

  it('of many tools stays a page that can be read, and builds', async () => {
    const many = Array.from({ length: 700 }, (_, n) => ({ name: `t${n}`, inputSchema: { type: 'object' }, ...(n % 2 === 0 ? READ : {}) }));
    const { exit, json } = await at.type('init', '--server', await serve(...many), '--name', 'files', '--json');
    expect([exit, json()]).toMatchObject([0, { tools: 700, tests: 102 }]);
    expect(await judged('policy')).toEqual([0, 0, 0]);
    expect(at.read('policy/rules.yaml')).toContain('  # and 250 more, which stand in the lock file\n');
    expect(at.read('policy/rules.yaml').match(/^ {2}- id: .*$/gm)).toEqual(['  - id: read', '  - id: read-2']);
  });

  it.each([
    ['a text without end', { type: 'string', minLength: 9_000_000_000_000 }],
    ['a list without end', { type: 'array', minItems: 9_000_000_000_000 }],
    ['lists in lists', Array.from({ length: 8 }).reduce<object>((items) => ({ type: 'array', minItems: 16, items }), { type: 'string' })],
    ['itself, in many places', { $ref: '#/$defs/a' }],
  ])('that wants %s gets no test made up', async (_name, argument) => {
    const names = Array.from({ length: 50 }, (_, n) => `p${n}`);
    const self = { type: 'object', required: names, properties: Object.fromEntries(names.map((name) => [name, { $ref: '#/$defs/a' }])) };
    const inputSchema = { type: 'object', properties: { x: argument }, required: ['x'], $defs: { a: self } };
    const { exit, json } = await at.type('init', '--server', await serve(listedTool('get', { ...READ, inputSchema })), '--json');
    expect([exit, json()['tests']]).toEqual([0, 1]);
    expect(at.read('policy/tests.yaml').length).toBeLessThan(1_000);
  });
});

describe('the development issuer', () => {
  it('is made once, its key for its owner alone, and what it signs is what the policy pins', async () => {
    const url = await serve(listedTool('get', READ));
    await at.type('init', '--server', url);
    const mode = (name: string): string => (statSync(at.path(name)).mode & 0o777).toString(8);
    expect([mode('.sallyport/dev-issuer'), mode('.sallyport/dev-issuer/key.pem'), at.read('.sallyport/dev-issuer/.gitignore')]).toEqual([
      '700',
      '600',
      '*\n',
    ]);
    await at.type('init', 'second', '--server', url);
    expect(at.read('second/operator-keys.json')).toBe(at.read('policy/operator-keys.json'));
    expect(
      readdirSync(at.path('policy'))
        .map((name) => at.read(`policy/${name}`))
        .join(''),
    ).not.toContain('PRIVATE');

    const read = readPolicy('policy', { cwd: at.dir } as never);
    const issuers = read.ok ? read.value.policy.parts.issuers : [];
    const { out } = await at.type(
      'operator',
      'token',
      '--as',
      'alice',
      '--role',
      'member',
      '--scope',
      'a',
      '--scope',
      'b',
      '--case',
      'T-7',
    );
    const verified = await operatorTokens().verify(out.trim(), { issuers, bundle: 'sha256:x' as never, now: at.clock.wall() });
    expect(verified).toMatchObject({
      ok: true,
      value: { principal: { id: 'alice', roles: ['member'], scopes: ['a', 'b'], tenant: 'development' } },
    });
  });

  it('is not believed by a policy that pins another', async () => {
    const url = await serve(listedTool('get', READ));
    await at.type('init', '--server', url);
    await at.type('init', 'second', '--server', url, '--dir', 'elsewhere');
    const read = readPolicy('second', { cwd: at.dir } as never);
    const issuers = read.ok ? read.value.policy.parts.issuers : [];
    const { out } = await at.type('operator', 'token');
    expect((await operatorTokens().verify(out.trim(), { issuers, bundle: 'sha256:x' as never, now: at.clock.wall() })).ok).toBe(false);
  });

  it('signs nothing where there is none, or where others can read its key', async () => {
    expect(await at.type('operator', 'token')).toMatchObject({
      exit: 64,
      err: expect.stringContaining('there is no development issuer (make one with `sallyport init`)'),
    });
    await at.type('init', '--server', await serve(listedTool('get', READ)));
    at.mode('.sallyport/dev-issuer/key.pem', 0o644);
    expect(await at.type('operator', 'token')).toMatchObject({
      exit: 64,
      err: expect.stringContaining('others than its owner can reach the private key'),
    });
    expect(await at.type('init', 'again', '--server', server?.url ?? '')).toMatchObject({ exit: 64 });
    expect(existsSync(at.path('again'))).toBe(false);
  });
});

describe('init refuses', () => {
  it('a folder with anything in it, and touches nothing', async () => {
    at.write('policy/mine.yaml', 'mine');
    const { exit, err } = await at.type('init', '--server', await serve(listedTool('get', READ)));
    expect([exit, readdirSync(at.path('policy')), existsSync(at.path('.sallyport'))]).toEqual([1, ['mine.yaml'], false]);
    expect(err).toContain('`policy` is not empty, and nothing in it is overwritten');
    at.write('file', 'mine');
    expect((await at.type('init', 'file', '--server', server?.url ?? '')).exit).toBe(1);
    mkdirSync(at.path('empty'));
    expect((await at.type('init', 'empty', '--server', server?.url ?? '')).exit).toBe(0);
  });

  it('a server without tools, and leaves nothing behind', async () => {
    const { exit, err } = await at.type('init', '--server', await serve(listedTool('no name')));
    expect([exit, readdirSync(at.dir)]).toEqual([1, []]);
    expect(err).toContain('lists no tool that could be imported');
  });

  it.each<[string, readonly string[], number, string]>([
    ['no server', [], 2, 'option `--server URL` is missing'],
    [
      'an address that is none',
      ['--server', 'localhost'],
      2,
      '--server: `localhost` is not the address of an MCP server (such as http://127.0.0.1:3001/mcp)',
    ],
    [
      'nobody there',
      ['--server', 'http://127.0.0.1:1/mcp'],
      1,
      'http://127.0.0.1:1/mcp: nothing listens at 127.0.0.1:1 (is the server running, and is this its address?)',
    ],
    [
      'names that are none, all at once',
      ['--server', 'http://127.0.0.1:1/mcp', '--name', 'A', '--agent', '!', '--role', 'a b', '--owner', '\u001B'],
      2,
      '--owner: is no name',
    ],
  ])('%s', async (_name, argv, exit, said) => {
    const ran = await at.type('init', ...argv);
    expect([ran.exit, ran.out, readdirSync(at.dir)]).toEqual([exit, '', []]);
    expect(ran.err).toContain(said);
  });
});
