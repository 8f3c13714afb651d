import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AgentName, Instant, Principal, PrincipalId, RuleId, ServerName, SessionId, TenantId, Tool, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { compile } from '../compile/compile.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { PolicySource } from '../compile/documents.ts';
import { readParts, writeParts } from '../compile/parts.ts';
import { explain } from '../explain/explain.ts';
import type { Rule, RuleBody, Selector, Verb } from '../rule.ts';
import type { SessionFacts } from '../session.ts';
import { decide } from './decide.ts';
import type { PolicyDecision } from './decide.ts';
import { visible } from './visible.ts';

const AGENT = 'triage' as AgentName;
const NAMES = ['crm/get', 'crm/list', 'pay/refund'] as ToolName[];

const TOOLS: readonly Tool[] = NAMES.map((name) => ({
  name,
  effect: name === 'pay/refund' ? 'write' : 'read',
  classes: name === 'pay/refund' ? ['money'] : [],
  description: '',
  arguments: {
    type: 'object',
    required: ['id', 'amount'],
    properties: {
      id: { type: 'string' },
      amount: { type: 'number', format: 'decimal' },
      count: { type: 'integer' },
      tags: { type: 'array', maxItems: 5, items: { type: 'string' } },
    },
  },
  denyAs: 'tool_result',
}));

/** Some hold, some do not, some cannot be evaluated for some calls; all are sound for every tool. */
const CONDITIONS = [
  'args.amount <= 500',
  'args.amount > 500',
  'args.id == "a"',
  'has(args.count) && args.count > 3',
  '!has(args.tags) || args.tags.all(tag, tag != "x")',
  'has(session.case) && args.id == session.case',
  'size(args.id) / size(args.id) == 1',
  '1 / (size(args.id) - 1) == 1',
  'principal.tenant == "acme" || args.id == principal.id',
] as const;

const some = <T>(values: readonly T[]): fc.Arbitrary<readonly T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });

const selector: fc.Arbitrary<Selector> = fc.constantFrom<Selector>(
  ...NAMES.map((tool) => ({ tool })),
  { tool: 'crm/*' },
  { effect: 'read' },
  { class: 'money' },
  { server: 'pay' as ServerName },
);

const whom = fc.option(
  fc
    .record({ roles: some(['clerk', 'lead']), tenants: some(['acme', 'other']) }, { requiredKeys: [] })
    .filter((value) => Object.keys(value).length > 0),
  { nil: undefined },
);

function ruleArbitrary(verb: fc.Arbitrary<Verb>): fc.Arbitrary<Rule> {
  return fc
    .record({
      verb,
      tools: fc.uniqueArray(selector, { minLength: 1, maxLength: 2, selector: (one) => JSON.stringify(one) }),
      for: whom,
      scopes: fc.option(some(['s1', 's2']), { nil: undefined }),
      bind: fc.option(
        fc.constantFrom(...CONDITIONS).map((text) => [text]),
        { nil: undefined, freq: 1 },
      ),
      after: fc.option(some(NAMES), { nil: undefined, freq: 1 }),
      when: fc.option(fc.constantFrom(...CONDITIONS), { nil: undefined }),
      once: fc.option(fc.constantFrom({}, { per: 'args.id' }, { per: 'args.amount', withinMs: 60_000 }), { nil: undefined, freq: 1 }),
    })
    .map((parts) => {
      const { scopes, bind, after, once, ...rest } = parts;
      const demands = parts.verb === 'deny' ? {} : { scopes, bind, after, once };
      const present = Object.fromEntries(Object.entries({ ...rest, ...demands }).filter(([, value]) => value !== undefined));
      return { id: 'unnamed' as RuleId, agent: AGENT, ...present } as Rule;
    });
}

const anyRule = ruleArbitrary(fc.constantFrom<Verb>('allow', 'allow', 'deny', 'require'));
/** Ids are three digits, spelled so that none looks like another. */
const named = (rules: readonly Rule[], from = 0): readonly Rule[] =>
  rules.map((rule, index) => ({ ...rule, id: `r${String.fromCodePoint(97 + ((from + index) % 8))}${from + index}x` as RuleId }));

function sourceOf(rules: readonly Rule[]): PolicySource {
  return {
    agents: [
      { name: AGENT, owner: 'o', uses: ['crm', 'pay'] as ServerName[], sessions: { roots: ['operator'], idleMs: 60_000, maxMs: 60_000 } },
    ],
    servers: (['crm', 'pay'] as ServerName[]).map((name) => ({ name, kind: 'mcp', url: `https://${name}.internal`, network: 'private' })),
    tools: TOOLS,
    issuers: [],
    environment: {},
    rules,
    tests: [],
    sources: {},
    warnings: [],
  };
}

