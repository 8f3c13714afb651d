import { describe, expect, test } from 'vitest';
import { formatProblem, parseInstant } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { decide } from '../decide/decide.ts';
import type { PolicyDecision } from '../decide/decide.ts';
import { observe } from '../decide/observe.ts';
import { explain, formatExplanation } from '../explain/explain.ts';
import { runTests } from '../suites/run-tests.ts';
import { inputOf } from '../testing/calls.ts';
import type { GivenCall } from '../testing/calls.ts';
import { buildParts } from './build.ts';
import { compile } from './compile.ts';
import type { CompiledPolicy } from './compile.ts';
import { parseDocuments } from './documents.ts';
import { joinLayers } from './layers.ts';
import type { LayerParts } from './layers.ts';

const ISSUER = (url = 'https://idp.org'): string => `kind: Issuer
issuer: ${url}
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: { level: { claim: level, type: integer } } }
`;

const COMPANY = [
  ISSUER(),
  'kind: Environment\nvalues: { ceiling: { integer: 900 } }\n',
  `kind: Policy
agents: "*"
rules:
  - { id: company-ceiling, deny: [{ class: money }], when: "!has(args.amount) || args.amount > env.ceiling" }
  - { id: company-scope, require: [{ effect: write }], for: { roles: [temp] }, scopes: [write] }
`,
];

const CATALOG = [
  'kind: ToolServer\nname: orders\nmcp: { url: "https://orders.internal" }\nnetwork: private\n',
  `kind: Tool
name: orders/find
effect: read
arguments: { required: [order], properties: { order: { type: string } } }
touches: { found: args.order }
`,
  `kind: Tool
name: orders/refund
effect: write
classes: [money]
arguments: { required: [order, amount], properties: { order: { type: string }, amount: { type: integer } } }
`,
  `kind: Policy
agents: "*"
rules:
  - { id: orders-found-first, require: [orders/refund], bind: [args.order in session.touched.found], max: { count: 5, per: args.order } }
`,
];

const TEAM = [
  'kind: Agent\nname: triage\nowner: team\nuses: [orders, notes]\n',
  'kind: ToolServer\nname: notes\nmcp: { url: "https://notes.internal" }\nnetwork: private\n',
  'kind: Tool\nname: notes/add\neffect: write\narguments: { required: [text], properties: { text: { type: string } } }\n',
  `kind: Policy
agent: triage
rules:
  - { id: team-all, allow: [orders/*, notes/add], for: { roles: [clerk] } }
`,
];

const yaml = (documents: readonly string[]): string => `apiVersion: sallyport.dev/v1\n${documents.join('---\n')}`;

/** Documents as a layer beneath others; whatever does not build throws its problems. */
function layer(name: string, documents: readonly string[], above: readonly LayerParts[] = []): LayerParts {
  const beneath = { name, above };
  const source = parseDocuments([{ path: `${name}.yaml`, text: yaml(documents) }], beneath);
  const built = source.ok ? buildParts(source.value, beneath) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return { name, parts: built.value.parts };
}

