/**
 * What one decision costs, and that it costs the same with 10,000 rules as with 10. Five rules a tool: two roles may call
 * it under conditions, one denial and one requirement cut across, one grant works once. Nine of ten calls go to 20 tools,
 * the rest to all of them; about one in six is denied. Batches of 16 calls; a figure is a batch's time over its calls.
 *
 * `demands`: the same rules, each of which also asks for what a session is for, how old it is, at which hours, after which
 * sign-in, by way of whom, for values that were touched, for an approval of large amounts, and keeps a count and a budget.
 *
 * `npm run bench -- decision`; prints lines of docs/spec/bench-report.md.
 */

import { utf8 } from '@sallyport/crypto';
import type { AgentName, Instant, Principal, PrincipalId, RuleId, ServerName, SessionId, TenantId, Tool, ToolName } from '@sallyport/model';
import { buildParts, decide } from '@sallyport/policy';
import type { CompiledPolicy, PolicyInput, PolicySource, Rule, RuleBody, SessionFacts } from '@sallyport/policy';
import { judge } from '@sallyport/strict';

/** What the bench needs of Node; this package compiles without Node's types. */
interface Host {
  readonly hrtime: { bigint(): bigint };
  readonly stdout: { write(text: string): boolean };
  readonly stderr: { write(text: string): boolean };
}
const { process } = globalThis as unknown as { process: Host };

const AGENT = 'support-triage' as AgentName;
const SERVER = 'orders' as ServerName;
const RULES_A_TOOL = 5;
const HOT_TOOLS = 20;
const SESSION_EVENTS = 100;
const BATCH = 16;
const BATCHES = 20_000;
const WARM_UP = 4_000;

const toolAt = (index: number): ToolName => `orders/tool_${index}` as ToolName;

type Mix = 'base' | 'demands';

function sourceWith(ruleCount: number, mix: Mix): PolicySource {
  const toolCount = Math.ceil(ruleCount / RULES_A_TOOL);
  const tools = Array.from({ length: toolCount }, (_, index): Tool => ({
    name: toolAt(index),
    effect: index % 3 === 0 ? 'write' : 'read',
    classes: index % 5 === 0 ? ['money'] : [],
    description: '',
    arguments: {
      type: 'object',
      required: ['account', 'amount', 'currency'],
      properties: {
        account: { type: 'string', maxLength: 64 },
        amount: { type: 'number', format: 'decimal', minimum: 0 },
        currency: { enum: ['EUR', 'USD'] },
        tags: { type: 'array', items: { type: 'string' }, maxItems: 8 },
      },
    },
    ...(mix === 'base' ? {} : { touches: { account: ['account'] } }),
    denyAs: 'tool_result',
  }));
  return {
    agents: [{ name: AGENT, owner: 'team-support', uses: [SERVER], sessions: { roots: ['operator'], idleMs: 900_000, maxMs: 28_800_000 } }],
    servers: [{ name: SERVER, kind: 'mcp', url: 'https://orders.internal', network: 'private' }],
    tools,
    issuers: [],
    environment: {},
    rules: tools
      .flatMap((tool, index) => (mix === 'base' ? rulesOf(tool, index) : withDemands(rulesOf(tool, index), index)))
      .slice(0, ruleCount),
    tests: [],
    sources: {},
    warnings: [],
  };
}

function rulesOf({ name }: Tool, index: number): readonly Rule[] {
  const tools = [{ tool: name }];
  const rule = (id: string, more: Pick<RuleBody, 'verb'> & Partial<RuleBody>): Rule => ({
    id: `${id}-${index}` as RuleId,
    agent: AGENT,
    tools,
    ...more,
  });
  return [
    rule('clerk', {
      verb: 'allow',
      for: { roles: ['clerk'] },
      scopes: ['orders:write'],
      bind: ['args.account == session.case'],
      when: `args.amount <= ${100 + index}`,
    }),
    rule('lead', {
      verb: 'allow',
      for: { roles: ['lead'] },
      after: [{ tool: toolAt(index === 0 ? 1 : 0) }],
      arguments: { currency: { enum: ['EUR'] } },
    }),
    rule('once', { verb: 'allow', for: { roles: ['guest'] }, once: { per: 'args.account', withinMs: 86_400_000 } }),
    rule('stop', { verb: 'deny', when: `has(args.tags) && args.tags.exists(tag, tag == "stop-${index}")` }),
    rule('eyes', { verb: 'require', when: `args.amount > ${1_000 + index}`, scopes: ['orders:large'] }),
  ];
}