/** `undefined` where the rules are refused: shadowed, contradictory, waiting for each other. */
function policyOf(rules: readonly Rule[]): CompiledPolicy | undefined {
  const parts = readParts(writeParts(sourceOf(rules)));
  if (!parts.ok) return undefined;
  const compiled = compile(parts.value);
  return compiled.ok ? compiled.value : undefined;
}

interface Given {
  readonly tool: ToolName;
  readonly json: string;
  readonly roles: readonly string[];
  readonly tenant: string;
  readonly scopes: readonly string[];
  readonly completed: readonly ToolName[];
  readonly case: string | undefined;
}

const given: fc.Arbitrary<Given> = fc.record({
  tool: fc.constantFrom(...NAMES),
  json: fc
    .record(
      {
        id: fc.constantFrom('', 'a', 'bc'),
        amount: fc.constantFrom(0, 500, 500.01, 900),
        count: fc.constantFrom(1, 7),
        tags: fc.constantFrom([], ['x'], ['y', 'z']),
      },
      { requiredKeys: ['id', 'amount'] },
    )
    .map((args) => JSON.stringify(args)),
  roles: fc.constantFrom([], ['clerk'], ['lead'], ['clerk', 'lead']),
  tenant: fc.constantFrom('acme', 'other', 'third'),
  scopes: fc.constantFrom([], ['s1'], ['s1', 's2']),
  completed: fc.subarray(NAMES),
  case: fc.constantFrom(undefined, 'a', 'bc'),
});

function inputOf(policy: CompiledPolicy, call: Given): Parameters<typeof decide>[1] {
  const tool = policy.tool(call.tool);
  const judged = judge(new TextEncoder().encode(call.json));
  const args = judged.ok ? policy.argumentSchema(call.tool)?.validate(judged.value) : undefined;
  if (tool === undefined || args?.ok !== true) throw new Error('no such call');
  const principal: Principal = {
    id: 'a' as PrincipalId,
    kind: 'person',
    tenant: call.tenant as TenantId,
    issuer: 'i',
    roles: call.roles,
    scopes: call.scopes,
    attributes: {},
    authenticatedAt: 0 as Instant,
  };
  const session: SessionFacts = {
    id: 's' as SessionId,
    ...(call.case === undefined ? {} : { case: call.case }),
    attempted: call.completed,
    completed: call.completed,
    failed: [],
    denied: [],
    hasCompleted: (name) => call.completed.includes(name),
  };
  return { principal, agent: AGENT, tool, args: args.value, session, now: 0 as Instant, isolation: 'enforced' };
}

const judgeCall = (policy: CompiledPolicy, call: Given): PolicyDecision => decide(policy, inputOf(policy, call));
const RUNS = { numRuns: 300 };

