import { describe, expect, test } from 'vitest';
import { formatProblem, parseInstant } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { runTests } from '../suites/run-tests.ts';
import { inputOf } from '../testing/calls.ts';
import type { GivenCall } from '../testing/calls.ts';
import { decide } from './decide.ts';
import type { PolicyDecision } from './decide.ts';
import { observe } from './observe.ts';

const WORLD = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [crm]
---
kind: Agent
name: other
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
network: private
---
kind: Issuer
issuer: https://idp.org
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
claims: { attributes: { level: { claim: level, type: integer } } }
---
kind: Tool
name: crm/note
effect: write
classes: [internal]
arguments: { required: [text], properties: { text: { type: string }, amount: { type: integer } } }
---
kind: Tool
name: crm/drop
effect: destructive
---
kind: Tool
name: crm/pay
effect: write
classes: [money]
---
kind: Tool
name: crm/read
effect: read
classes: [pii]
---
kind: Tool
name: crm/dump
effect: read
classes: [export]
---
`;

const RULES = `kind: Policy
agent: triage
rules:
  - { id: note, allow: [crm/note], scopes: [write], when: args.text == "fine", max: { count: 2, per: args.text } }
  - { id: rest, allow: [crm/drop, crm/pay, crm/read, crm/dump], scopes: [write] }
  - { id: other-role, allow: [crm/note], for: { roles: [lead] } }
---
kind: Policy
agent: other
rules:
  - { id: other-note, allow: [crm/note], scopes: [write] }
