import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AgentName, Instant, RuleId, ServerName, Tool, ToolName } from '@sallyport/model';
import { decide } from '../decide/decide.ts';
import type { PolicyDecision } from '../decide/decide.ts';
import { observe } from '../decide/observe.ts';
import type { Observe } from '../grammar/observe.ts';
import type { Rule, RuleBody, Verb } from '../rule.ts';
import { inputOf } from '../testing/calls.ts';
import type { GivenCall } from '../testing/calls.ts';
import { compile } from './compile.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicySource } from './documents.ts';
import { joinLayers } from './layers.ts';
import type { LayerParts } from './layers.ts';
import { writeParts } from './parts.ts';

const AGENT = 'triage' as AgentName;
const NAMES = ['crm/get', 'crm/note', 'pay/refund'] as ToolName[];

const TOOLS: readonly Tool[] = NAMES.map((name) => ({
  name,
  effect: name === 'crm/get' ? 'read' : 'write',
  classes: name === 'pay/refund' ? ['money'] : [],
  description: '',
  arguments: { type: 'object', required: ['id', 'amount'], properties: { id: { type: 'string' }, amount: { type: 'integer' } } },
  denyAs: 'tool_result',
}));

/** Some hold, some do not, and one cannot be evaluated for an id of one character. */
const CONDITIONS = [
  'args.amount <= 500',
  'args.amount > 500',
  'args.id == "a"',
  '1 / (size(args.id) - 1) == 1',
  'principal.tenant == "acme"',
];

const body = (verb: fc.Arbitrary<Verb>): fc.Arbitrary<Omit<RuleBody, 'id'>> =>
  fc
    .record({
      verb,
      shadow: fc.option(fc.constant(true as const), { nil: undefined, freq: 6 }),
      tools: fc.uniqueArray(
        fc.constantFrom(...NAMES.map((tool) => ({ tool })), { tool: 'crm/*' }, { effect: 'write' } as const, { class: 'money' }),
        { minLength: 1, maxLength: 2, selector: (one) => JSON.stringify(one) },
      ),
      for: fc.option(fc.constantFrom({ roles: ['clerk'] }, { roles: ['lead'] }, { tenants: ['acme'] }), { nil: undefined }),
      when: fc.option(fc.constantFrom(...CONDITIONS), { nil: undefined }),
      scopes: fc.option(fc.constantFrom(['s1'], ['s1', 's2']), { nil: undefined }),
    })
    .map(({ scopes, ...rest }) => {
      const demands = rest.verb === 'deny' ? {} : { scopes: rest.verb === 'require' ? (scopes ?? ['s1']) : scopes };
      return Object.fromEntries(Object.entries({ ...rest, ...demands }).filter(([, value]) => value !== undefined)) as unknown as Omit<
        RuleBody,
        'id'
      >;
    });

const ceiling = body(fc.constantFrom<Verb>('deny', 'require'));
const anyRule = body(fc.constantFrom<Verb>('allow', 'allow', 'deny', 'require'));
const ceilings = fc.array(ceiling, { maxLength: 4 });
const rulesBelow = fc.array(anyRule, { minLength: 1, maxLength: 5 });

/** Ids that differ and look it. */
const named = (prefix: string, bodies: readonly Omit<RuleBody, 'id'>[], whose: { agent: AgentName } | { agents: '*' }): readonly Rule[] =>
  bodies.map((one, index) => ({ ...one, ...whose, id: `${prefix}${String.fromCodePoint(97 + index)}x` as RuleId }) as Rule);

const EMPTY: PolicySource = {
  agents: [],
  servers: [],
  tools: [],
  issuers: [],
  environment: {},
  rules: [],
  tests: [],
  sources: {},
  warnings: [],
};

const layerOf = (name: string, source: Partial<PolicySource>): LayerParts => ({ name, parts: writeParts({ ...EMPTY, ...source }) });

/** The company’s layer: what there is, and what it forbids and demands of everyone. */
const companyOf = (bodies: readonly Omit<RuleBody, 'id'>[]): LayerParts =>
  layerOf('company', {
    servers: (['crm', 'pay'] as ServerName[]).map((name) => ({ name, kind: 'mcp', url: `https://${name}.internal`, network: 'private' })),
    tools: TOOLS,
    rules: named('c', bodies, { agents: '*' }),
  });

const OBSERVE: Observe = { agents: '*', from: 0 as Instant, until: 60_000 as Instant, classesExcluded: [] };

