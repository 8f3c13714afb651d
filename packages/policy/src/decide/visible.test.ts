import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { AgentName, Instant, Principal, PrincipalId, TenantId, ToolName } from '@sallyport/model';
import { buildParts } from '../compile/build.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { parseDocuments } from '../compile/documents.ts';
import { visible, visibleTools } from './visible.ts';

const CATALOG = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [crm]
---
kind: Agent
name: payer
owner: team
uses: [pay]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
---
kind: Tool
name: crm/get
effect: read
arguments: { required: [id], properties: { id: { type: string } } }
---
kind: Tool
name: crm/list
effect: read
---
kind: Tool
name: pay/refund
effect: write
---
`;

function policyOf(rules: string): CompiledPolicy {
  const source = parseDocuments([{ path: 'p.yaml', text: `${CATALOG}kind: Policy\nagent: triage\nrules:\n${rules}` }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value.policy;
}

const PRINCIPAL: Principal = {
  id: 'alice' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: 'i',
  roles: ['clerk'],
  scopes: [],
  attributes: {},
  authenticatedAt: 0 as Instant,
};

const names = (policy: CompiledPolicy, agent = 'triage', principal = PRINCIPAL): readonly string[] =>
  visibleTools(policy, { agent: agent as AgentName, principal }).map(({ name }) => name);

describe('visible', () => {
  test.each([
    ['a tool that a rule allows', '  - { id: a, allow: [crm/get] }\n', ['crm/get']],
    ['all tools of a prefix, by name', '  - { id: a, allow: ["crm/*"] }\n', ['crm/get', 'crm/list']],
    ['a tool for the principal’s role', '  - { id: a, allow: [crm/get], for: { roles: [clerk] } }\n', ['crm/get']],
    ['no tool for another role', '  - { id: a, allow: [crm/get], for: { roles: [lead] } }\n', []],
    ['no tool that is merely required or denied', '  - { id: a, require: [crm/get], scopes: [x] }\n  - { id: b, deny: [crm/list] }\n', []],
    ['a tool whose scopes are lacking', '  - { id: a, allow: [crm/get], scopes: [x] }\n', ['crm/get']],
    [
      'a tool whose conditions do not hold now',
      '  - { id: a, allow: [crm/get], bind: [args.id == session.case], when: args.id == "x" }\n',
      ['crm/get'],
    ],
    [
      'a tool that must come later',
      '  - { id: a, allow: [crm/get], after: [crm/list] }\n  - { id: b, allow: [crm/list] }\n',
      ['crm/get', 'crm/list'],
    ],
    [
      'a tool that a deny rule may refuse',
      '  - { id: a, allow: [crm/get] }\n  - { id: b, deny: [crm/get], for: { roles: [clerk] } }\n',
      ['crm/get'],
    ],
  ])('%s', (_, rules, seen) => {
    const policy = policyOf(rules);
    expect(names(policy)).toEqual(seen);
    const all = ['crm/get', 'crm/list', 'pay/refund', 'crm/none'];
    expect(all.filter((tool) => visible(policy, { agent: 'triage' as AgentName, principal: PRINCIPAL }, tool as ToolName))).toEqual(seen);
  });

  test('another agent, an unknown agent and anonymous callers see nothing of it', () => {
    const policy = policyOf('  - { id: a, allow: ["crm/*"] }\n');
    expect(names(policy, 'payer')).toEqual([]);
    expect(names(policy, 'nobody')).toEqual([]);
    expect(names(policy, 'triage', { ...PRINCIPAL, kind: 'anonymous' })).toEqual([]);
  });
});
