import { describe, expect, test } from 'vitest';
import { PART_NAMES, formatProblem } from '@sallyport/model';
import type { PartName } from '@sallyport/model';
import { buildParts } from './build.ts';
import type { BuiltParts } from './build.ts';
import { compile } from './compile.ts';
import { parseDocuments } from './documents.ts';
import type { PolicyFile } from './documents.ts';
import { FEATURES } from './features.ts';
import { readParts } from './parts.ts';

const HEAD = 'apiVersion: sallyport.dev/v1\n';
const CATALOG = `kind: Agent
name: triage
owner: team
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "\${env.orders_url}" }
network: private
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
route: { method: POST, path: "/orders/{id}/refunds" }
arguments: { required: [id, amount], properties: { id: { type: string }, amount: { type: number, format: decimal, maximum: 1000.5 } } }
---
kind: Issuer
issuer: "\${env.idp}"
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: { region: geo } }
`;
const environment = (url: string): string =>
  `kind: Environment\nvalues: { orders_url: { url: "${url}" }, idp: { string: "https://idp.org" }, cap: { decimal: "0.1" }, big: { integer: 12345678901234567890 }, names: { strings: [a, b] }, on_call: { boolean: true } }\n`;
const POLICY = `kind: Policy
agent: triage
rules:
  - { id: b, allow: [orders/refund], for: { roles: [z, a], tenants: ["\${env.idp}"] }, scopes: [y, x], when: args.amount <= env.cap }
  - { id: a, deny: [{ effect: write, class: money }], for: { principals: [eve] } }
  - { id: c, allow: [orders/refund], arguments: { amount: { maximum: 5 } }, once: { per: args.id, within: 36h } }
`;
const TESTS = `kind: Test
given: { roles: [a], tenant: "https://idp.org", scopes: [x, y], attributes: { region: eu }, session: { case: T, completed: [orders/refund] } }
cases: [{ call: orders/refund, args: { id: x, amount: 0.10 }, expect: allow }]
`;

const FILES: readonly PolicyFile[] = [
  { path: 'catalog.yaml', text: HEAD + CATALOG },
  { path: 'env.yaml', text: HEAD + environment('https://orders.internal:8443/api') },
  { path: 'policy.yaml', text: HEAD + POLICY },
  { path: 'tests.yaml', text: HEAD + TESTS },
];