const teamOf = (bodies: readonly Omit<RuleBody, 'id'>[], observes: readonly Observe[] = []): LayerParts =>
  layerOf('team', {
    agents: [
      { name: AGENT, owner: 'o', uses: ['crm', 'pay'] as ServerName[], sessions: { roots: ['operator'], idleMs: 60_000, maxMs: 60_000 } },
    ],
    rules: named('t', bodies, { agent: AGENT }),
    observes,
  });

/** All that a lower layer could ask for: everything, for everyone. */
const EVERYTHING = teamOf([{ verb: 'allow', tools: NAMES.map((tool) => ({ tool })) }]);

/** `undefined` where the rules are refused: shadowed by a denial of their own layer, contradictory. */
function policyOf(...layers: readonly LayerParts[]): CompiledPolicy | undefined {
  const parts = joinLayers(layers);
  const compiled = parts.ok ? compile(parts.value) : parts;
  return compiled.ok ? compiled.value : undefined;
}

const given: fc.Arbitrary<GivenCall> = fc
  .record({
    tool: fc.constantFrom(...NAMES),
    id: fc.constantFrom('', 'a', 'bc'),
    amount: fc.constantFrom(0, 500, 501),
    roles: fc.constantFrom([], ['clerk'], ['lead'], ['clerk', 'lead']),
    tenant: fc.constantFrom('acme', 'other'),
    scopes: fc.constantFrom([], ['s1'], ['s1', 's2']),
  })
  .map(({ tool, id, amount, roles, tenant, scopes }) => ({
    tool,
    args: JSON.stringify({ id, amount }),
    principal: { roles, tenant: tenant as never, scopes },
    now: 1_000,
  }));
const calls = fc.array(given, { minLength: 8, maxLength: 8 });

const decided = (policy: CompiledPolicy, call: GivenCall): PolicyDecision => decide(policy, inputOf(policy, call));
const RUNS = { numRuns: 200 };

/** Fails loudly where almost nothing compiles, so that a property cannot hold for want of cases. */
function allOf<const P extends readonly (CompiledPolicy | undefined)[]>(policies: P): { readonly [K in keyof P]: CompiledPolicy } {
  fc.pre(policies.every((policy) => policy !== undefined));
  return policies as { readonly [K in keyof P]: CompiledPolicy };
}

