import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from '@sallyport/crypto';
import { DENIAL_CODES } from '@sallyport/model';
import type { AgentName, Json, JsonObject, Principal, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { PolicyFile } from '../compile/documents.ts';
import { decide } from '../decide/decide.ts';
import type { PolicyDecision } from '../decide/decide.ts';
import { explain } from '../explain/explain.ts';
import { encodeRule, rule as ruleOfPart, ruleOf } from '../grammar/rule.ts';
import type { PolicyInput } from '../input.ts';
import { Problems, nodeOfJson } from '../reader/node.ts';
import { DAYS } from '../rule.ts';

const AGENT = 'desk' as AgentName;

/** What no rule changes: three tools, of which one notes what it reads. */
const WORLD: readonly JsonObject[] = [
  { kind: 'Agent', name: 'desk', owner: 'team', uses: ['crm'], sessions: { roots: ['operator', 'schedule'] } },
  { kind: 'ToolServer', name: 'crm', http: { url: 'https://crm.internal' }, network: 'private' },
  {
    kind: 'Tool',
    name: 'crm/read',
    effect: 'read',
    route: { method: 'GET', path: '/records/{id}' },
    arguments: { required: ['id'], properties: { id: { type: 'string' } } },
    touches: { record: 'args.id' },
  },
  {
    kind: 'Tool',
    name: 'crm/pay',
    effect: 'write',
    classes: ['money'],
    route: { method: 'POST', path: '/payments' },
    arguments: {
      required: ['id', 'amount'],
      properties: { id: { type: 'string' }, amount: { type: 'number', format: 'decimal' }, text: { type: 'string' } },
    },
  },
  { kind: 'Environment', values: { cap: { decimal: '100.50' } } },
];

const FREE: JsonObject = { id: 'free', allow: ['crm/read'] };

// ---- rules, as authors write them

const name = fc.oneof(
  fc.constantFrom('a', 'b', 'c'),
  fc.stringMatching(/^[a-z0-9@:._/-]{1,16}$/),
  fc.constantFrom('führung', '管理者', 'администратор'),
);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).map((list): Json => list);
const few = fc.subarray(['a', 'b', 'c'], { minLength: 1 }).map((list): Json => list);
const span = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom('s', 'm', 'h', 'd')).map(([count, unit]): Json => `${count}${unit}`);
const bool = fc.constantFrom(
  'args.id == "X"',
  'args.amount <= 50',
  'session.risk < 50',
  'args.id in session.touched.record',
  'size(session.denied) < 3',
);
const key = fc.constantFrom('args.id', 'principal', 'case', 'args.amount', 'session.task');
const two = (digits: number): string => String(digits).padStart(2, '0');
const time = fc.integer({ min: 0, max: 1_439 }).map((minutes) => `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`);
const instant = fc
  .date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());

/** Some of the fields, each often absent. */
const some = (fields: Readonly<Record<string, fc.Arbitrary<Json>>>, requiredKeys: readonly string[] = []): fc.Arbitrary<JsonObject> =>
  fc.record(fields, { requiredKeys: [...requiredKeys] }) as fc.Arbitrary<JsonObject>;
const atLeastOne = (fields: Readonly<Record<string, fc.Arbitrary<Json>>>): fc.Arbitrary<JsonObject> =>
  some(fields).filter((value) => Object.keys(value).length > 0);
const count = (min: number, max: number): fc.Arbitrary<Json> => fc.integer({ min, max });