describe('for any policy and any call', () => {
  test('a deny rule added never allows more', () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { minLength: 1, maxLength: 6 }),
        ruleArbitrary(fc.constant('deny')),
        fc.array(given, { minLength: 8, maxLength: 8 }),
        (rules, more, calls) => {
          const [before, after] = [policyOf(named(rules)), policyOf([...named(rules), ...named([more], rules.length)])];
          fc.pre(before !== undefined && after !== undefined);
          for (const call of calls) if (judgeCall(before, call).decision === 'deny') expect(judgeCall(after, call).decision).toBe('deny');
        },
      ),
      RUNS,
    );
  });

  test('a requirement added never allows more', () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { minLength: 1, maxLength: 6 }),
        ruleArbitrary(fc.constant('require')),
        fc.array(given, { minLength: 8, maxLength: 8 }),
        (rules, more, calls) => {
          const [before, after] = [policyOf(named(rules)), policyOf([...named(rules), ...named([more], rules.length)])];
          fc.pre(before !== undefined && after !== undefined);
          for (const call of calls) if (judgeCall(before, call).decision === 'deny') expect(judgeCall(after, call).decision).toBe('deny');
        },
      ),
      RUNS,
    );
  });

  test('an allow rule added never allows what a deny rule forbids, and never takes a grant away', () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { minLength: 1, maxLength: 6 }),
        ruleArbitrary(fc.constant('allow')),
        fc.array(given, { minLength: 8, maxLength: 8 }),
        (rules, more, calls) => {
          const [before, after] = [policyOf(named(rules)), policyOf([...named(rules), ...named([more], rules.length)])];
          fc.pre(before !== undefined && after !== undefined);
          const denies = new Set<string>(
            named(rules)
              .filter(({ verb }) => verb === 'deny')
              .map(({ id }) => id),
          );
          for (const call of calls) {
            const [old, now] = [judgeCall(before, call), judgeCall(after, call)];
            if (old.decision === 'allow') expect(now.decision).toBe('allow');
            else if (denies.has(old.ruleId)) expect(now).toEqual(old);
          }
        },
      ),
      RUNS,
    );
  });

  test('the order of rules never matters', () => {
    fc.assert(
      fc.property(
        fc
          .array(anyRule, { minLength: 2, maxLength: 6 })
          .chain((rules) => fc.tuple(fc.constant(named(rules)), fc.shuffledSubarray([...named(rules)], { minLength: rules.length }))),
        fc.array(given, { minLength: 8, maxLength: 8 }),
        ([rules, shuffled], calls) => {
          const [one, other] = [policyOf(rules), policyOf(shuffled)];
          expect(one === undefined).toBe(other === undefined);
          if (one === undefined || other === undefined) return;
          for (const call of calls) expect(judgeCall(other, call)).toEqual(judgeCall(one, call));
        },
      ),
      RUNS,
    );
  });

  test('a condition that cannot be evaluated denies, on either side', () => {
    // For an id of one character this divides by zero.
    const failing = '1 / (size(args.id) - 1) == 1';
    fc.assert(
      fc.property(given, (call) => {
        const erring = { ...call, json: '{"id":"a","amount":1}' };
        const rule = (id: string, more: Partial<RuleBody>): Rule => ({
          id: id as RuleId,
          agent: AGENT,
          verb: 'allow',
          tools: NAMES.map((tool) => ({ tool })),
          ...more,
        });
        const asAllow = policyOf([rule('a', { when: failing })]);
        const asBind = policyOf([rule('a', { bind: [failing] })]);
        const asDeny = policyOf([rule('a', {}), rule('d', { verb: 'deny', when: failing })]);
        const asGuard = policyOf([rule('a', {}), rule('r', { verb: 'require', when: failing, scopes: ['s1'] })]);
        for (const policy of [asAllow, asBind, asDeny, asGuard]) {
          if (policy === undefined) throw new Error('these rules compile');
          expect(judgeCall(policy, erring).decision).toBe('deny');
        }
      }),
      { numRuns: 30 },
    );
  });

  test('what is allowed is visible, explain agrees with decide, and nothing throws', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { minLength: 1, maxLength: 6 }), fc.array(given, { minLength: 4, maxLength: 4 }), (rules, calls) => {
        const policy = policyOf(named(rules));
        fc.pre(policy !== undefined);
        for (const call of calls) {
          const input = inputOf(policy, call);
          const decision = decide(policy, input);
          if (decision.decision === 'allow') expect(visible(policy, input, call.tool)).toBe(true);
          const explanation = explain(policy, input);
          expect(explanation.decision).toEqual(decision);
          expect(explanation.change.length).toBeGreaterThan(0);
        }
      }),
      RUNS,
    );
  });

  test('what is written reads back and is written the same', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 6 }), (rules) => {
        const written = writeParts(sourceOf(named(rules)));
        const read = readParts(written);
        if (!read.ok) throw new Error(JSON.stringify(read.error));
        const { servers, destinations: _destinations, ...parts } = read.value;
        const again = writeParts({ ...parts, servers: servers.map((server) => ({ ...server, network: 'private' })), warnings: [] });
        expect(again).toEqual(written);
      }),
      RUNS,
    );
  });
});

test('no text makes the reader of documents throw', () => {
  const pieces = [
    'apiVersion: sallyport.dev/v1\n',
    'kind: Policy\n',
    'agent: a\n',
    'rules:\n',
    '  - id: x\n',
    '    allow: [a/b]\n',
    '---\n',
    '{',
    '}',
    '[',
    ']',
    ': ',
    '- ',
    '"',
    "'",
    '|\n',
    '&a ',
    '*a ',
    '!!x ',
    '\n',
    ' ',
    'when: args.x == 1\n',
    '\u0000',
    '\uD800',
    '\t',
    '? ',
    '#',
  ];
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 5, unit: 'binary' })), { maxLength: 40 }), (parts) => {
      const parsed = parseDocuments([{ path: 'f.yaml', text: parts.join('') }]);
      if (!parsed.ok) expect(parsed.error.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});