---
`;

const UNTIL = '2026-06-30T00:00:00Z';
const OBSERVE = `kind: Observe\nagents: [triage]\nuntil: ${UNTIL}\n`;
const at = (text: string): number => parseInstant(text.replace('Z', '.000Z')) ?? Number.NaN;
const INSIDE = at('2026-06-15T00:00:00Z');
const NOTE = { tool: 'crm/note', args: '{"text":"wild"}', now: INSIDE } as const;

const parsed = (documents: string): ReturnType<typeof parseDocuments> => parseDocuments([{ path: 'p.yaml', text: WORLD + documents }]);

function built(documents: string): BuiltParts {
  const source = parsed(documents);
  const parts = source.ok ? buildParts(source.value) : source;
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  return parts.value;
}

/** What observing makes of a call that is refused; throws where it is not. */
function observed(documents: string, call: GivenCall = NOTE): PolicyDecision | undefined {
  const { policy } = built(documents);
  const input = inputOf(policy, call);
  const refusal = decide(policy, input);
  if (refusal.decision !== 'deny') throw new Error('nothing was refused');
  return observe(policy, input, refusal);
}

function messages(documents: string): readonly string[] {
  const source = parsed(RULES + documents);
  return source.ok ? [] : source.error.filter(({ severity }: Problem) => severity === undefined).map(({ message }) => message);
}

describe('an agent that is observed', () => {
  test('passes a call that only its rules refuse, and it is known what it would have met', () => {
    const passed = observed(RULES + OBSERVE);
    expect(passed).toMatchObject({
      decision: 'allow',
      ruleId: 'observe',
      observed: { code: 'insufficient_scope', ruleId: 'note', until: at(UNTIL) },
      source: { file: 'p.yaml' },
    });
  });

  test('passes what a deny rule of its own layer refuses', () => {
    const deny = RULES.replace(
      '  - { id: other-role',
      '  - { id: stop, deny: [crm/note] , for: { roles: [clerk] } }\n  - { id: other-role',
    );
    expect(observed(deny + OBSERVE)).toMatchObject({ observed: { code: 'no_matching_policy', ruleId: 'stop' } });
  });

  test('changes nothing in what rules decide: tests and explanations go by those', () => {
    const { policy, warnings } = built(
      `${RULES + OBSERVE}---\nkind: Test\nagent: triage\ngiven: { at: 2026-06-15T00:00:00Z }\ncases: [{ call: crm/note, args: { text: wild }, expect: insufficient_scope }]\n`,
    );
    expect(runTests(policy)).toMatchObject({ passed: 1, failed: 0 });
    expect(warnings.map(({ message }) => message)).toContain('until 2026-06-30T00:00:00.000Z calls pass that rules refuse');
  });

  test('goes on being counted: a limit refuses, and what cannot be counted does not pass', () => {
    expect(observed(RULES + OBSERVE)).toMatchObject({
      reservations: [{ ruleId: 'note', key: 'max:note:"wild"', max: 2, code: 'call_limit_exceeded' }],
    });
    const uncountable = RULES.replace('per: args.text', 'per: args.amount');
    expect(observed(uncountable + OBSERVE)).toBeUndefined();
    const budget = RULES.replace('max: { count: 2, per: args.text }', 'budget: { sum: args.amount, max: "5" }');
    expect(observed(budget + OBSERVE)).toBeUndefined();
    expect(observed(budget + OBSERVE, { ...NOTE, args: '{"text":"a","amount":-1}' })).toBeUndefined();
    expect(observed(budget + OBSERVE, { ...NOTE, args: '{"text":"a","amount":4}' })).toMatchObject({ reservations: [{ kind: 'sum' }] });
  });
});

describe('observing refuses still', () => {
  const denied: readonly (readonly [string, string, GivenCall])[] = [
    ['before it begins', OBSERVE, { ...NOTE, now: at('2026-05-31T00:00:00Z') - 1 }],
    ['at its end, and not a moment later', OBSERVE, { ...NOTE, now: at(UNTIL) }],
    ['long past its end', OBSERVE, { ...NOTE, now: at('2027-06-15T00:00:00Z') }],
    ['at no moment at all', OBSERVE, { ...NOTE, now: Number.NaN }],
    ['before `from`, where that is given', `${OBSERVE}from: 2026-06-20T00:00:00Z\n`, NOTE],
    ['another agent', OBSERVE, { ...NOTE, agent: 'other' }],
    ['a tool whose effect is destructive', OBSERVE, { tool: 'crm/drop', args: '{}', now: INSIDE }],
    ['a tool of class money', OBSERVE, { tool: 'crm/pay', args: '{}', now: INSIDE }],
    ['a tool of class pii', OBSERVE, { tool: 'crm/read', args: '{}', now: INSIDE }],
    ['a tool of class export', OBSERVE, { tool: 'crm/dump', args: '{}', now: INSIDE }],
    ['a tool of a class that it excludes itself', `${OBSERVE}classes_excluded: [internal]\n`, NOTE],
    ['a credential that was issued for another step', OBSERVE, { ...NOTE, step: 'crm/read' }],
    ['a session that is older than the declaration of an attribute', OBSERVE, { ...NOTE, principal: { attributes: { level: 'high' } } }],
    ['nobody that signed in', OBSERVE, { ...NOTE, principal: { kind: 'anonymous' } }],
  ];
  test.each(denied)('%s', (_, documents, call) => {
    expect(observed(RULES + documents, call)).toBeUndefined();
  });

  test('a tool that no rule could allow this principal: for it the tool does not exist', () => {
    const forOthers = RULES.replace('allow: [crm/note], scopes: [write]', 'allow: [crm/note], for: { roles: [lead] }, scopes: [write]');
    expect(observed(forOthers + OBSERVE)).toBeUndefined();
  });

  test('a tool without a rule', () => {
    const none = RULES.replaceAll(/ {2}- \{ id: (note|other-role).*\n/g, '');
    expect(observed(none + OBSERVE)).toBeUndefined();
  });
});

describe('an Observe', () => {
  test('of all agents is of each', () => {
    expect(observed(RULES + OBSERVE.replace('[triage]', '"*"'), { ...NOTE, agent: 'other' })).toMatchObject({
      observed: { ruleId: 'other-note' },
    });
  });

  test('is written with both its ends, read back, and a decider that does not know of it is told', () => {
    const one = built(`${RULES + OBSERVE}classes_excluded: [z, a]\n`);
    expect(one.features).toContain('policy.observe');
    expect(new TextDecoder().decode(one.parts.policy)).toContain(
      '"observe":[{"agents":["triage"],"classes_excluded":["a","z"],"from":"2026-05-31T00:00:00.000Z","until":"2026-06-30T00:00:00.000Z"}]',
    );
    expect(readParts(one.parts)).toMatchObject({ ok: true, value: { observes: [{ until: at(UNTIL) }] } });
    expect(new TextDecoder().decode(built(RULES).parts.policy)).not.toContain('observe');
  });

  test('that is longer than 30 days is refused in a part too, whoever built it', () => {
    const { parts } = built(RULES + OBSERVE);
    const longer = new TextDecoder().decode(parts.policy).replace('"from":"2026-05-31', '"from":"2026-05-30');
    const read = readParts({ ...parts, policy: new TextEncoder().encode(longer) });
    expect(read.ok ? [] : read.error.map(({ message }) => message)).toContain('an Observe longer than 30d');
  });

  test.each([
    ['longer than 30 days', `${OBSERVE}from: 2026-05-30T23:59:59Z\n`, 'an Observe longer than 30d'],
    ['that ends before it begins', `${OBSERVE}from: 2026-07-01T00:00:00Z\n`, '`from` is not before `until`'],
    ['without an end', 'kind: Observe\nagents: "*"\n', 'an Observe lacks `until`'],
    ['with an end that is no instant', 'kind: Observe\nagents: "*"\nuntil: never\n', 'must be an instant in UTC'],
    ['of nobody', `kind: Observe\nagents: []\nuntil: ${UNTIL}\n`, '`agents` must not be empty'],
    ['after another of the same agent', `${OBSERVE}---\n${OBSERVE.replace('06-30', '07-30')}`, 'agent `triage` is observed twice'],
    ['beside one of all agents', `${OBSERVE}---\n${OBSERVE.replace('[triage]', '"*"')}`, 'agent `triage` is observed twice'],
    ['that would include a class', `${OBSERVE}classes_included: [money]\n`, '`classes_included` is not a field of an Observe'],
    ['with a tool', `${OBSERVE}tools: [crm/drop]\n`, '`tools` is not a field of an Observe'],
  ])('%s is refused', (_, documents, message) => {
    expect(messages(documents)).toContain(message);
  });

  test('lends its word to no rule: what the record says is not for an author to say', () => {
    expect(messages('kind: Policy\nagent: triage\nrules: [{ id: observe, allow: [crm/note] }]\n')).toContain(
      '`observe` is what records say when an Observe let a call pass',
    );
  });
});