/** Every field of policy-v1 4.4 but `when`, which means different things. */
const DEMANDS: Readonly<Record<string, fc.Arbitrary<Json>>> = {
  scopes: few,
  task: few,
  require_purpose: fc.constant(true),
  bind: fc.uniqueArray(bool, { minLength: 1, maxLength: 2 }).map((list): Json => list),
  arguments: some({ id: fc.constantFrom({ enum: ['X', 'Y'] }, { maxLength: 3 }), amount: fc.constant({ maximum: 60 }) }, ['id']),
  after: fc
    .uniqueArray(fc.constantFrom<Json>('crm/read', { tool: 'crm/read', with: { id: 'args.id' } }), {
      minLength: 1,
      maxLength: 2,
      selector: JSON.stringify,
    })
    .map((list): Json => list),
  delegation: atLeastOne({
    depth: count(0, 3),
    first_party: fc.constant(true),
    roots: fc.constantFrom<Json>(['operator'], ['operator', 'event']),
  }),
  session: atLeastOne({ max_age: fc.constantFrom('10m', '1h', '8h'), denials_max: count(0, 3) }),
  valid: fc.oneof(
    instant.map((until): JsonObject => ({ until })),
    instant.map((from): JsonObject => ({ from })),
    fc
      .tuple(instant, instant)
      .filter(([from, until]) => from < until)
      .map(([from, until]): JsonObject => ({ from, until })),
  ),
  hours: fc
    .record({
      days: fc.subarray([...DAYS], { minLength: 1 }),
      from: time,
      to: fc.oneof(time, fc.constant('24:00')),
      utc_offset: fc.constantFrom('+00:00', '-05:30'),
    })
    .filter(({ from, to }) => from !== to) as fc.Arbitrary<JsonObject>,
  justification: some({ chars_min: count(1, 9) }),
  isolation: fc.constant('enforced'),
  risk: some({ max: count(0, 100) }, ['max']),
  step_up: fc
    .tuple(atLeastOne({ max_age: span, acr: names, amr: few }), some({ when: bool }))
    .map(([demands, guard]): JsonObject => ({ ...demands, ...guard })),
  reviewed: fc.constant('args.id'),
  approval: some(
    {
      when: bool,
      by: fc.oneof(...['role', 'group', 'person'].map((kind) => name.map((who): JsonObject => ({ [kind]: who })))),
      count: count(1, 3),
    },
    ['by'],
  ),
  once: some({ per: key, within: span }),
  max: some({ count: count(1, 5), per: key, within: span }, ['count']),
  sequence: some({ consecutive: count(1, 5) }, ['consecutive']),
  budget: some(
    { sum: fc.constantFrom('args.amount', 'size(args.id)'), max: fc.constantFrom('100', '${env.cap}', '0.5'), per: key, within: span },
    ['sum', 'max'],
  ),
};

const whom = atLeastOne({ roles: few, tenants: few, principals: few });
const unguarded = fc.constantFrom('args.id == "X"', 'args.id != "Y"', 'size(args.id) > 1', 'principal.tenant == "a"');

/** Two or three demands and more, so that some calls pass. */
const demands = fc
  .uniqueArray(fc.constantFrom(...Object.keys(DEMANDS)), { minLength: 1, maxLength: 4 })
  .chain((fields) => some(Object.fromEntries(fields.map((field) => [field, DEMANDS[field] ?? fc.constant(null)])), fields));
const allowRule = fc
  .tuple(some({ for: whom, when: bool }), fc.oneof(demands, fc.constant({})))
  .map(([head, more]) => ({ allow: ['crm/pay'], ...head, ...more }) as JsonObject);
const requireRule = fc
  .tuple(some({ for: whom, when: unguarded }), demands)
  .map(([head, more]) => ({ require: ['crm/*'], ...head, ...more }) as JsonObject);
const denyRule = some({ for: whom, when: unguarded }, ['when']).map((head) => ({ deny: [{ class: 'money' }], ...head }) as JsonObject);
const rules = fc
  .tuple(fc.array(allowRule, { minLength: 1, maxLength: 3 }), fc.array(requireRule, { maxLength: 1 }), fc.array(denyRule, { maxLength: 1 }))
  .map(([allow, require, deny]) =>
    [...allow, ...require, ...deny].map((rule, index) => ({ id: `r${'abcdefgh'[index] ?? ''}x`, ...rule }) as JsonObject),
  );

const filesOf = (documents: readonly JsonObject[]): readonly PolicyFile[] =>
  documents.map((one, index) => ({
    path: `f${index}.yaml`,
    text: `apiVersion: sallyport.dev/v1\n${yamlOf(one)}`,
  }));
/** One field a line, each as JSON, which YAML reads the same. */
function yamlOf(one: JsonObject): string {
  return Object.entries(one)
    .map(([field, value]) => `${field}: ${JSON.stringify(value)}\n`)
    .join('');
}
const policyDocument = (list: readonly JsonObject[]): JsonObject => ({ kind: 'Policy', agent: 'desk', rules: list });

