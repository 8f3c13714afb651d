import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { LIMITS } from '../reader/limits.ts';
import { parseDocuments } from './documents.ts';

const HEAD = 'apiVersion: sallyport.dev/v1\n';
const CATALOG = `${HEAD}kind: Agent
name: triage
owner: team
uses: [orders]
---
kind: ToolServer
name: orders
mcp: { url: "https://orders.internal/mcp" }
network: private
---
kind: Tool
name: orders/get
effect: read
arguments: { required: [id], properties: { id: { type: string }, note: { type: string } } }
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
arguments: { required: [id, amount], properties: { id: { type: string }, amount: { type: number, format: decimal } } }
`;
const TESTS = `${HEAD}kind: Test
cases:
  - { call: orders/get, args: { id: x }, expect: allow }
  - { call: orders/refund, args: { id: x, amount: 1 }, expect: no_matching_policy }
`;

/** The problems of a policy over the catalog above, without warnings; the policy's first rule stands on line 5. */
function problemsOf(rules: string, more: readonly { path: string; text: string }[] = []): readonly string[] {
  const policy = `${HEAD}kind: Policy\nagent: triage\nrules:\n${rules}`;
  const files = [{ path: 'catalog.yaml', text: CATALOG }, { path: 'p.yaml', text: policy }, { path: 't.yaml', text: TESTS }, ...more];
  const parsed = parseDocuments(files);
  return parsed.ok ? [] : parsed.error.filter(({ severity }) => severity === undefined).map(formatProblem);
}

const oneFile = (text: string): readonly string[] => {
  const parsed = parseDocuments([{ path: 'f.yaml', text }]);
  return parsed.ok ? [] : parsed.error.filter(({ severity }) => severity === undefined).map(formatProblem);
};

