import type { Agent, AgentName, PinnedJwk } from '@sallyport/model';
import { formatProblem } from '@sallyport/model';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { EXAMPLE } from '../editor/example.ts';
import { runTests } from '../suites/run-tests.ts';
import { judgeDelegated } from './delegations.ts';
import type { DelegatedCall } from './delegations.ts';

/** The partner's domain, with the CA of the example. */
const PARTNER = EXAMPLE.slice(EXAMPLE.indexOf('kind: TrustDomain')).split('---\n')[0] ?? '';

const TO_BILLING = 'delegation: { depth: 2, to: [{ server: billing }] }';

function documents(
  delegation: string,
  { server = 'agent: { url: "https://b.example:8443", name: billing-agent }', rule = '' } = {},
): string {
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [billing, crm]
${delegation}
sessions: { roots: [operator, schedule, event] }
---
kind: ToolServer
name: crm
http: { url: "http://127.0.0.1" }
network: loopback
---
kind: Tool
name: crm/read
effect: read
route: { method: GET, path: "/records" }
---
kind: ToolServer
name: billing
${server}
network: private
---
kind: Tool
name: billing/ask
effect: side_effect
route: { method: POST, path: /invoke }
arguments: { properties: { question: { type: string } } }
---
${PARTNER}---
kind: Policy
agent: desk
rules:
  - { id: ask, allow: [billing/ask], delegation: { depth: 8 } }
  - { id: read, allow: [crm/read]${rule} }
`;
}

function problemsOf(text: string, severity: 'error' | 'warning' = 'error'): readonly string[] {
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  const all = parsed.ok ? parsed.value.warnings : parsed.error;
  return all.filter((one) => (one.severity === 'warning') === (severity === 'warning')).map(formatProblem);
}

/** What a call comes to; built and read back, as a sidecar would. */
function codeOf(text: string, given: string, call = 'billing/ask'): string | undefined {
  const parsed = parseDocuments([
    { path: 'p.yaml', text: `${text}---\nkind: Test\ngiven: ${given}\ncases: [{ call: ${call}, expect: allow }]\n` },
  ]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  expect(readParts(built.value.parts).ok).toBe(true);
  return runTests(built.value.policy).outcomes[0]?.seen;
}

it('the guide’s documents build, and their tests pass', () => {
  const guide = readFileSync(new URL('../../../../docs/guides/agents-that-call-agents.md', import.meta.url), 'utf8');
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(guide) ?? [];
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  expect(runTests(built.value.policy).outcomes.map(({ passed }) => passed)).toEqual([true, true, true]);
});

describe('handing on', () => {
  const two = '{ chain: [{ agent: a, first_party: true }, { agent: c, first_party: true }] }';
  it.each([
    ['with a relation', TO_BILLING, '{}', 'allow'],
    ['without one, although a rule allows the call', '', '{}', 'delegation_not_allowed'],
    ['with a relation that only takes', 'delegation: { from: [{ agents: [a] }] }', '{}', 'delegation_not_allowed'],
    ['as the last hop that may be', TO_BILLING, '{ chain: [{ agent: a, first_party: true }] }', 'allow'],
    ['as one hop too many', TO_BILLING, two, 'delegation_not_allowed'],
    [
      'back to an agent that stands in the chain',
      TO_BILLING,
      '{ chain: [{ agent: billing-agent, first_party: true }] }',
      'delegation_not_allowed',
    ],
    [
      'to ours, where a stranger of that name stands in the chain',
      TO_BILLING,
      '{ chain: [{ agent: partner.example/billing-agent, first_party: false }] }',
      'allow',
    ],
  ])('%s', (_, delegation, given, code) => {
    expect(codeOf(documents(delegation), given)).toBe(code);
  });

  it.each([
    ['delegation: { roots: [system] }', 'schedule', 'allow'],
    ['delegation: { roots: [system] }', 'event', 'allow'],
    ['delegation: { roots: [system] }', 'operator', 'delegation_not_allowed'],
    ['delegation: { roots: [schedule] }', 'system', 'delegation_not_allowed'],
  ])('with %s and a session of %s: %s', (demand, root, code) => {
    expect(codeOf(documents(TO_BILLING, { rule: `, ${demand}` }), `{ session: { root: ${root} } }`, 'crm/read')).toBe(code);
  });

  it('a session that another agent handed on may have begun with what this agent opens none by', () => {
    const takes = 'delegation: { depth: 1, from: [{ agents: [front], roots: [external] }] }';
    const rule = ', delegation: { depth: 1, roots: [external] }';
    expect(problemsOf(documents(takes, { rule }))).toEqual([]);
    expect(problemsOf(documents(TO_BILLING, { rule })).join()).toContain('so the rule can never match');
  });
});

describe('a builder refuses', () => {
  it.each([
    ['a relation to what is no agent', 'delegation: { to: [{ server: crm }] }', '`crm` is no agent'],
    ['a relation to what nobody declares', 'delegation: { to: [{ server: nowhere }] }', 'no tool server `nowhere`'],
    [
      'two to one agent',
      'delegation: { to: [{ server: billing }, { server: billing, scopes: [a] }] }',
      'there are two relations to `billing`',
    ],
    ['an empty delegation', 'delegation: { depth: 1 }', 'neither `to` nor `from`'],
    ['more hops than a head holds', 'delegation: { depth: 9, to: [{ server: billing }] }', '`depth`'],
    ['authority that expands', 'delegation: { to: [{ server: billing, authority: expanded }] }', '`expanded` is not an authority'],
    ['a scope that names everything', 'delegation: { to: [{ server: billing, scopes: ["*"] }] }', 'names everything'],
    [
      'an agent of a domain that nobody pinned',
      'delegation: { from: [{ agents: [evil.example/x], third_party: true, tenant: t }] }',
      'no trust domain `evil.example`',
    ],
    ['a stranger without saying so', 'delegation: { from: [{ agents: [partner.example/x], tenant: t }] }', 'is third-party'],
    ['a stranger without a tenant', 'delegation: { from: [{ agents: [partner.example/x], third_party: true }] }', 'of no tenant here'],
  ])('%s', (_, delegation, says) => {
    expect(problemsOf(documents(delegation)).join('\n')).toContain(says);
  });

  it('a server that is this very agent, one of an unknown domain, and what is no CA', () => {
    const self = 'agent: { url: "https://b.example", name: desk }';
    const lost = 'agent: { url: "https://b.example", name: x, trust_domain: evil.example }';
    expect(problemsOf(documents(TO_BILLING, { server: self })).join()).toContain('this very agent');
    expect(problemsOf(documents(TO_BILLING, { server: lost })).join()).toContain('no trust domain `evil.example`');
    expect(problemsOf(documents(TO_BILLING).replace(/ {4}MII\S+/, '    AAAA')).join()).toContain('not one CA certificate');
    const unsure = 'agent: { url: "https://b.example", name: x, authorities: [AAAA] }';
    expect(problemsOf(documents(TO_BILLING, { server: unsure })).join()).toContain('not one CA certificate');
  });

  it('and points out what is allowed and never handed on', () => {
    expect(problemsOf(documents(''), 'warning').join('\n')).toContain('agent `desk` does not hand on to `billing`');
    expect(problemsOf(documents(TO_BILLING), 'warning').join('\n')).not.toContain('does not hand on');
    const rule = ', delegation: { first_party: true }';
    expect(problemsOf(documents(TO_BILLING, { rule }), 'warning').join('\n')).toContain('`first_party` without `depth`');
  });
});

describe('taking', () => {
  const from = { agents: ['front'], roots: ['human'], isThirdPartyToo: false, roles: ['rep'], scopes: ['a'] } as const;
  const agent = (more: object = {}, depthMax = 2): Agent => ({
    name: 'desk' as AgentName,
    owner: 'team',
    uses: [],
    sessions: { roots: ['operator'], idleMs: 1, maxMs: 1 },
    delegation: { depthMax, to: [], from: [{ ...from, ...more }] },
  });
  const front = { agent: 'front', first_party: true };
  const stranger = { agent: 'partner.example/x', first_party: false };
  const call = (more: Partial<DelegatedCall['root']> = {}, chain: DelegatedCall['chain'] = [front]): DelegatedCall => ({
    chain,
    root: { kind: 'human', id: 'alice', tenant: 'acme', ...more },
  });
  const { tenant: _, ...untold } = call().root;
  const ofStranger = (chain: DelegatedCall['chain']): DelegatedCall => ({
    chain,
    root: { ...untold, kind: 'external', id: 'partner.example/bob' },
  });
  const strangers = { agents: ['partner.example/x'], roots: ['external'], isThirdPartyToo: true };

  it.each<[string, Agent, DelegatedCall, string]>([
    ['what its relation names', agent(), call(), 'delegation:1'],
    ['nothing without a relation', { ...agent(), delegation: { depthMax: 2, to: [], from: [] } }, call(), 'refused'],
    ['nothing where it has no delegation at all', { ...agent(), delegation: undefined } as unknown as Agent, call(), 'refused'],
    ['nothing from another agent', agent(), call({}, [{ agent: 'other', first_party: true }]), 'refused'],
    ['nothing from an agent that only stood in between', agent(), call({}, [front, { agent: 'other', first_party: true }]), 'refused'],
    ['two hops', agent(), call({}, [{ agent: 'other', first_party: true }, front]), 'delegation:1'],
    ['no third hop', agent(), call({}, [front, front, front]), 'refused'],
    ['no hop where the bound is no number', agent({}, Number.NaN), call(), 'refused'],
    ['no other kind of root', agent(), call({ kind: 'system' }), 'refused'],
    ['no outsider as a person', agent(), call({ kind: 'external' }), 'refused'],
    ['one of its tenants', agent({ tenants: ['acme'] }), call(), 'delegation:1'],
    ['none of another tenant', agent({ tenants: ['bank'] }), call(), 'refused'],
    ['one of its principals', agent({ principals: ['alice'] }), call(), 'delegation:1'],
    ['no other principal', agent({ principals: ['bob'] }), call(), 'refused'],
    ['nothing that went through a stranger', agent(), call({}, [stranger, front]), 'refused'],
    ['it where strangers may stand in between', agent({ isThirdPartyToo: true }), call({}, [stranger, front]), 'delegation:1'],
    ['a stranger’s call as of its tenant', agent({ ...strangers, tenant: 'partners' }), ofStranger([stranger]), 'delegation:1'],
    ['no stranger’s call that is of no tenant', agent(strangers), ofStranger([stranger]), 'refused'],
    ['no stranger as ours, though it has the name', agent({ agents: ['x'], isThirdPartyToo: true }), call({}, [stranger]), 'refused'],
  ])('%s', (_name, to, asked, expected) => {
    const judged = judgeDelegated(to, asked);
    expect(judged.verdict === 'taken' ? judged.ruleId : judged.verdict).toBe(expected);
  });

  it('more of whom somebody whose word counts says enough, and only by a key of that very relation', () => {
    const key = (x: string): PinnedJwk => ({ kid: 'k', kty: 'EC', crv: 'P-256', x, y: 'y' });
    const demanding = agent({ trust: { min: 2, keys: [key('a')] } });
    const of = (tier: number, x = 'a'): string => judgeDelegated(demanding, { ...call(), trust: { tier, key: key(x) } }).verdict;
    expect([of(1), of(2), of(3), of(Number.NaN), of(3, 'b')]).toEqual(['refused', 'taken', 'taken', 'refused', 'refused']);
    expect(judgeDelegated(demanding, call()).verdict).toBe('refused');
  });

  it('the tenant of ours is what our own sidecar said, whatever a relation says of strangers', () => {
    expect(judgeDelegated(agent({ tenant: 'partners' }), call())).toMatchObject({ verdict: 'taken', tenant: 'acme' });
  });
});