/** `undefined` where the rules are refused. */
function buildOf(files: readonly PolicyFile[]): BuiltParts | undefined {
  const parsed = parseDocuments(files);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  return built.ok ? built.value : undefined;
}
const policyOf = (list: readonly JsonObject[]): CompiledPolicy | undefined =>
  buildOf(filesOf([...WORLD, policyDocument([FREE, ...list])]))?.policy;

// ---- calls

const NOW = Date.UTC(2026, 5, 30, 9);

interface Odd {
  readonly text: fc.Arbitrary<string>;
  readonly number: fc.Arbitrary<number>;
  readonly names: fc.Arbitrary<readonly string[]>;
}
const PLAIN: Odd = { text: fc.constantFrom('a', 'b', 'X'), number: fc.constantFrom(0, 10, 50), names: fc.subarray(['a', 'b', 'c']) };
const ODD: Odd = {
  text: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('__proto__', 'constructor', '\uD800', '\u202E', 'X'.repeat(5_000)),
  ),
  number: fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 2 ** 60, 1e308)),
  names: fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }), fc.constantFrom('a', 'b', '__proto__')), { maxLength: 4 }),
};

type Input = (policy: CompiledPolicy) => PolicyInput;

/** A call whose every fact may be absent. `now` is a moment: a clock that is none is nobody's fault here. */
function callOf({ text, number, names: list }: Odd, moment: fc.Arbitrary<number>): fc.Arbitrary<Input> {
  const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined, freq: 4 });
  const tools = fc.array(fc.constantFrom('crm/read', 'crm/pay'), { maxLength: 4 });
  return fc
    .record({
      args: fc.record(
        {
          id: fc.oneof(fc.constantFrom('X', 'Y'), fc.string({ maxLength: 4 })),
          amount: fc.constantFrom(0, 40, 60.5, -3),
          text: fc.string({ maxLength: 4 }),
        },
        { requiredKeys: ['id', 'amount'] },
      ),
      principal: fc.record({
        id: text,
        kind: fc.constantFrom('person', 'service', 'anonymous'),
        tenant: text,
        roles: list,
        scopes: list,
        attributes: fc.dictionary(
          fc.oneof(text, fc.constant('region')),
          fc.oneof<fc.Arbitrary<unknown>[]>(text, number, fc.boolean(), list),
          { noNullPrototype: false, maxKeys: 3 },
        ),
        authenticatedAt: fc.oneof(moment, number),
        acr: maybe(text),
        amr: maybe(list),
      }),
      session: fc.record({
        case: maybe(text),
        task: maybe(text),
        origin: maybe(fc.record({ purpose: maybe(text), customerId: maybe(text) })),
        step: fc.option(fc.constantFrom('crm/pay', 'pay', 'other'), { nil: undefined, freq: 1 }),
        root: maybe(fc.constantFrom('operator', 'schedule', 'event')),
        risk: maybe(number),
        startedAt: maybe(fc.oneof(moment, number)),
        completed: maybe(tools),
        denied: maybe(tools),
        classes: maybe(list),
        touched: maybe(list),
        hasCompleted: fc.boolean(),
        reviews: maybe(fc.constant(new Set<string>())),
      }),
      now: moment,
      chain: maybe(fc.array(fc.record({ agent: text, first_party: fc.boolean() }), { maxLength: 3 })),
      justification: maybe(text),
      // Mostly there: a payment without it is refused for that, whatever else a rule asks.
      isolation: fc.oneof({ weight: 12, arbitrary: fc.constant('enforced') }, maybe(fc.constantFrom('enforced', 'advisory'))),
      approvals: maybe(fc.array(fc.record({ person: text, roles: list, groups: list }), { maxLength: 3 })),
    })
    .map(({ args, principal, session, now, chain, justification, approvals, isolation }): Input => (policy) => {
      const tool = policy.tool('crm/pay' as ToolName);
      const judged = judge(utf8(JSON.stringify(args)));
      const typed = judged.ok ? policy.argumentSchema('crm/pay' as ToolName)?.validate(judged.value) : undefined;
      if (tool === undefined || typed?.ok !== true) throw new Error('no such call');
      const { touched, hasCompleted, completed, denied, ...facts } = session;
      const known = <T extends object>(of: T): T => Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
      return {
        principal: { issuer: 'i', ...known(principal) } as unknown as Principal,
        agent: AGENT,
        tool,
        args: typed.value,
        session: {
          id: 's',
          attempted: completed,
          completed,
          failed: [],
          denied,
          hasCompleted: () => hasCompleted,
          hasCompletedWith: () => hasCompleted,
          noted: () => touched,
          ...known(facts),
        },
        now,
        ...known({ chain, justification, approvals, isolation }),
      } as unknown as PolicyInput;
    });
}