const NOW = Date.UTC(2026, 5, 30, 9) as Instant;
const HOUR_MS = 3_600_000;

/** The rules of a tool, in the order of `rulesOf`, each with what it asks besides. */
function withDemands([clerk, lead, guest, stop, eyes]: readonly Rule[], index: number): readonly Rule[] {
  const rules: (Rule | undefined)[] = [
    clerk && {
      ...clerk,
      task: ['orders'],
      session: { maxAgeMs: HOUR_MS, denialsMax: 100 },
      valid: { until: (NOW + index * HOUR_MS + 1) as Instant },
      hours: { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: 480, to: 1_080, offset: 60 },
    },
    lead && {
      ...lead,
      bind: ['args.account in session.touched.account'],
      delegation: { depth: 1, firstParty: true, roots: ['operator'] },
      stepUp: { maxAgeMs: HOUR_MS, amr: ['mfa'], when: `args.amount > ${50 + index}` },
    },
    guest && {
      ...guest,
      max: { count: 1_000, per: 'principal.id', withinMs: HOUR_MS },
      budget: { sum: 'args.amount', max: '100000', per: 'principal.id', withinMs: 24 * HOUR_MS },
    },
    stop,
    eyes && { ...eyes, approval: { when: `args.amount > ${2_000 + index}`, by: { role: 'lead' }, count: 1 } },
  ];
  return rules.filter((rule) => rule !== undefined);
}

const TOUCHED: readonly string[] = Array.from({ length: SESSION_EVENTS }, (_, index) => `A-${index}`);

function session(toolCount: number): SessionFacts {
  const events = Array.from({ length: SESSION_EVENTS }, (_, index) => toolAt(index % Math.min(toolCount, HOT_TOOLS)));
  const completed = new Set(events);
  return {
    id: 'bench' as SessionId,
    case: 'A-1',
    attempted: events,
    completed: events,
    failed: [],
    denied: [],
    hasCompleted: (tool) => completed.has(tool),
    startedAt: (NOW - HOUR_MS / 2) as Instant,
    root: 'operator',
    task: 'orders',
    classes: ['money'],
    noted: (kind) => (kind === 'touched' ? TOUCHED : []),
  };
}

const principal = (roles: readonly string[]): Principal => ({
  id: 'alice@company.com' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: 'https://idp.company.com',
  roles,
  scopes: ['orders:read', 'orders:write'],
  attributes: { region: 'eu' },
  authenticatedAt: (NOW - HOUR_MS / 4) as Instant,
  amr: ['pwd', 'mfa'],
});

const PRINCIPALS = [principal(['employee', 'clerk']), principal(['employee', 'lead']), principal(['employee', 'guest'])];
/** Mostly granted, some over the limit or bound to another case; the last one is stopped by a denial on tool 0 alone. */
const ARGUMENTS = [
  '{"account":"A-1","amount":12.50,"currency":"EUR"}',
  '{"account":"A-1","amount":99.99,"currency":"EUR","tags":["blue"]}',
  '{"account":"A-2","amount":20,"currency":"EUR"}',
  '{"account":"A-1","amount":1000000,"currency":"USD","tags":["stop-0"]}',
];