function build(files: readonly PolicyFile[]): BuiltParts {
  const source = parseDocuments(files);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
const textsOf = (built: BuiltParts): Record<string, string> =>
  Object.fromEntries(Object.entries(built.parts).map(([name, bytes]) => [name, textOf(bytes)]));

describe('buildParts', () => {
  test('makes the same bytes whatever the order of files', () => {
    expect(textsOf(build(FILES.toReversed()))).toEqual(textsOf(build(FILES)));
  });

  test('makes the same bytes in all parts but `tests` whatever the layout', () => {
    const oneFile = [
      {
        path: 'all.yaml',
        text: HEAD + [TESTS, `# why\n${POLICY}`, environment('https://orders.internal:8443/api'), CATALOG].join('---\n'),
      },
    ];
    const { tests: _moved, ...parts } = textsOf(build(oneFile));
    const { tests: _place, ...others } = textsOf(build(FILES));
    expect(parts).toEqual(others);
  });

  test('makes the same bytes whatever the order of lists that mean sets', () => {
    const swap = (text: string): string =>
      text
        .replace('[z, a]', '[a, z]')
        .replace('scopes: [y, x]', 'scopes: [x, y]')
        .replace('{ effect: write, class: money }', '{ class: money, effect: write }');
    const swapped = FILES.map((file) => (file.path === 'policy.yaml' ? { ...file, text: swap(file.text) } : file));
    expect(swapped).not.toEqual(FILES);
    expect(textsOf(build(swapped))).toEqual(textsOf(build(FILES)));
  });

  test('another environment changes the environment part alone', () => {
    const staging = FILES.map((file) =>
      file.path === 'env.yaml' ? { ...file, text: HEAD + environment('https://staging.internal') } : file,
    );
    const [here, there] = [textsOf(build(FILES)), textsOf(build(staging))];
    expect(PART_NAMES.filter((name) => here[name] !== there[name])).toEqual(['environment']);
  });

  test('reads back as what was written, with the environment substituted', () => {
    const read = readParts(build(FILES).parts);
    if (!read.ok) throw new Error(read.error.map(formatProblem).join('\n'));
    expect(read.value.servers).toEqual([{ name: 'orders', kind: 'http', url: 'https://orders.internal:8443/api' }]);
    expect(read.value.destinations).toEqual([
      { server: 'orders', scheme: 'https', host: 'orders.internal', port: 8443, network: 'private' },
    ]);
    expect(read.value.issuers).toMatchObject([
      {
        issuer: 'https://idp.org',
        audience: 'sallyport',
        tokenLifetimeMsMax: 3_600_000,
        claims: { case: 'case', attributes: { region: { claim: 'geo' } } },
      },
    ]);
    expect(read.value.rules.map(({ id, for: whom, once }) => [id, whom, once])).toEqual([
      ['a', { principals: ['eve'] }, undefined],
      ['b', { roles: ['a', 'z'], tenants: ['https://idp.org'] }, undefined],
      ['c', undefined, { per: 'args.id', withinMs: 129_600_000 }],
    ]);
    expect(read.value.environment['big']).toEqual({ type: 'integer', value: 12345678901234567890n });
    expect(read.value.environment['cap']?.value.toString()).toBe('0.1');
    expect(read.value.sources['b']).toEqual({ file: 'policy.yaml', line: 5 });
    expect(read.value.tests[0]?.cases[0]?.argsJson).toBe('{"id":"x","amount":0.10}');
    expect(read.value.tools[0]).toMatchObject({ name: 'orders/refund', route: { method: 'POST', path: '/orders/{id}/refunds' } });
  });

  test('counts, and lists the features that the rules use', () => {
    const built = build(FILES);
    expect(built).toMatchObject({ ruleCount: 3, toolCount: 1, testCount: 1 });
    expect(built.features).toEqual([
      'cel.v1',
      'environment.v1',
      'for.principals',
      'for.roles',
      'for.tenants',
      'rule.allow',
      'rule.arguments',
      'rule.deny',
      'rule.once',
      'rule.once.per',
      'rule.once.within',
      'rule.scopes',
      'rule.when',
      'selector.attribute',
      'selector.tool',
    ]);
    expect(built.features.filter((feature) => !FEATURES.includes(feature))).toEqual([]);
  });
});

describe('readParts', () => {
  const parts = build(FILES).parts;

  /** The problems after one part was bent as JSON. */
  function bent(name: PartName, bend: (part: Record<string, never>) => void): readonly string[] {
    const json = JSON.parse(textOf(parts[name])) as Record<string, never>;
    bend(json);
    const read = readParts({ ...parts, [name]: bytesOf(json) });
    return read.ok ? [] : read.error.map(formatProblem);
  }

  test.each<[string, PartName, (part: never) => void, string]>([
    [
      'an unknown field of a part',
      'policy',
      (part: { extra: number }) => void (part.extra = 1),
      'policy.extra: `extra` is not a field of part policy',
    ],
    [
      'an unknown field of a rule',
      'policy',
      (part: { rules: [{ also: number }] }) => void (part.rules[0].also = 1),
      'policy.rules[0].also: `also` is not a field of a rule',
    ],
    [
      'an unknown verb',
      'policy',
      (part: { rules: [{ grant?: unknown; deny?: unknown }] }) =>
        void ((part.rules[0].grant = part.rules[0].deny), delete part.rules[0].deny),
      'policy.rules[0].grant: `grant` is not a field of a rule',
    ],
    [
      'an unknown effect',
      'catalog',
      (part: { tools: [{ effect: string }] }) => void (part.tools[0].effect = 'harmless'),
      'catalog.tools[0].effect: `harmless` is not an effect',
    ],
    [
      'an unknown schema keyword',
      'catalog',
      (part: { tools: [{ arguments: Record<string, unknown> }] }) => void (part.tools[0].arguments['patternProperties'] = {}),
      '',
    ],
    [
      'an unknown network',
      'egress',
      (part: { destinations: [{ network: string }] }) => void (part.destinations[0].network = 'any'),
      'egress.destinations[0].network: `any` is not a network',
    ],
    [
      'a destination that is not the server’s',
      'egress',
      (part: { destinations: [{ url: string }] }) => void (part.destinations[0].url = 'https://evil.org'),
      'catalog.servers[0]: tool server `orders` and its destination differ',
    ],
    [
      'a destination without a server',
      'egress',
      (part: { destinations: unknown[] }) => void part.destinations.push({ server: 'other', url: 'https://evil.org', network: 'public' }),
      'egress.destinations[1]: a destination without a tool server',
    ],
    [
      'a server without a destination',
      'egress',
      (part: { destinations: unknown[] }) => void (part.destinations = []),
      'catalog.servers[0]: tool server `orders` and its destination differ',
    ],
    [
      'a detector',
      'detectors',
      (part: { detectors: unknown[] }) => void part.detectors.push({}),
      'detectors.detectors[0]: no detector is understood here',
    ],
    [
      'another part in its place',
      'detectors',
      (part: { kind: string }) => void (part.kind = 'PolicyPart'),
      'detectors.kind: `PolicyPart` is not a kind',
    ],
    [
      'another version',
      'identity',
      (part: { api_version: string }) => void (part.api_version = 'sallyport.dev/v2'),
      'identity.api_version: `sallyport.dev/v2` is not an api_version',
    ],
    ['a missing field', 'identity', (part: { issuers?: unknown }) => void delete part.issuers, 'identity: part identity lacks `issuers`'],
    [
      'a missing environment value',
      'environment',
      (part: { values: Record<string, unknown> }) => void delete part.values['orders_url'],
      'catalog.servers[0].http.url: no environment value `orders_url`',
    ],
    [
      'a rule of an unknown agent',
      'policy',
      (part: { rules: [{ agent: string }] }) => void (part.rules[0].agent = 'nobody'),
      'policy.rules[0].agent: no agent `nobody`',
    ],
    [
      'a duplicate rule',
      'policy',
      (part: { rules: unknown[] }) => void part.rules.push(part.rules[0]),
      'policy.rules[3].id: rule `a` is declared twice',
    ],
    [
      'a key file',
      'identity',
      (part: { issuers: [Record<string, unknown>] }) => void ((part.issuers[0]['keys_file'] = 'x.json'), delete part.issuers[0]['keys']),
      'a part holds its keys itself',
    ],
  ])('refuses %s', (_, name, bend, problem) => {
    const problems = bent(name, bend as (part: Record<string, never>) => void);
    if (problem === '') {
      // The schema itself is compiled with the rules.
      const json = JSON.parse(textOf(parts[name])) as Record<string, never>;
      (bend as (part: unknown) => void)(json);
      const read = readParts({ ...parts, [name]: bytesOf(json) });
      const compiled = read.ok ? compile(read.value) : read;
      expect(compiled.ok ? '' : compiled.error.map(formatProblem).join('\n')).toContain(
        'catalog.tools[0].arguments.patternProperties: unknown keyword',
      );
      return;
    }
    expect(problems.join('\n')).toContain(problem);
  });

  test.each([
    ['half a part', textOf(parts.policy).slice(0, 40)],
    ['a part with a duplicate key', textOf(parts.policy).replace('{', '{"kind":"PolicyPart",')],
    ['a part with something after it', `${textOf(parts.policy)} {}`],
    ['a part with a byte order mark', `\uFEFF${textOf(parts.policy)}`],
    ['an empty part', ''],
    ['a list', '[]'],
  ])('refuses %s', (_, text) => {
    const read = readParts({ ...parts, policy: new TextEncoder().encode(text) });
    expect(read.ok ? '' : read.error.map(formatProblem).join('\n')).toMatch(/^policy/);
  });

  test('refuses a missing part and an extra one, at once', () => {
    const { egress: _egress, ...rest } = parts;
    const read = readParts({ ...rest, polcy: parts.policy } as unknown as Record<PartName, Uint8Array>);
    expect(read.ok ? [] : read.error.map(formatProblem)).toEqual(
      expect.arrayContaining(['egress: part `egress` is missing', 'polcy: `polcy` is not a part (did you mean `policy`)']),
    );
  });

  test('any flipped byte is refused or compiles to something; it never throws', () => {
    for (const name of PART_NAMES) {
      for (let at = 0; at < parts[name].length; at += 7) {
        const flipped = Uint8Array.from(parts[name]);
        flipped[at] = (flipped[at] ?? 0) ^ 0x08;
        const read = readParts({ ...parts, [name]: flipped });
        if (read.ok) compile(read.value);
      }
    }
  });
});

describe('compile', () => {
  test('judges rules by itself, without trusting that the build did', () => {
    const read = readParts(build(FILES).parts);
    if (!read.ok) throw new Error('parts');
    const bent = read.value.rules.map((rule) => (rule.id === 'b' ? { ...rule, when: 'args.amount <= 0.5 && args.nope == 1' } : rule));
    const compiled = compile({ ...read.value, rules: bent });
    expect(compiled.ok ? [] : compiled.error.map(formatProblem)).toEqual([
      'policy.rules[1].when: at character 16: `0.5` is a double, which cannot stand beside decimal (write decimal("0.5"))',
      'policy.rules[1].when: at character 23: no argument `nope` (there are `amount`, `id`)',
    ]);
  });

  test('a rule about a tool that its agent does not use is a problem, not a rule that is dropped', () => {
    const read = readParts(build(FILES).parts);
    if (!read.ok) throw new Error('parts');
    const compiled = compile({ ...read.value, agents: read.value.agents.map((agent) => ({ ...agent, uses: [] })) });
    expect(compiled.ok ? [] : compiled.error.map(formatProblem)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('policy.rules[1].allow[0]: `orders/refund` selects no tool that agent `triage` uses'),
      ]),
    );
  });

  test('holds agents, tools and the schemas that the validation gate needs', () => {
    const { policy } = build(FILES);
    expect(policy.agent('triage' as never)?.owner).toBe('team');
    expect(policy.tool('orders/refund' as never)?.effect).toBe('write');
    expect(policy.argumentSchema('orders/refund' as never)?.type.properties.get('amount')).toEqual({
      type: { kind: 'decimal' },
      isRequired: true,
    });
    expect([policy.agent('x' as never), policy.tool('orders/x' as never), policy.argumentSchema('orders/x' as never)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