const moment = fc.integer({ min: NOW - 40 * 86_400_000, max: NOW + 40 * 86_400_000 });
const plainCall = callOf(PLAIN, moment);
const oddCall = callOf(ODD, fc.oneof(moment, fc.constantFrom(0, -1, 8.64e15)));

const RUNS = { numRuns: 250 };

describe('for rules with any demands', () => {
  test('what is written reads back as the same rule, and is written the same', () => {
    fc.assert(
      fc.property(fc.oneof(allowRule, requireRule, denyRule), (json) => {
        const read = (value: Json, how: (node: ReturnType<typeof nodeOfJson>, problems: Problems) => unknown): unknown => {
          const problems = new Problems();
          const rule = how(nodeOfJson(value, ''), problems);
          expect(problems.sorted()).toEqual([]);
          return rule;
        };
        const authored = read({ id: 'r', ...json }, ruleOf({ agent: AGENT })) as Parameters<typeof encodeRule>[0];
        const written = encodeRule(authored);
        const again = read(written, ruleOfPart) as Parameters<typeof encodeRule>[0];
        expect(encodeRule(again)).toEqual(written);
        expect(sorted(again)).toEqual(sorted(authored));
      }),
      { numRuns: 1_000 },
    );
  });

  test('neither the order of documents nor that of rules makes another policy', () => {
    let built = 0;
    fc.assert(
      fc.property(
        rules.chain((list) =>
          fc.tuple(
            fc.constant(list),
            fc.shuffledSubarray([FREE, ...list], { minLength: list.length + 1 }),
            fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }),
          ),
        ),
        ([list, shuffled, places]) => {
          const one = buildOf(filesOf([...WORLD, policyDocument([FREE, ...list])]));
          const documents = [...WORLD, policyDocument(shuffled)];
          const other = buildOf(filesOf(places.flatMap((place): readonly JsonObject[] => documents.slice(place, place + 1))));
          expect(other === undefined).toBe(one === undefined);
          if (one === undefined || other === undefined) return;
          built++;
          // `tests` alone knows where things stood.
          for (const part of ['policy', 'catalog', 'identity', 'environment', 'egress', 'detectors'] as const)
            expect(Buffer.from(other.parts[part]).equals(Buffer.from(one.parts[part]))).toBe(true);
          expect(other.features).toEqual(one.features);
        },
      ),
      RUNS,
    );
    expect(built).toBeGreaterThan(RUNS.numRuns / 4);
  });

  const agrees = (policy: CompiledPolicy, input: PolicyInput): PolicyDecision => {
    const decision = decide(policy, input);
    if (decision.decision === 'deny') expect(DENIAL_CODES).toContain(decision.code);
    const explained = explain(policy, input);
    expect(explained.decision).toEqual(decision);
    // The same input, the same decision.
    expect(decide(policy, input)).toEqual(decision);
    return decision;
  };

  test('decide and explain agree, and some calls are allowed', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(rules, fc.array(plainCall, { minLength: 6, maxLength: 6 }), (list, calls) => {
        const policy = policyOf(list);
        fc.pre(policy !== undefined);
        for (const call of calls) {
          const decision = agrees(policy, call(policy));
          seen.add(decision.decision === 'allow' ? 'allow' : decision.code);
        }
      }),
      // More than elsewhere: rare codes have to come up as well.
      { numRuns: 1_000 },
    );
    expect([...seen]).toContain('allow');
    expect(seen.size).toBeGreaterThan(10);
  });

  test('a demand added never allows more, and only a demand that is not met takes away', () => {
    let taken = 0;
    fc.assert(
      fc.property(rules, demands, fc.nat(), fc.array(plainCall, { minLength: 6, maxLength: 6 }), (list, more, at, calls) => {
        const places = list.flatMap((rule, index) => (rule['deny'] === undefined ? [index] : []));
        const place = places[at % places.length];
        const stricter = list.map((rule, index) => (index === place ? { ...more, ...rule } : rule));
        const [before, after] = [policyOf(list), policyOf(stricter)];
        fc.pre(before !== undefined && after !== undefined);
        for (const call of calls) {
          const [old, now] = [decide(before, call(before)), decide(after, call(after))];
          if (old.decision === 'deny') expect(now.decision).toBe('deny');
          else if (now.decision === 'deny') {
            taken++;
            expect(now.unmet.length).toBeGreaterThan(0);
          }
        }
      }),
      RUNS,
    );
    expect(taken).toBeGreaterThan(0);
  });

  test('whatever the facts are, there is a decision and an explanation', () => {
    fc.assert(
      fc.property(rules, fc.array(oddCall, { minLength: 4, maxLength: 4 }), (list, calls) => {
        const policy = policyOf(list);
        fc.pre(policy !== undefined);
        for (const call of calls) agrees(policy, call(policy));
      }),
      RUNS,
    );
  });
});