function inputs(policy: CompiledPolicy): readonly PolicyInput[] {
  const tools = policy.parts.tools;
  const facts = session(tools.length);
  // A fixed sequence: same mix in every run, no randomness to explain a figure away.
  let seed = 42;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (seed >>> 8) % below;
  };
  return Array.from({ length: 16_384 }, (): PolicyInput => {
    const tool = tools[next(10) === 0 ? next(tools.length) : next(Math.min(HOT_TOOLS, tools.length))];
    const judged = judge(utf8(ARGUMENTS[[0, 0, 0, 1, 1, 1, 2, 3][next(8)] ?? 0] ?? ''));
    const schema = tool === undefined ? undefined : policy.argumentSchema(tool.name);
    if (tool === undefined || schema === undefined || !judged.ok) throw new Error('the bench is broken: no tool or arguments');
    const args = schema.validate(judged.value);
    if (!args.ok) throw new Error(`the bench is broken: ${JSON.stringify(args.error)}`);
    return {
      principal: PRINCIPALS[next(3)] ?? principal([]),
      agent: AGENT,
      tool,
      args: args.value,
      session: facts,
      now: NOW,
      chain: [],
      isolation: 'enforced',
    };
  });
}

function policyWith(ruleCount: number, mix: Mix): CompiledPolicy {
  const built = buildParts(sourceWith(ruleCount, mix));
  if (!built.ok) throw new Error(JSON.stringify(built.error.slice(0, 3)));
  return built.value.policy;
}

/** Microseconds a call, one figure for each batch, sorted. */
function measure(ruleCount: number, mix: Mix = 'base'): { figures: readonly number[]; allowed: number } {
  const policy = policyWith(ruleCount, mix);
  const calls = inputs(policy);
  const figures: number[] = [];
  let allowed = 0;
  for (let batch = 0; batch < WARM_UP + BATCHES; batch++) {
    const from = (batch * BATCH) % calls.length;
    const start = process.hrtime.bigint();
    for (let i = 0; i < BATCH; i++) {
      const call = calls[from + i];
      if (call !== undefined && decide(policy, call).decision === 'allow') allowed++;
    }
    const ns = Number(process.hrtime.bigint() - start);
    if (batch >= WARM_UP) figures.push(ns / BATCH / 1_000);
  }
  // oxlint-disable-next-line unicorn/no-array-sort -- the array is ours, and benches are checked without ES2023's toSorted
  figures.sort((a, b) => a - b);
  return { figures, allowed: allowed / ((WARM_UP + BATCHES) * BATCH) };
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
const print = (line: object): void => void process.stdout.write(`${JSON.stringify({ bench: 'decision', ...line })}\n`);

const few = measure(10);
const many = measure(10_000);
const demanding = measure(10_000, 'demands');
process.stderr.write(
  `allowed: ${rounded(few.allowed)} with 10 rules, ${rounded(many.allowed)} with 10,000, ${rounded(demanding.allowed)} with demands\n`,
);
// A bench of refusals would measure something else.
if (Math.min(few.allowed, many.allowed, demanding.allowed) < 0.5) throw new Error('the bench is broken: its calls are refused');
const [p50Few, p50Many, p99Many] = [percentile(few.figures, 0.5), percentile(many.figures, 0.5), percentile(many.figures, 0.99)];
print({ figure: 'p50_10_rules_100_events', value: rounded(p50Few), unit: 'us' });
print({ figure: 'p50_10000_rules_100_events', value: rounded(p50Many), unit: 'us', bound: { max: 3 } });
print({ figure: 'p99_10000_rules_100_events', value: rounded(p99Many), unit: 'us', bound: { max: 15 } });
print({
  figure: 'p50_10000_rules_to_10_rules',
  value: rounded(p50Many),
  unit: 'us',
  baseline: rounded(p50Few),
  ratio: rounded(p50Many / p50Few),
  bound: { max: 2 },
});
print({ figure: 'p50_10000_rules_demands', value: rounded(percentile(demanding.figures, 0.5)), unit: 'us' });
print({ figure: 'p99_10000_rules_demands', value: rounded(percentile(demanding.figures, 0.99)), unit: 'us' });