describe('parseDocuments', () => {
  test('reads a whole policy, sorted, with the places of its rules', () => {
    const rules = '  - id: b\n    allow: [orders/get]\n  - id: a\n    allow: [orders/refund]\n    when: args.amount <= 500\n';
    const files = [
      { path: 'c.yaml', text: CATALOG },
      { path: 'p.yaml', text: `${HEAD}kind: Policy\nagent: triage\nrules:\n${rules}` },
    ];
    const parsed = parseDocuments([...files, { path: 't.yaml', text: TESTS }]);
    if (!parsed.ok) throw new Error(parsed.error.map(formatProblem).join('\n'));
    expect(parsed.value.rules.map(({ id, verb }) => [id, verb])).toEqual([
      ['a', 'allow'],
      ['b', 'allow'],
    ]);
    expect(parsed.value.sources).toEqual({ a: { file: 'p.yaml', line: 7 }, b: { file: 'p.yaml', line: 5 } });
    expect(parsed.value.tools.map(({ name, effect, denyAs }) => [name, effect, denyAs])).toEqual([
      ['orders/get', 'read', 'tool_result'],
      ['orders/refund', 'write', 'tool_result'],
    ]);
    expect(parsed.value.tests[0]?.agent).toBe('triage');
    expect(parsed.value.warnings).toEqual([]);
  });

  test.each([
    [
      'an unknown key',
      '  - id: a\n    allow: [orders/get]\n    scpoes: [x]\n',
      'p.yaml:7:5: rules[0].scpoes: `scpoes` is not a field of a rule (did you mean `scopes`)',
    ],
    [
      'no verb',
      '  - id: a\n',
      'p.yaml:5:5: rules[0]: a rule has exactly one of `allow`, `deny` and `require` (such as allow: [server/tool])',
    ],
    [
      'two verbs',
      '  - { id: a, allow: [orders/get], deny: [orders/get] }\n',
      'p.yaml:5:5: rules[0]: a rule has exactly one of `allow`, `deny` and `require` (such as allow: [server/tool])',
    ],
    [
      'an unknown tool',
      '  - { id: a, allow: [orders/gte] }\n',
      'p.yaml:5:22: rules[0].allow[0]: no tool `orders/gte` (did you mean `orders/get`)',
    ],
    [
      'a tool of a server that the agent does not use',
      '  - { id: a, allow: [{ server: zendesk }] }\n',
      'p.yaml:5:22: rules[0].allow[0]: agent `triage` does not use `zendesk`',
    ],
    [
      'a duplicate id',
      '  - { id: a, allow: [orders/get] }\n  - { id: a, allow: [orders/refund] }\n',
      'p.yaml:6:11: rules[1].id: rule `a` is declared twice (first at p.yaml:5)',
    ],
    [
      'ids that look alike',
      '  - { id: rule-1, allow: [orders/get] }\n  - { id: rule-l, allow: [orders/refund] }\n',
      'p.yaml:6:11: rules[1].id: rule `rule-l` looks like `rule-1` (choose a name that nobody can take for another)',
    ],
    [
      'an id of another alphabet',
      '  - { id: "r\u0435fund", allow: [orders/get] }\n',
      'p.yaml:5:12: rules[0].id: `r\u0435fund` is not a name: 1 to 63 of a-z, 0-9 and -, starting with a letter',
    ],
    [
      'the id that records use',
      '  - { id: default-deny, allow: [orders/get] }\n',
      'p.yaml:5:11: rules[0].id: `default-deny` is what records say when no rule matched (choose another id)',
    ],
    [
      'a text in place of a list',
      '  - { id: a, allow: orders/get }\n',
      'p.yaml:5:21: rules[0].allow: `allow` must be a list (write [orders/get])',
    ],
    ['an empty list of tools', '  - { id: a, allow: [] }\n', 'p.yaml:5:21: rules[0].allow: `allow` must not be empty'],
    [
      'a type error in a condition',
      '  - id: a\n    allow: [orders/get]\n    when: args.id == 5\n',
      'p.yaml:7:11: rules[0].when: cannot apply `==` to string and int (a number and text never compare: mend the schema, or quote the number)',
    ],
    [
      'an error inside a condition, at its column',
      '  - id: a\n    allow: [orders/get]\n    when: args.id == "x" && args.nte == "y"\n',
      'p.yaml:7:29: rules[0].when: no argument `nte` (did you mean `note`)',
    ],
    [
      'an error inside a quoted condition',
      '  - id: a\n    allow: [orders/get]\n    bind: ["args.idd == session.case"]\n',
      'p.yaml:7:13: rules[0].bind[0]: no argument `idd` (did you mean `id`)',
    ],
    [
      'a syntax error in a condition',
      '  - id: a\n    allow: [orders/get]\n    when: args.id ==\n',
      'p.yaml:7:21: rules[0].when: ends in the middle: a value is missing after `==`',
    ],
    [
      'a double literal beside a decimal',
      '  - id: a\n    allow: [orders/refund]\n    when: args.amount <= 0.5\n',
      'p.yaml:7:26: rules[0].when: `0.5` is a double, which cannot stand beside decimal (write decimal("0.5"))',
    ],
    [
      'an argument that some matched tool lacks',
      '  - id: a\n    allow: ["orders/*"]\n    when: args.amount <= 5\n',
      'p.yaml:7:11: rules[0].when: for `orders/get`: not every tool of this rule has `args.amount` (guard it: has(args.amount) && …)',
    ],
    [
      'a denial that reads what may be absent',
      '  - id: a\n    deny: [orders/get]\n    when: args.note == "x"\n',
      'p.yaml:7:11: rules[0].when: `args.note` may be absent, and this rule would then deny (guard it: has(args.note) && …)',
    ],
    [
      'a constant condition',
      '  - { id: a, allow: [orders/get], when: true }\n',
      'p.yaml:5:41: rules[0].when: a condition must read the call (leave it out: a constant decides nothing)',
    ],
    [
      'an unknown tool to come after',
      '  - { id: a, allow: [orders/get], after: [orders/fetch] }\n',
      'p.yaml:5:43: rules[0].after[0]: no tool `orders/fetch` (did you mean `orders/get`)',
    ],
    [
      'a narrowed argument that does not exist',
      '  - { id: a, allow: [orders/get], arguments: { it: { maxLength: 3 } } }\n',
      'p.yaml:5:52: rules[0].arguments.it: `orders/get` has no argument `it` (did you mean `id`)',
    ],
    [
      'a schema that widens',
      '  - { id: a, allow: [orders/get], arguments: { id: { type: integer } } }\n',
      'p.yaml:5:52: rules[0].arguments.id: `type` does not narrow (use enum, const, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format, hosts, domains, under, items, properties, required)',
    ],
    [
      'a bound that a double bends',
      '  - { id: a, allow: [orders/refund], arguments: { amount: { maximum: 0.1000000000000000000001 } } }\n',
      'p.yaml:5:70: rules[0].arguments.amount.maximum: `0.1000000000000000000001` cannot be held exactly (at most 15 digits, without exponent)',
    ],
    [
      'a requirement on a deny rule',
      '  - { id: a, deny: [orders/get], scopes: [x] }\n',
      'p.yaml:5:42: rules[0].scopes: a deny rule cannot have `scopes` (narrow it with `for` and `when`)',
    ],
    [
      'a span without a unit',
      '  - { id: a, allow: [orders/get], once: { within: 30 } }\n',
      'p.yaml:5:51: rules[0].once.within: `within` must be a span of time (such as 90s, 15m, 8h or 30d)',
    ],
    [
      'a count by a double',
      '  - { id: a, allow: [orders/get], once: { per: "size(args.id) > 3 ? 0.5 : 1.5" } }\n',
      'p.yaml:5:49: rules[0].once.per: yields double, not text, a whole number, a decimal or a bool',
    ],
    [
      'a reference in a role',
      '  - { id: a, allow: [orders/get], for: { roles: ["${env.role}"] } }\n',
      'p.yaml:5:51: rules[0].for.roles[0]: `${…}` is not substituted here (compare with `env.x` in `when`)',
    ],
    [
      'a reference to no value',
      '  - { id: a, allow: [orders/get], for: { tenants: ["${env.tenant}"] } }\n',
      'p.yaml:5:53: rules[0].for.tenants[0]: no environment value `tenant` (declare it in a document of kind Environment)',
    ],
    [
      'a role with a space',
      '  - { id: a, allow: [orders/get], for: { roles: ["a b"] } }\n',
      'p.yaml:5:51: rules[0].for.roles[0]: `a b` is not free of white space and invisible characters, and at most 256 long',
    ],
  ])('refuses %s, with file, line, column, path and remedy', (_, rules, problem) => {
    expect(problemsOf(rules)).toEqual([problem]);
  });

  test.each([
    [
      'a selector that matches no tool',
      '  - { id: a, allow: ["orders/x*"] }\n',
      '`orders/x*` selects no tool that agent `triage` uses, so it can never match',
    ],
    ['a class that no tool has', '  - { id: a, allow: [{ class: mony }] }\n', 'so it can never match (did you mean `money`)'],
    ['an effect that no tool has', '  - { id: a, allow: [{ effect: destructive }] }\n', '`effect: destructive` selects no tool'],
    ['nobody', '  - { id: a, allow: [orders/get], for: { roles: [] } }\n', '`roles` must not be empty'],
    ['nobody at all', '  - { id: a, allow: [orders/get], for: {} }\n', '`for` names nobody'],
    ...['api_access', 'API-Access', 'full_access', 'all', 'orders:*', 'any'].map((name): [string, string, string] => [
      `the all-purpose scope ${name}`,
      `  - { id: a, allow: [orders/get], scopes: ['${name}'] }\n`,
      `the scope \`${name}\` names everything and so nothing (name what is done: \`orders:read\`)`,
    ]),
    ['no scope', '  - { id: a, allow: [orders/get], scopes: [] }\n', '`scopes` must not be empty'],
    [
      'what an unconditional denial shadows',
      '  - { id: a, allow: [orders/get] }\n  - { id: b, deny: [orders/get] }\n',
      'rules[0].allow: rule `b` denies this tool to everyone, so this rule can never match',
    ],
    [
      'what class-wide denials shadow',
      '  - { id: a, allow: ["orders/*"] }\n  - { id: b, deny: [{ effect: read }, { effect: write }] }\n',
      'rule `b` denies all these tools to everyone',
    ],
    [
      'what waits for itself',
      '  - { id: a, allow: [orders/get], after: [orders/get] }\n',
      '`orders/get` can never complete for this agent',
    ],
    [
      'what waits in a circle',
      '  - { id: a, allow: [orders/get], after: [orders/refund] }\n  - { id: b, allow: [orders/refund], after: [orders/get] }\n',
      '`orders/refund` can never complete for this agent',
    ],
    [
      'what waits for a tool that no rule allows',
      '  - { id: a, allow: [orders/get], after: [orders/refund] }\n',
      '`orders/refund` can never complete for this agent',
    ],
    [
      'two constants at once',
      '  - { id: a, allow: [orders/get], bind: [args.id == "x"], when: args.id == "y" }\n',
      '`args.id` cannot be == "x" and == "y", so the rule can never match',
    ],
    [
      'bounds that leave nothing',
      '  - { id: a, allow: [orders/refund], when: args.amount > 500 && args.amount < decimal("499.99") }\n',
      '`args.amount` cannot be > 500 and < 499.99',
    ],
    [
      'a schema that leaves nothing',
      '  - { id: a, allow: [orders/refund], arguments: { amount: { minimum: 5, maximum: 4 } } }\n',
      'no value fits: at least 5 and at most 4',
    ],
    ['a requirement of nothing', '  - { id: a, require: [orders/get], when: args.id == "x" }\n', 'the rule requires nothing'],
  ])('refuses a rule that can never match: %s', (_, rules, message) => {
    expect(problemsOf(rules).join('\n')).toContain(message);
  });

  test('finds all problems at once, in every file', () => {
    const rules = '  - { id: a, allow: [orders/gte] }\n  - { id: b, allow: [orders/get], when: args.idd == "x", scops: [x] }\n';
    const other = {
      path: 'z.yaml',
      text: `${HEAD}kind: Agnt\nname: x\n---\nkind: Tool\nname: orders/other\neffect: wirte\nroute: { method: GET, path: /x }\n`,
    };
    expect(problemsOf(rules, [other])).toEqual([
      'p.yaml:5:22: rules[0].allow[0]: no tool `orders/gte` (did you mean `orders/get`)',
      'p.yaml:6:41: rules[1].when: no argument `idd` (did you mean `id`)',
      'p.yaml:6:58: rules[1].scops: `scops` is not a field of a rule (did you mean `scopes`)',
      'z.yaml:2:7: kind: `Agnt` is not a kind (did you mean `Agent`)',
      'z.yaml:7:9: effect: `wirte` is not an effect (did you mean `write`)',
      'z.yaml:8:8: route: a tool of an MCP server has no route (leave it out)',
    ]);
  });

  test.each([
    [
      'a file without apiVersion',
      'kind: Environment\nvalues: {}\n',
      'f.yaml:1:1: the file lacks `apiVersion` (begin it with apiVersion: sallyport.dev/v1)',
    ],
    [
      'another apiVersion',
      'apiVersion: sallyport.dev/v2\nkind: Environment\nvalues: {}\n',
      'f.yaml:1:13: apiVersion: `sallyport.dev/v2` is not an apiVersion (did you mean `sallyport.dev/v1`)',
    ],
    [
      'apiVersion twice',
      `${HEAD}kind: Environment\nvalues: {}\n---\n${HEAD}kind: Test\ncases: []\n`,
      'f.yaml:5:1: apiVersion: `apiVersion` stands in the first document alone (leave it out)',
    ],
    [
      'a document without kind',
      `${HEAD}name: x\n`,
      'f.yaml:1:1: the document lacks `kind` (one of Agent, ToolServer, Tool, ToolOverlay, Issuer, TrustDomain, CallerMethod, Credential, Environment, Policy, Observe, Test)',
    ],
    ['a list as a document', '- a\n', 'f.yaml:1:1: a document must be a map (kind: Policy)'],
    [
      'two environments',
      `${HEAD}kind: Environment\nvalues: {}\n---\nkind: Environment\nvalues: {}\n`,
      'f.yaml:5:1: there is another Environment (build with the file of one environment at a time)',
    ],
    ['a value without a type', `${HEAD}kind: Environment\nvalues: { max: 500 }\n`, 'f.yaml:3:16: values.max: a value must be a map'],
    [
      'a value of two types',
      `${HEAD}kind: Environment\nvalues: { max: { integer: 5, decimal: "5" } }\n`,
      'f.yaml:3:16: values.max: a value has exactly one type (such as { decimal: "500" })',
    ],
    [
      'a decimal with an exponent',
      `${HEAD}kind: Environment\nvalues: { max: { decimal: "1e3" } }\n`,
      'f.yaml:3:28: values.max.decimal: must be a decimal without exponent, of at most 38 digits (such as "500.01")',
    ],
    [
      'a value that CEL cannot name',
      `${HEAD}kind: Environment\nvalues: { in: { integer: 1 } }\n`,
      'f.yaml:3:11: values.in: `in` is not a word: 1 to 63 of a-z, 0-9 and _, starting with a letter, and not reserved by CEL',
    ],
    ['an unknown server', `${HEAD}kind: Tool\nname: nowhere/get\n`, 'f.yaml:3:7: name: no tool server `nowhere` (declare it)'],
    [
      'a server on this machine that does not say so',
      `${HEAD}kind: ToolServer\nname: a\nmcp: { url: "http://127.0.0.1:8080/mcp" }\nnetwork: private\n`,
      'f.yaml:4:14: mcp.url: `127.0.0.1` is this very machine (say network: loopback)',
    ],
    [
      'a URL with a user',
      `${HEAD}kind: ToolServer\nname: a\nmcp: { url: "https://u:p@x.org/" }\n`,
      'f.yaml:4:14: mcp.url: `https://u:p@x.org/` is not a base URL (http:// or https://, a lower-case host, a port if need be and a plain path; no user, query or fragment)',
    ],
    [
      'a URL with a dot segment',
      `${HEAD}kind: ToolServer\nname: a\nmcp: { url: "https://x.org/a/../b" }\n`,
      'f.yaml:4:14: mcp.url: `https://x.org/a/../b` is not a base URL (http:// or https://, a lower-case host, a port if need be and a plain path; no user, query or fragment)',
    ],
    [
      'an HTTP tool without a route',
      `${HEAD}kind: ToolServer\nname: a\nhttp: { url: "https://x.org" }\n---\nkind: Tool\nname: a/get\n`,
      'f.yaml:6:1: a tool of an HTTP server needs a `route` (route: { method: POST, path: /orders })',
    ],
    [
      'a route that names an optional argument',
      `${HEAD}kind: ToolServer\nname: a\nhttp: { url: "https://x.org" }\n---\nkind: Tool\nname: a/get\nroute: { method: GET, path: "/x/{id}" }\narguments: { properties: { id: { type: string } } }\n`,
      'f.yaml:8:30: route.path: `id` may be absent, and the path needs it (list it in `required`)',
    ],
    [
      'a route with half a segment',
      `${HEAD}kind: ToolServer\nname: a\nhttp: { url: "https://x.org" }\n---\nkind: Tool\nname: a/get\nroute: { method: GET, path: "/x/v{id}" }\narguments: { required: [id], properties: { id: { type: string } } }\n`,
      'f.yaml:8:30: route.path: `/x/v{id}` is not a path of plain segments and whole {argument} segments',
    ],
    [
      'an idle time longer than the session',
      `${HEAD}kind: Agent\nname: a\nowner: o\nuses: []\nsessions: { idle: 2h, max: 1h }\n`,
      'f.yaml:6:11: sessions: `idle` is longer than `max` (a session that is over cannot idle)',
    ],
    [
      'a test that expects no code',
      `${HEAD}kind: Agent\nname: a\nowner: o\nuses: []\n---\nkind: Test\ncases:\n  - { call: a/b, expect: denied }\n`,
      'f.yaml:9:26: cases[0].expect: `denied` is not a denial code',
    ],
  ])('refuses %s', (_, text, problem) => {
    expect(
      oneFile(text).some((line) => line.startsWith(problem.replace(/ \(.*$/, ''))),
      oneFile(text).join('\n'),
    ).toBe(true);
    expect(oneFile(text).join('\n')).toContain(problem);
  });

  test.each([
    ['a private key', 'd: "QQ"', 'this is a private key (remove `d`, and replace the key: it has been written down)'],
    ['a key that names a URL', 'x5u: "https://x.org"', '`x5u` is not a field of a key'],
    ['a point that is not on the curve', undefined, 'the coordinates are not a point of P-256'],
    ['another use', 'use: enc', '`enc` is not a key use'],
  ])('refuses %s of an issuer', (_, member, message) => {
    const point = `"${'A'.repeat(43)}"`;
    const key = `{ kid: k, kty: EC, crv: P-256, x: ${point}, y: ${point}${member === undefined ? '' : `, ${member}`} }`;
    expect(oneFile(`${HEAD}kind: Issuer\nissuer: https://idp.org\naudience: sallyport\nkeys: [${key}]\n`).join('\n')).toContain(message);
  });

  test('reads an issuer’s keys from a key set beside the document', () => {
    const key = {
      kid: 'k1',
      kty: 'EC',
      crv: 'P-256',
      use: 'sig',
      alg: 'ES256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    };
    const document = `${HEAD}kind: Issuer\nissuer: https://idp.org\naudience: sallyport\nkeys_file: ../keys/idp.json\nclaims: { case: ticket_id, attributes: { region: region } }\n`;
    const set = { path: 'keys/idp.json', text: JSON.stringify({ keys: [key] }) };
    const parsed = parseDocuments([{ path: 'policy/idp.yaml', text: document }, set]);
    if (!parsed.ok) throw new Error(parsed.error.map(formatProblem).join('\n'));
    const { use: _use, alg: _alg, ...pinned } = key;
    expect(parsed.value.issuers[0]).toMatchObject({
      keys: [pinned],
      tokenLifetimeMsMax: 3_600_000,
      claims: { subject: 'sub', case: 'ticket_id', attributes: { region: { claim: 'region' } } },
    });
    const missing = parseDocuments([{ path: 'policy/idp.yaml', text: document }]);
    expect(missing.ok ? [] : missing.error.map(formatProblem)).toEqual([
      'policy/idp.yaml:5:12: keys_file: no file `keys/idp.json` among the documents (a key set is a .json file beside them)',
    ]);
    const bent = parseDocuments([
      { path: 'policy/idp.yaml', text: document },
      { ...set, text: '{"keys":[],"keys":[]}' },
    ]);
    expect(bent.ok ? [] : bent.error[0]).toMatchObject({ file: 'keys/idp.json', message: expect.stringContaining('key') as string });
  });

  test('a tool of which nobody says what it does counts as destructive, and takes no arguments', () => {
    const text = `${HEAD}kind: ToolServer\nname: a\nmcp: { url: "https://x.org" }\n---\nkind: Tool\nname: a/b\n`;
    const parsed = parseDocuments([{ path: 'f.yaml', text }]);
    expect(parsed.ok ? parsed.value.tools : parsed.error).toMatchObject([
      { effect: 'destructive', classes: [], arguments: { type: 'object', properties: {} } },
    ]);
  });

  test.each([
    ['{ decimal: "5" }', '`${env.x}` is of type decimal, not text'],
    ['{ strings: [a] }', '`${env.x}` is of type strings, not text'],
    ['{ string: "not a url" }', '`not a url` is not a base URL'],
  ])('refuses a URL made of %s', (value, message) => {
    const text = `${HEAD}kind: ToolServer\nname: a\nmcp: { url: "\${env.x}" }\n---\nkind: Environment\nvalues: { x: ${value} }\n`;
    expect(oneFile(text).join('\n')).toContain(message);
  });

  test('refuses a rule about a tool that exists and that the agent does not use', () => {
    const other = `${HEAD}kind: ToolServer\nname: crm\nmcp: { url: "https://crm.internal" }\n---\nkind: Tool\nname: crm/get\neffect: read\n`;
    const problems = problemsOf('  - { id: a, allow: [crm/get] }\n  - { id: b, allow: [orders/get], after: [crm/get] }\n', [
      { path: 'crm.yaml', text: other },
    ]);
    expect(problems).toEqual([
      "p.yaml:5:22: rules[0].allow[0]: agent `triage` does not use `crm` (add it to the agent's `uses`)",
      "p.yaml:6:43: rules[1].after[0]: agent `triage` does not use `crm` (add it to the agent's `uses`)",
    ]);
  });

  test('refuses a route that names no argument', () => {
    const server = `${HEAD}kind: ToolServer\nname: a\nhttp: { url: "https://x.org" }\n---\n`;
    const tool =
      'kind: Tool\nname: a/get\nroute: { method: GET, path: "/x/{idd}" }\narguments: { required: [id], properties: { id: { type: string } } }\n';
    expect(oneFile(server + tool)).toEqual(['f.yaml:8:30: route.path: no argument `idd` (did you mean `id`)']);
  });

  test('refuses what an unauthenticated caller could do harm with', () => {
    const rule = (tool: string): string => `  - { id: a, allow: [${tool}], for: { principals: [anonymous] } }\n`;
    expect(problemsOf(rule('orders/get'))).toEqual([]);
    expect(problemsOf(rule('orders/refund'))).toEqual([
      'p.yaml:5:57: rules[0].for.principals: `orders/refund` cannot be allowed to `anonymous` (only tools of effect read, free of money, pii and export)',
    ]);
  });

  test('warns of tools that no test calls, without failing', () => {
    const files = [
      { path: 'c.yaml', text: CATALOG },
      { path: 'p.yaml', text: `${HEAD}kind: Policy\nagent: triage\nrules:\n  - { id: a, allow: [orders/get] }\n` },
    ];
    const parsed = parseDocuments(files);
    expect(parsed.ok ? parsed.value.warnings.map(formatProblem) : parsed.error).toEqual([
      'c.yaml:13:7: name: warning: no test calls `orders/get` (add a case to a document of kind Test)',
      'c.yaml:18:7: name: warning: no rule allows `orders/refund` (allow it, or remove it)',
    ]);
  });

  test.each([
    ['too many files', Array.from({ length: LIMITS.filesMax + 1 }, (_, index) => ({ path: `${index}.yaml`, text: '' })), 'more than 2000'],
    [
      'lists too long',
      [{ path: 'f.yaml', text: `${HEAD}kind: Agent\nname: a\nowner: o\nuses: [${'x, '.repeat(300)}y]\n` }],
      '`uses` has more than 256 entries',
    ],
    [
      'a name too long',
      [{ path: 'f.yaml', text: `${HEAD}kind: Agent\nname: a\nowner: "${'o'.repeat(5_000)}"\nuses: []\n` }],
      'an owner is longer than 4096 characters',
    ],
    [
      'a schema too deep',
      [
        {
          path: 'f.yaml',
          text: `${HEAD}kind: Tool\nname: a/b\narguments: ${'{ properties: { x: '.repeat(20)}{ type: string }${' } }'.repeat(20)}\n`,
        },
      ],
      'nested deeper than 32',
    ],
  ])('is bounded: %s', (_, files, message) => {
    const parsed = parseDocuments(files);
    expect(parsed.ok ? '' : parsed.error.map(formatProblem).join('\n')).toContain(message);
  });
});