/** Lists in an order that says nothing, so that rules can be compared. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([field, member]) => [field, sorted(member)]));
}

/** For `X`, each divides by zero or reaches behind a list; for longer ids they are fine. */
const FAILING = { bool: '1 / (size(args.id) - 1) == 1', text: '["x"][size(args.id)]', amount: '1 / (size(args.id) - 1)' } as const;

describe('a condition that cannot be evaluated denies wherever it stands', () => {
  const none: JsonObject = { id: 'pay', allow: ['crm/pay'] };
  test.each<[where: string, rules: readonly JsonObject[]]>([
    ['when of allow', [{ ...none, when: FAILING.bool }]],
    ['bind', [{ ...none, bind: ['args.id == "X"', FAILING.bool] }]],
    ['after, with', [{ ...none, after: [{ tool: 'crm/read', with: { id: FAILING.text } }] }]],
    ['step_up, when', [{ ...none, step_up: { amr: ['nobody'], when: FAILING.bool } }]],
    ['approval, when', [{ ...none, approval: { by: { role: 'nobody' }, when: FAILING.bool } }]],
    ['reviewed', [{ ...none, reviewed: FAILING.text }]],
    ['once, per', [{ ...none, once: { per: FAILING.text } }]],
    ['max, per', [{ ...none, max: { count: 5, per: FAILING.text } }]],
    ['budget, per', [{ ...none, budget: { sum: 'args.amount', max: '100', per: FAILING.text } }]],
    ['budget, sum', [{ ...none, budget: { sum: FAILING.amount, max: '100' } }]],
    ['when of deny', [none, { id: 'stop', deny: ['crm/pay'], when: FAILING.bool }]],
    ['when of require', [none, { id: 'ask', require: ['crm/pay'], when: FAILING.bool, scopes: ['a'] }]],
    ['bind of require', [none, { id: 'ask', require: ['crm/pay'], bind: [FAILING.bool] }]],
    ['reviewed of require', [none, { id: 'ask', require: ['crm/pay'], reviewed: FAILING.text }]],
    ['budget of require', [none, { id: 'ask', require: ['crm/pay'], budget: { sum: FAILING.amount, max: '100' } }]],
  ])('%s', (_, list) => {
    const policy = policyOf(list);
    if (policy === undefined) throw new Error('these rules build');
    fc.assert(
      fc.property(plainCall, (call) => {
        const typed = policy.argumentSchema('crm/pay' as ToolName);
        const judged = judge(utf8('{"id":"X","amount":1}'));
        const args = judged.ok ? typed?.validate(judged.value) : undefined;
        if (args?.ok !== true) throw new Error('no such call');
        const input = { ...call(policy), args: args.value };
        const held = { ...input, session: { ...input.session, hasCompletedWith: () => true } };
        expect(decide(policy, held).decision).toBe('deny');
      }),
      { numRuns: 40 },
    );
  });
});
