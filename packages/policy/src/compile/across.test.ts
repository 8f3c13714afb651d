import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import { formatExplanation } from '../explain/explain.ts';
import { runTests } from '../suites/run-tests.ts';
import { buildParts } from './build.ts';
import type { BuiltParts } from './build.ts';
import { parseDocuments } from './documents.ts';
import { readParts } from './parts.ts';

/** Two agents, one of which does not use `pay`. */
const WORLD = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [crm, pay]
---
kind: Agent
name: reader
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
network: private
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: crm/get
effect: read
classes: [pii]
arguments: { required: [id], properties: { id: { type: string } } }
---
kind: Tool
name: crm/find
effect: read
arguments: { required: [text], properties: { text: { type: string } } }
---
kind: Tool
name: pay/refund
effect: write
classes: [money]
arguments: { required: [order, amount], properties: { order: { type: string }, amount: { type: integer } } }
---
kind: Policy
agent: triage
rules:
  - { id: triage-all, allow: [crm/*, pay/*] }
---
kind: Policy
agent: reader
rules:
  - { id: reader-all, allow: [crm/*] }
---
`;

function built(documents: string): BuiltParts {
  const source = parseDocuments([{ path: 'p.yaml', text: WORLD + documents }]);
  const parts = source.ok ? buildParts(source.value) : source;
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  return parts.value;
}

function refusal(documents: string): readonly Problem[] {
  const source = parseDocuments([{ path: 'p.yaml', text: WORLD + documents }]);
  const parts = source.ok ? buildParts(source.value) : source;
  return parts.ok ? [] : parts.error.filter(({ severity }) => severity === undefined);
}

const across = (agents: string, rule: string): string => `kind: Policy\nagents: ${agents}\nrules:\n  - { id: x, ${rule} }\n`;
const expecting = (cases: string): string => `---\nkind: Test\n${cases}`;

describe('a policy across agents', () => {
  test('denies each agent the tools of each that it is about', () => {
    const { policy } = built(
      across('"*"', 'deny: [{ class: pii }, { class: money }], for: { roles: [guest] }') +
        expecting(`agent: triage
given: { roles: [guest] }
cases:
  - { call: crm/get, args: { id: a }, expect: no_matching_policy }
  - { call: pay/refund, args: { order: a, amount: 1 }, expect: no_matching_policy }
  - { call: crm/find, args: { text: a }, expect: allow }
`) +
        expecting(`agent: reader
given: { roles: [guest] }
cases: [{ call: crm/get, args: { id: a }, expect: no_matching_policy }]
`) +
        expecting('agent: reader\ncases: [{ call: crm/get, args: { id: a }, expect: allow }]\n'),
    );
    const report = runTests(policy);
    expect(report.problems.map(formatProblem)).toEqual([]);
    expect(report.passed).toBe(5);
    expect(formatExplanation(report.outcomes[0]?.explanation ?? never())).toMatch(
      /^deny crm\/get: no_matching_policy, by x \(p\.yaml:\d+\)/,
    );
  });

  test('of a list leaves the other agents alone', () => {
    const { policy } = built(
      across('[triage]', 'require: [{ effect: read }], scopes: [look]') +
        expecting('agent: triage\ncases: [{ call: crm/get, args: { id: a }, expect: insufficient_scope }]\n') +
        expecting('agent: reader\ncases: [{ call: crm/get, args: { id: a }, expect: allow }]\n'),
    );
    expect(runTests(policy)).toMatchObject({ passed: 2, failed: 0 });
  });

  test('may be about what no agent has yet: it is there for what will come', () => {
    const { policy, warnings } = built(
      across('"*"', 'deny: [{ class: weapons }, { server: later }, later/fire, later/load*]') +
        expecting('agent: reader\ncases: [{ call: crm/get, args: { id: a }, expect: allow }]\n'),
    );
    expect(runTests(policy)).toMatchObject({ failed: 0 });
    expect(warnings.map(({ message }) => message).filter((message) => message.endsWith('here'))).toEqual([
      'no tool server `later` here',
      'no tool `later/fire` here',
      'no tool server `later` here',
    ]);
  });

  test('is read back from parts as it was written, and a decider that does not know of it is told', () => {
    const one = built(across('[triage, reader]', 'deny: [crm/get], when: args.id == "secret"'));
    expect(one.features).toContain('policy.agents');
    expect(new TextDecoder().decode(one.parts.policy)).toContain('{"agents":["reader","triage"],"deny":["crm/get"],"id":"x"');
    expect(readParts(one.parts)).toMatchObject({
      ok: true,
      value: { rules: expect.arrayContaining([expect.objectContaining({ id: 'x' })]) },
    });
    expect(built(across('"*"', 'deny: [{ class: pii }], for: { roles: [x] }')).parts.policy).not.toEqual(one.parts.policy);
  });

  test('reserves for each agent by itself, and a rule of its that counts steps counts them for each', () => {
    const { policy } = built(
      across('"*"', 'require: [{ effect: read }], sequence: { consecutive: 1 }') +
        expecting(`agent: reader
steps:
  - { call: crm/get, args: { id: a }, expect: allow }
  - { call: crm/find, args: { text: a }, expect: call_limit_exceeded }
`),
    );
    expect(runTests(policy)).toMatchObject({ passed: 2, failed: 0 });
  });

  test.each([
    ['an allow rule', across('"*"', 'allow: [crm/get]'), 'a policy across agents cannot allow'],
    ['an allow rule for a list', across('[triage]', 'allow: [crm/get]'), 'a policy across agents cannot allow'],
    ['no agent', across('[]', 'deny: [crm/get]'), '`agents` must not be empty'],
    ['one agent twice', across('[triage, triage]', 'deny: [crm/get]'), '`triage` stands in `agents` twice'],
    ['the star in a list', across('["*"]', 'deny: [crm/get]'), '`*` is not a name: 1 to 63 of a-z, 0-9 and -, starting with a letter'],
    [
      'both fields',
      'kind: Policy\nagent: triage\nagents: "*"\nrules: [{ id: x, deny: [crm/get] }]\n',
      'a Policy has either `agent` or `agents`',
    ],
    ['neither field', 'kind: Policy\nrules: [{ id: x, deny: [crm/get] }]\n', 'a Policy has either `agent` or `agents`'],
    [
      'a condition that one agent’s tool cannot answer',
      across('"*"', 'deny: ["crm/*"], when: args.id == "a"'),
      'for `crm/find`: not every tool of this rule has `args.id`',
    ],
    ['a precondition that is nowhere', across('"*"', 'require: [{ class: pii }], after: [crm/gone]'), 'no tool `crm/gone`'],
  ])('with %s is refused', (_, documents, message) => {
    expect(refusal(documents).map((problem) => problem.message)).toContainEqual(expect.stringContaining(message));
  });

  test('hides nothing from the check that an agent’s own rule can still match', () => {
    expect(refusal(across('"*"', 'deny: [{ server: crm }]')).map(({ message }) => message)).toContain(
      'rule `x` denies all these tools to everyone, so this rule can never match',
    );
  });
});

function never(): never {
  throw new Error('no explanation');
}
