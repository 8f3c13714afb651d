import { judge } from '@sallyport/strict';
import { buildParts, parseDocuments, type CompiledPolicy } from '@sallyport/policy';
import { deny, formatProblem, type AgentName, type RuleId, type ToolName } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { CallFacts } from './facts.ts';
import type { Ports, Why } from './ports.ts';
import { whyAllowed, whyRefused } from './why.ts';

const SECRET = 'hunter2';
const POLICY = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [pay]
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: pay/refund
effect: write
arguments: { required: [order, amount], properties: { order: { type: string }, amount: { type: number, format: decimal } } }
---
kind: Policy
agent: triage
rules:
  - { id: refund, allow: [pay/refund], bind: [args.order == session.case], arguments: { amount: { maximum: 500 } } }
`;

function compiled(): CompiledPolicy {
  const source = parseDocuments([{ path: 'money/rules.yaml', text: POLICY }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value.policy;
}
const policy = compiled();
const ports = { clock: { wall: () => 0 } } as unknown as Ports;

/** A call for 900 of an order whose number nobody may see, in a session about another one. */
function call(facts: Record<string, unknown> = {}): Partial<CallFacts> {
  const name = 'pay/refund' as ToolName;
  const judged = judge(new TextEncoder().encode(`{"order":"${SECRET}","amount":900}`));
  const args = judged.ok ? policy.argumentSchema(name)?.validate(judged.value) : undefined;
  return {
    held: { snapshot: { policy } },
    session: {
      agent: 'triage' as AgentName,
      principal: { id: 'alice', kind: 'person', tenant: 't', issuer: 'i', roles: [], scopes: [], attributes: { pin: SECRET } },
      facts: () => ({ id: 's', case: `${SECRET}-case`, attempted: [], completed: [], failed: [], denied: [], hasCompleted: () => false }),
    },
    tool: { tool: policy.tool(name) },
    args: args?.ok === true ? args.value : undefined,
    ...facts,
  } as unknown as Partial<CallFacts>;
}

const refusedBy = (ruleId: string): Parameters<typeof whyRefused>[1] => ({
  gate: 'authorization',
  denial: deny('resource_binding_mismatch', 'in the record', { ruleId: ruleId as RuleId, fields: ['order'] }),
});

describe('why', () => {
  it('says of a refusal by policy where the rule stands, what is unmet and what would meet it, and no value of the call', () => {
    const why = whyRefused(call(), refusedBy('refund'), ports);
    const source = { file: 'money/rules.yaml', line: 20 };
    expect(why).toEqual({
      source,
      fields: ['order'],
      unmet: [
        {
          requirement: 'bind',
          code: 'resource_binding_mismatch',
          rule_id: 'refund',
          source,
          says: '`args.order == session.case` is false',
        },
        { requirement: 'arguments', code: 'parameter_not_allowed', rule_id: 'refund', source, says: 'amount: must be at most 500' },
      ],
      change: ['let args.order be `session.case`', 'change amount: must be at most 500'],
    } satisfies Why);
    expect(JSON.stringify(why)).not.toContain(SECRET);
  });

  it('gives the place alone where the session has changed meanwhile, and another reason would be the answer now', () => {
    const why = whyRefused(call({ args: { order: `${SECRET}-case`, amount: 1n } }), refusedBy('refund'), ports);
    expect(why).toMatchObject({ source: { line: 20 }, unmet: [], change: [] });
  });

  it.each([
    ['before anything was proven', {}, null],
    ['by another gate, for a rule', call(), { file: 'money/rules.yaml', line: 20 }],
  ] as const)('of a refusal %s asks no policy', (_, facts, source) => {
    const why = whyRefused(facts, { ...refusedBy('refund'), gate: 'reservation' }, ports);
    expect(why).toEqual({ source, fields: ['order'], unmet: [], change: [] });
  });

  it('finds no place for a rule that is not there, whatever it is called', () => {
    for (const name of ['gone', 'constructor', '__proto__'])
      expect(whyRefused(call(), { ...refusedBy(name), gate: 'tool' }, ports).source).toBeNull();
  });

  it('holds no more than so much of what a caller sent', () => {
    const fields = Array.from({ length: 1_000 }, (_, i) => `${'x'.repeat(5_000)}${i}`);
    const why = whyRefused({}, { gate: 'validation', denial: deny('field_not_allowed', '', { fields }) }, ports);
    expect(JSON.stringify(why).length).toBeLessThan(10_000);
  });

  it('says of an allow where the rule stands', () => {
    const source = { file: 'a.yaml', line: 3 };
    expect(
      whyAllowed({
        decision: { decision: 'allow', ruleId: 'a' as RuleId, reservations: [], isStep: false, comparedArguments: [], source },
      }),
    ).toEqual({
      source,
      fields: [],
      unmet: [],
      change: [],
    });
  });
});