/** Documents as a layer that was built as if nothing stood above it: what no honest builder makes. */
function alone(name: string, documents: readonly string[]): LayerParts {
  const source = parseDocuments([{ path: `${name}.yaml`, text: yaml(documents) }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return { name, parts: built.value.parts };
}

const company = layer('company', COMPANY);
const catalog = layer('catalog', CATALOG, [company]);
const team = layer('team', TEAM, [company, catalog]);

function joined(layers: readonly LayerParts[]): CompiledPolicy {
  const parts = joinLayers(layers);
  if (!parts.ok) throw new Error(parts.error.problems.map(formatProblem).join('\n'));
  const policy = compile(parts.value);
  if (!policy.ok) throw new Error(policy.error.map(formatProblem).join('\n'));
  return policy.value;
}

const errorsOf = (result: Result<unknown, readonly Problem[]>): readonly string[] =>
  result.ok ? [] : result.error.filter(({ severity }) => severity === undefined).map(formatProblem);

/** What is refused when the documents are built beneath the others. */
const refusedAtBuild = (documents: readonly string[], above: readonly LayerParts[] = [company, catalog]): readonly string[] =>
  errorsOf(parseDocuments([{ path: 'team.yaml', text: yaml(documents) }], { name: 'team', above }));

/** What is refused when somebody signed the parts nevertheless. */
function refusedAtActivation(layers: readonly LayerParts[]): readonly string[] {
  const parts = joinLayers(layers);
  return errorsOf(parts.ok ? compile(parts.value) : { ok: false, error: parts.error.problems });
}

function decided(layers: readonly LayerParts[], call: GivenCall): PolicyDecision {
  const policy = joined(layers);
  return decide(policy, inputOf(policy, call));
}

const ADD = { tool: 'notes/add', args: '{"text":"x"}' } as const;
const FIND = { tool: 'orders/find', args: '{"order":"A"}' } as const;

describe('layers', () => {
  test('are joined to one policy: the agent’s own allows, those above deny and demand, and each says where it stands', () => {
    const all = [company, catalog, team];
    expect(decided(all, FIND)).toMatchObject({ decision: 'allow', ruleId: 'team-all', source: { file: 'team.yaml', layer: 'team' } });
    expect(decided(all, { tool: 'orders/refund', args: '{"order":"A","amount":901}' })).toMatchObject({
      code: 'no_matching_policy',
      ruleId: 'company-ceiling',
    });
    expect(decided(all, { tool: 'orders/refund', args: '{"order":"A","amount":900}' })).toMatchObject({
      code: 'resource_binding_mismatch',
      ruleId: 'orders-found-first',
    });
    expect(decided(all, { ...ADD, principal: { roles: ['clerk', 'temp'] } })).toMatchObject({
      code: 'insufficient_scope',
      ruleId: 'company-scope',
    });
    const policy = joined(all);
    expect(formatExplanation(explain(policy, inputOf(policy, FIND)))).toMatch(/by rule team-all \(team:team\.yaml:\d+\)/);
  });

  test('limit by the stricter: every layer’s limit is reserved, and one that is reached refuses', () => {
    const limited = layer(
      'team',
      [...TEAM.slice(0, 3), 'kind: Policy\nagent: triage\nrules: [{ id: team-two, allow: ["orders/*", notes/add], max: { count: 2 } }]\n'],
      [company, catalog],
    );
    const policy = joined([company, catalog, limited]);
    const input = inputOf(policy, { tool: 'orders/refund', args: '{"order":"A","amount":1}' });
    const session = { ...input.session, noted: (): readonly string[] => ['A'] };
    expect(decide(policy, { ...input, session })).toMatchObject({
      decision: 'allow',
      reservations: [
        { ruleId: 'team-two', max: 2 },
        { ruleId: 'orders-found-first', max: 5 },
      ],
    });
  });

  test('below are refused nothing by what is denied above: a denial in haste does not stop a release', () => {
    const stop = layer('company', [
      ...COMPANY,
      'kind: Policy\nagents: "*"\nrules: [{ id: company-stop, deny: [orders/find, { server: notes }] }]\n',
    ]);
    expect(decided([stop, catalog, team], FIND)).toMatchObject({ decision: 'deny', ruleId: 'company-stop' });
    expect(decided([stop, catalog, team], ADD)).toMatchObject({ decision: 'deny', ruleId: 'company-stop' });
  });

  test('that are but one are what that one is', () => {
    const one = alone('only', [
      ...CATALOG.slice(0, 2),
      'kind: Agent\nname: triage\nowner: o\nuses: [orders]\n',
      'kind: Policy\nagent: triage\nrules: [{ id: a, allow: [orders/find] }]\n',
    ]);
    expect(decided([one], FIND)).toMatchObject({ decision: 'allow', ruleId: 'a' });
  });

  test('run the tests of their own beneath what stands above', () => {
    const beneath = { name: 'team', above: [company, catalog] };
    const tests =
      'kind: Test\ngiven: { roles: [clerk] }\ncases: [{ call: orders/refund, args: { order: A, amount: 901 }, expect: no_matching_policy }]\n';
    const source = parseDocuments([{ path: 'team.yaml', text: yaml([...TEAM, tests]) }], beneath);
    if (!source.ok) throw new Error('refused');
    const built = buildParts(source.value, beneath);
    if (!built.ok) throw new Error('not built');
    expect(runTests(built.value.policy, source.value.tests)).toMatchObject({ passed: 1, failed: 0 });
    expect(built.value).toMatchObject({ ruleCount: 1, toolCount: 1, testCount: 1 });
    expect(built.value.features).not.toContain('policy.agents');
  });
});

const AGENT = TEAM[0] ?? '';
const RULES = TEAM[3] ?? '';
const rules = (text: string, whose = 'agent: triage'): string => `kind: Policy\n${whose}\nrules:\n  - ${text}\n`;
const own = (...more: readonly string[]): readonly string[] => [...TEAM, ...more];

/** Attacks of a lower layer, as documents; `stands` is the other place that the refusal tells. */
const ATTACKS: readonly { readonly what: string; readonly documents: readonly string[]; readonly says: string; readonly stands: string }[] =
  [
    {
      what: 'a tool declared anew with less effect, fewer classes and wider arguments',
      documents: own(
        'kind: Tool\nname: orders/refund\neffect: read\narguments: { required: [order], properties: { order: { type: string }, amount: { type: integer } } }\n',
      ),
      says: 'layer `team` declares tool `orders/refund` anew, which layer `catalog` owns, with another `arguments`, `classes`, `effect`',
      stands: 'catalog:catalog.tools[1]',
    },
    {
      what: 'a tool declared anew with another deny_as',
      documents: own(
        'kind: Tool\nname: orders/find\neffect: read\narguments: { required: [order], properties: { order: { type: string } } }\ntouches: { found: args.order }\ndeny_as: error\n',
      ),
      says: 'with another `deny_as`',
      stands: 'catalog:catalog.tools[0]',
    },
    {
      what: 'a server declared anew on a wider network',
      documents: own('kind: ToolServer\nname: orders\nmcp: { url: "https://orders.internal" }\n'),
      says: 'layer `team` declares tool server `orders` anew, which layer `catalog` owns, with another `network`',
      stands: 'catalog:catalog.servers[0]',
    },
    {
      what: 'a server declared anew as it is',
      documents: own('kind: ToolServer\nname: orders\nmcp: { url: "https://orders.internal" }\nnetwork: private\n'),
      says: 'layer `team` declares tool server `orders` anew, which layer `catalog` owns',
      stands: 'catalog:catalog.servers[0]',
    },
    {
      what: 'the same destination under another server’s name',
      documents: [
        AGENT.replace('notes]', 'notes, shop]'),
        ...TEAM.slice(1),
        'kind: ToolServer\nname: shop\nmcp: { url: "https://orders.internal/mcp" }\nnetwork: private\n',
        'kind: Tool\nname: shop/refund\neffect: read\n',
        rules('{ id: shop, allow: ["shop/*"] }'),
      ],
      says: 'layer `team` leads `shop` to `orders.internal:443`, a destination that layer `catalog` owns',
      stands: 'catalog:catalog.servers[0]',
    },
    {
      what: 'a tool added to a server of the catalog',
      documents: own('kind: Tool\nname: orders/wipe\neffect: read\n'),
      says: 'layer `team` adds tool `orders/wipe` to a server that layer `catalog` owns',
      stands: 'catalog:catalog.servers[0]',
    },
    {
      what: 'a word of the catalog’s notes',
      documents: [...TEAM.slice(0, 2), `${TEAM[2] ?? ''}touches: { found: args.text }\n`, RULES],
      says: 'layer `team` notes values under `found`, which layer `catalog` owns',
      stands: 'catalog:catalog.tools[0]',
    },
    {
      what: 'an issuer of its own, whose people are whatever it says',
      documents: own(ISSUER('https://evil.example')),
      says: 'issuers and caller methods belong to layer `company`, and layer `team` declares `https://evil.example`',
      stands: 'company:identity.issuers[0]',
    },
    {
      what: 'a caller method of its own, whose callers are whoever it says',
      documents: own(
        'kind: CallerMethod\nname: chat\nslack: { secret: { file: chat } }\nprincipals: [{ subject: T/U, id: boss, tenant: company }]\n',
      ),
      says: 'issuers and caller methods belong to layer `company`, and layer `team` declares `chat`',
      stands: 'company:identity.issuers[0]',
    },
    {
      what: 'the company’s issuer with other claims',
      documents: own(ISSUER()),
      says: 'layer `team` declares issuer `https://idp.org` anew, which layer `company` owns',
      stands: 'company:identity.issuers[0]',
    },
    {
      what: 'a value that the company’s rules read',
      documents: own('kind: Environment\nvalues: { ceiling: { integer: 1000000 } }\n'),
      says: 'layer `team` declares environment value `ceiling` anew, which layer `company` owns',
      stands: 'company:environment.values.ceiling',
    },
    {
      what: 'a rule under the id of the company’s',
      documents: own(rules('{ id: company-ceiling, deny: [notes/add], when: args.text == "x" }')),
      says: 'layer `team` declares rule `company-ceiling` anew, which layer `company` owns',
      stands: 'company:policy.rules[0]',
    },
  ];

describe('a lower layer is refused', () => {
  test.each(ATTACKS)('$what, at build and at activation, with both places', ({ documents, says, stands }) => {
    const [problem] = refusedAtBuild(documents).filter((text) => text.includes(says));
    expect(problem).toMatch(/^(team\.yaml:\d+:\d+|team:environment)/);
    expect(problem).toContain(stands);
  });

  test.each(ATTACKS)('$what, also where somebody signed it', ({ documents, says, stands }) => {
    // Built with a world of its own around it, so that its parts are good by themselves.
    const needed = CATALOG.slice(0, 3).filter((document) => !documents.some((one) => nameOf(one) === nameOf(document)));
    const forged = alone('team', [...needed, ...documents]);
    const [problem] = refusedAtActivation([company, catalog, forged]).filter((text) => text.includes(says));
    expect(problem).toMatch(/^team:/);
    expect(problem).toContain(stands);
  });

  test('an agent of the layer above, and rules about it', () => {
    const lower = alone('lower', [
      ...CATALOG.slice(0, 2).map((one) => one.replaceAll('orders', 'other').replace('found', 'seen')),
      AGENT.replace('[orders, notes]', '[other]'),
      rules('{ id: lower-all, allow: [other/find] }'),
      `kind: Observe\nagents: [triage]\nuntil: 2026-06-30T00:00:00Z\n`,
    ]);
    const problems = refusedAtActivation([company, catalog, team, lower]);
    expect(problems).toContainEqual(expect.stringContaining('layer `lower` declares agent `triage` anew, which layer `team` owns'));
    expect(problems).toContainEqual(expect.stringContaining('layer `lower` speaks of agent `triage`, which layer `team` above it owns'));
  });

  test('a credential of an agent above, one under a name above, and the secret of a layer above sent to a server of its own', () => {
    const key = (name: string, agent: string, server: string, file: string): string =>
      `kind: Credential\nname: ${name}\nsource: { file: ${file} }\nheader: Authorization\ndestinations: [${server}]\nagents: [${agent}]\ntools: ["${server}/*"]\n`;
    const upper = layer('team', [...TEAM, key('notes-key', 'triage', 'notes', 'notes/key')], [company, catalog]);
    const own = [
      ...CATALOG.slice(0, 2).map((one) => one.replaceAll('orders', 'other').replace('found', 'seen')),
      AGENT.replace('[orders, notes]', '[other]'),
      rules('{ id: lower-all, allow: [other/find] }'),
    ];
    const below = (...documents: readonly string[]): readonly string[] =>
      refusedAtActivation([company, catalog, upper, alone('lower', [...own, ...documents])]);
    const says = (text: string): unknown => expect.stringContaining(text);
    expect(below(key('other-key', 'triage', 'other', 'other/key'))).toContainEqual(
      says('layer `lower` speaks of agent `triage`, which layer `team` above it owns'),
    );
    expect(below(key('notes-key', 'triage', 'other', 'other/key'))).toContainEqual(
      says('layer `lower` declares credential `notes-key` anew, which layer `team` owns'),
    );
    expect(below(key('stolen', 'triage', 'other', 'notes/key'))).toContainEqual(
      says('layer `lower` declares secret `file notes/key` anew, which layer `team` owns'),
    );
  });

  test('an allow rule of a layer above: a catalog tightens, and never grants', () => {
    const granting = alone('catalog', [
      ...CATALOG.slice(0, 3),
      AGENT.replace('[orders, notes]', '[orders]'),
      rules('{ id: granted, allow: [orders/refund] }'),
    ]);
    const text = new TextDecoder().decode(granting.parts.identity).replace(/"agents":\[.*?\],"api/, '"agents":[],"api');
    const forged = { name: 'catalog', parts: { ...granting.parts, identity: new TextEncoder().encode(text) } };
    expect(refusedAtActivation([company, forged, team])).toContainEqual(
      expect.stringMatching(
        /^catalog:policy\.rules\[0\]\.allow: layer `catalog` allows what agent `triage` may do, which only its own layer `team` can .*team:identity\.agents\[0\]/,
      ),
    );
  });

  test.each([
    ['names that look alike', ['company', 'c0mpany'], 'layer `c0mpany` looks like `company`'],
    ['a hyphen between', ['company', 'com-pany'], 'layer `com-pany` looks like `company`'],
    ['one name twice', ['company', 'company'], 'layer `company` stands there twice'],
    ['a name in another script', ['company', 'соmpany'], 'is not a name of a layer'],
    ['a name with a colon', ['company', 'a:catalog'], 'is not a name of a layer'],
    ['an empty name', ['company', ''], 'is not a name of a layer'],
  ])('by its name: %s', (_, names, says) => {
    expect(refusedAtActivation(names.map((name) => ({ name, parts: team.parts })))).toContainEqual(expect.stringContaining(says));
  });

  test('names that look like those above: agents, servers and rules are compared across layers', () => {
    expect(refusedAtBuild(own(rules('{ id: c0mpany-ceiling, deny: [notes/add], when: args.text == "x" }')))).toContainEqual(
      expect.stringContaining('rule `c0mpany-ceiling` looks like `company-ceiling`'),
    );
    expect(refusedAtBuild(own('kind: ToolServer\nname: 0rders\nmcp: { url: "https://x.internal" }\n'))).not.toEqual([]);
    expect(refusedAtBuild(own('kind: ToolServer\nname: or-ders\nmcp: { url: "https://x.internal" }\n'))).toContainEqual(
      expect.stringContaining('`or-ders` looks like `orders`'),
    );
  });

  test('no layer at all, and more than can be', () => {
    expect(refusedAtActivation([])).toEqual([expect.stringContaining('there is no layer')]);
    expect(
      refusedAtActivation(Array.from({ length: 17 }, (_unused, at) => ({ name: `l${'x'.repeat(at + 1)}`, parts: team.parts }))),
    ).toContainEqual(expect.stringContaining('there are 17 layers, more than 16'));
  });
});

test('what a layer may not say is told apart from parts that do not read', () => {
  const wider = alone('team', ['kind: ToolServer\nname: orders\nmcp: { url: "https://orders.internal" }\n']);
  expect(joinLayers([company, catalog, wider])).toMatchObject({ ok: false, error: { for: 'layers' } });
  const torn = { name: 'team', parts: { ...team.parts, policy: new TextEncoder().encode('{') } };
  expect(joinLayers([company, catalog, torn])).toMatchObject({ ok: false, error: { for: 'parts' } });
});

describe('a layer above reads nothing that a layer below declares', () => {
  const above = (rule: string): LayerParts => alone('company', [rules(rule, 'agents: "*"')]);

  test('no value of its environment', () => {
    // Its own value is taken out of the signed parts, and comes back from below.
    const reading = layer('company', COMPANY);
    const forged = {
      name: 'company',
      parts: {
        ...reading.parts,
        environment: new TextEncoder().encode('{"api_version":"sallyport.dev/v1","kind":"EnvironmentPart","values":{}}'),
      },
    };
    const below = layer('team', own('kind: Environment\nvalues: { ceiling: { integer: 1000000 } }\n'), [catalog]);
    expect(refusedAtActivation([forged, catalog, below])).toContainEqual(
      expect.stringMatching(/^company:policy\.rules\[0\]\.when: .*no environment value `ceiling`/),
    );
  });

  test('no completed tool of it', () => {
    const waiting = above('{ id: wait, deny: [{ class: nothing }] }');
    const text = new TextDecoder()
      .decode(waiting.parts.policy)
      .replace('"deny":[{"class":"nothing"}]', '"after":["notes/add"],"require":[{"class":"money"}]');
    const forged = { name: 'company', parts: { ...waiting.parts, policy: new TextEncoder().encode(text) } };
    expect(refusedAtActivation([forged, catalog, layer('team', TEAM, [catalog])])).toContainEqual(
      expect.stringContaining('tool `notes/add` is declared in layer `team`, below layer `company`'),
    );
  });

  test('no budget of it', () => {
    const budgeted = above('{ id: sum, require: [{ class: nothing }], budget: { sum: "1", max: "5" } }');
    const text = new TextDecoder().decode(budgeted.parts.policy).replace('"max":"5"', '"max":"${env.most}"');
    const forged = { name: 'company', parts: { ...budgeted.parts, policy: new TextEncoder().encode(text) } };
    const below = layer('team', own('kind: Environment\nvalues: { most: { integer: 1000000 } }\n'), [catalog]);
    expect(refusedAtActivation([forged, catalog, below])).toContainEqual(
      expect.stringContaining('`${env.most}` is no number of this layer or of one above'),
    );
  });

  test('a rule across agents is about agents of its own layer and below, never of one above', () => {
    const lower = alone('lower', [
      ...COMPANY.slice(2).map((one) => one.replaceAll('company', 'lower').replace('env.ceiling', '900')),
      rules('{ id: lower-stop, deny: [{ effect: read }, { effect: write }] }', 'agents: "*"'),
    ]);
    expect(decided([company, catalog, team, lower], FIND)).toMatchObject({ decision: 'allow' });
    expect(decided([company, lower, catalog, team], FIND)).toMatchObject({ decision: 'deny', ruleId: 'lower-stop' });
  });
});

describe('observing beneath layers', () => {
  const UNTIL = 'until: 2026-06-30T00:00:00Z\n';
  const now = parseInstant('2026-06-15T00:00:00.000Z') ?? Number.NaN;
  const observing = (name: string, documents: readonly string[], above: readonly LayerParts[]): LayerParts =>
    layer(name, [...documents, `kind: Observe\nagents: "*"\n${UNTIL}`], above);
  const passes = (layers: readonly LayerParts[], call: GivenCall): PolicyDecision | undefined => {
    const policy = joined(layers);
    const input = inputOf(policy, call);
    const refusal = decide(policy, input);
    if (refusal.decision !== 'deny') throw new Error('nothing was refused');
    return observe(policy, input, refusal);
  };
  const strict = [...TEAM.slice(0, 3), rules('{ id: team-all, allow: ["orders/*", notes/add], scopes: [x] }')];

  test('lets pass what the agent’s own layer refuses', () => {
    expect(passes([company, catalog, observing('team', strict, [company, catalog])], { ...ADD, now })).toMatchObject({
      observed: { code: 'insufficient_scope', ruleId: 'team-all' },
    });
  });

  test.each([
    ['denies', '{ id: stop, deny: [{ server: notes }] }'],
    ['demands', '{ id: stop, require: [{ server: notes }], scopes: [never] }'],
    ['denies because it cannot tell', '{ id: stop, deny: [{ server: notes }], when: 1 / (size(args.text) - 1) == 1 }'],
  ])('smuggled in by the lower layer does not lift what a layer above %s', (_, rule) => {
    const above = layer('company', [...COMPANY, rules(rule, 'agents: "*"')]);
    expect(passes([above, catalog, observing('team', strict, [above, catalog])], { ...ADD, now })).toBeUndefined();
  });

  test('by a layer above is of the agents below, and still lifts nothing of its own ceilings', () => {
    const above = observing('company', COMPANY, []);
    const below = layer('team', strict, [above, catalog]);
    expect(passes([above, catalog, below], { ...ADD, now })).toMatchObject({ observed: { ruleId: 'team-all' } });
    expect(passes([above, catalog, below], { ...ADD, now, principal: { roles: ['temp'] } })).toBeUndefined();
  });

  test('by two layers is one too many', () => {
    const above = observing('company', COMPANY, []);
    expect(
      refusedAtBuild(
        [...TEAM, `kind: Observe\nagents: [triage]\nfrom: 2026-07-01T00:00:00Z\nuntil: 2026-07-30T00:00:00Z\n`],
        [above, catalog],
      ),
    ).toContainEqual(expect.stringContaining('agent `triage` is observed twice'));
  });
});

function nameOf(document: string): string | undefined {
  return /^kind: \w+\nname: .*/.exec(document)?.[0];
}