describe('for any layers and any call', () => {
  test('a lower layer never widens: what is refused to one that asks for everything is refused to every other', () => {
    fc.assert(
      fc.property(ceilings, rulesBelow, calls, (above, below, asked) => {
        const company = companyOf(above);
        const [most, policy] = allOf([policyOf(company, EVERYTHING), policyOf(company, teamOf(below))]);
        for (const call of asked) if (decided(most, call).decision === 'deny') expect(decided(policy, call).decision).toBe('deny');
      }),
      RUNS,
    );
  });

  test('a layer above never grants: what is allowed beneath it is allowed without it', () => {
    fc.assert(
      fc.property(ceilings, rulesBelow, calls, (above, below, asked) => {
        const [policy, bare] = allOf([policyOf(companyOf(above), teamOf(below)), policyOf(companyOf([]), teamOf(below))]);
        for (const call of asked) if (decided(policy, call).decision === 'allow') expect(decided(bare, call).decision).toBe('allow');
      }),
      RUNS,
    );
  });

  test('a ceiling added never allows more', () => {
    fc.assert(
      fc.property(fc.array(ceiling, { maxLength: 3 }), ceiling, rulesBelow, calls, (above, more, below, asked) => {
        const team = teamOf(below);
        const [before, after] = allOf([policyOf(companyOf(above), team), policyOf(companyOf([...above, more]), team)]);
        for (const call of asked) if (decided(before, call).decision === 'deny') expect(decided(after, call).decision).toBe('deny');
      }),
      RUNS,
    );
  });

  test('an allow rule added below never allows what a rule above refuses, and never takes a grant away', () => {
    fc.assert(
      fc.property(
        ceilings,
        fc.array(anyRule, { minLength: 1, maxLength: 4 }),
        body(fc.constant('allow')),
        calls,
        (above, below, more, asked) => {
          const company = companyOf(above);
          const [before, after] = allOf([policyOf(company, teamOf(below)), policyOf(company, teamOf([...below, more]))]);
          for (const call of asked) {
            const [old, now] = [decided(before, call), decided(after, call)];
            if (old.decision === 'allow') expect(now.decision).toBe('allow');
            else if (old.ruleId.startsWith('c') && old.unmet.length === 0)
              expect(now).toMatchObject({ decision: 'deny', ruleId: old.ruleId });
          }
        },
      ),
      RUNS,
    );
  });

  test('observing lets nothing pass that a layer above refuses, and says so of all that it lets pass', () => {
    let passed = 0;
    fc.assert(
      fc.property(ceilings, rulesBelow, calls, (above, below, asked) => {
        const company = companyOf(above);
        const [most, policy] = allOf([policyOf(company, EVERYTHING), policyOf(company, teamOf(below, [OBSERVE]))]);
        for (const call of asked) {
          const input = inputOf(policy, call);
          const refusal = decide(policy, input);
          const found = refusal.decision === 'deny' ? observe(policy, input, refusal) : undefined;
          if (found === undefined) continue;
          passed++;
          expect(decided(most, call).decision).toBe('allow');
          expect(found.observed?.code).toBe(refusal.decision === 'deny' ? refusal.code : '');
          expect(call.tool).not.toBe('pay/refund');
        }
      }),
      RUNS,
    );
    expect(passed).toBeGreaterThan(10);
  });

  test('rules in shadow change no decision', () => {
    fc.assert(
      fc.property(ceilings, rulesBelow, calls, (above, below, asked) => {
        const lit = (bodies: readonly Omit<RuleBody, 'id'>[]): readonly Omit<RuleBody, 'id'>[] =>
          bodies
            .map((one, index) => ({ one, index }))
            .filter(({ one }) => one.shadow !== true)
            .map(({ one }) => one);
        fc.pre(lit(below).length > 0);
        // Without them ids move up; whether a call passes does not hang on ids.
        const [policy, bare] = allOf([policyOf(companyOf(above), teamOf(below)), policyOf(companyOf(lit(above)), teamOf(lit(below)))]);
        for (const call of asked) expect(decided(policy, call).decision).toBe(decided(bare, call).decision);
      }),
      RUNS,
    );
  });

  test('the order of rules within layers never matters', () => {
    fc.assert(
      fc.property(ceilings, rulesBelow, fc.infiniteStream(fc.nat()), calls, (above, below, seeds, asked) => {
        const shuffled = (layer: LayerParts): LayerParts => {
          const part = JSON.parse(new TextDecoder().decode(layer.parts.policy)) as { rules: unknown[] };
          const rules = part.rules.map((rule) => ({ rule, at: seeds.next().value as number })).toSorted((a, b) => a.at - b.at);
          const policy = new TextEncoder().encode(JSON.stringify({ ...part, rules: rules.map(({ rule }) => rule) }));
          return { ...layer, parts: { ...layer.parts, policy } };
        };
        const [company, team] = [companyOf(above), teamOf(below)];
        const [one, other] = allOf([policyOf(company, team), policyOf(shuffled(company), shuffled(team))]);
        for (const call of asked) expect(decided(other, call)).toEqual(decided(one, call));
      }),
      RUNS,
    );
  });

  test('a layer further below changes nothing for an agent above', () => {
    fc.assert(
      fc.property(ceilings, rulesBelow, ceilings, calls, (above, below, beneath, asked) => {
        const lower = layerOf('lower', { rules: named('l', beneath, { agents: '*' }) });
        const [company, team] = [companyOf(above), teamOf(below)];
        const [policy, longer] = allOf([policyOf(company, team), policyOf(company, team, lower)]);
        for (const call of asked) expect(decided(longer, call)).toEqual(decided(policy, call));
      }),
      RUNS,
    );
  });

  test('a ceiling that cannot be evaluated denies', () => {
    fc.assert(
      fc.property(fc.constantFrom<Verb>('deny', 'require'), given, (verb, call) => {
        const failing: Omit<RuleBody, 'id'> = {
          verb,
          tools: NAMES.map((tool) => ({ tool })),
          when: '1 / (size(args.id) - 1) == 1',
          ...(verb === 'require' ? { scopes: ['s1'] } : {}),
        };
        const [policy] = allOf([policyOf(companyOf([failing]), EVERYTHING)]);
        expect(decided(policy, { ...call, args: '{"id":"a","amount":1}' }).decision).toBe('deny');
      }),
      { numRuns: 30 },
    );
  });
});
