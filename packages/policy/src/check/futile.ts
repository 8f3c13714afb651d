/**
 * Demands that nobody can ever meet, and fields that can never do anything: of one rule by itself, of a rule and the
 * agent that it is about, and of an allow rule and the requirements that apply to every call of its tools. What is found
 * is certain; what is not found may still be. Spec: policy-v1 section 4.7.
 */

import { Decimal } from '@sallyport/model';
import type { Agent, ChainRoot, ToolName } from '@sallyport/model';
import { ALWAYS, areNone, within } from '../demand/moments.ts';
import type { Moments } from '../demand/moments.ts';
import { rootsMeant } from '../demand/session.ts';
import type { Step } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import { formatSpan } from '../reader/read.ts';
import type { Rule } from '../rule.ts';
import type { RulePlan } from './analyse.ts';

type PlaceOf = (plan: Pick<RulePlan, 'rule'>, ...steps: readonly Step[]) => Place;

/** Requirements of one tool that are put together; of more, only so many are looked at. */
const TOGETHER_MAX = 64;
/** Words and spans of a week compared in all; what would take more is not looked for. */
const STEPS_MAX = 5_000_000;

/** What is left of STEPS_MAX; written by `spend` alone. */
interface Work {
  left: number;
}

function spend(work: Work, steps: number): boolean {
  work.left -= steps;
  return work.left >= 0;
}

export function checkFutile(plans: readonly RulePlan[], placeOf: PlaceOf, problems: Problems): void {
  for (const plan of plans) {
    for (const { steps, message, remedy } of [...ofRule(plan.rule), ...ofAgent(plan)])
      problems.add(placeOf(plan, ...steps), message, { remedy });
  }
  const work = { left: STEPS_MAX };
  const demanded = new Map<string, Demanded>();
  const gathered: Gathered = { demanded, work };
  for (const { rule, targets } of plans) {
    if (rule.verb !== 'require' || rule.shadow === true || rule.for !== undefined || rule.when !== undefined) continue;
    for (const { agent, tools } of targets) for (const { name } of tools) join(gathered, keyOf(agent, name), rule);
  }
  for (const plan of plans) {
    if (plan.rule.verb !== 'allow' || plan.rule.shadow === true) continue;
    const why = plan.targets.flatMap(({ agent, tools }) =>
      tools.map(({ name }) => clashWith(plan.rule, demanded.get(keyOf(agent, name)), work)),
    );
    const [first] = why;
    if (first === undefined || why.includes(undefined)) continue;
    problems.add(placeOf(plan, first.field), `${first.words}, so this rule can never match`, { remedy: 'mend one of the two' });
  }
}

interface Futile {
  readonly steps: readonly Step[];
  readonly message: string;
  readonly remedy: string;
}

const NEVER = 'so the rule can never match';
const NOTHING = Decimal.fromBigInt(0n);

function ofRule({ valid, hours, once, max, budget }: Rule): readonly Futile[] {
  const found: Futile[] = [];
  const add = (steps: readonly Step[], message: string, remedy: string): void => void found.push({ steps, message, remedy });
  if (valid !== undefined && hours !== undefined && areNone(momentsOf({ valid, hours })))
    add(['hours'], `\`valid\` and \`hours\` leave no moment, ${NEVER}`, 'mend one of the two');
  if (once !== undefined && max !== undefined && once.per === max.per && once.withinMs === max.withinMs)
    add(['max'], '`max` is never reached, for `once` counts the same', 'leave one of the two out, or count by something else');
  // An environment may turn a budget off; a rule that does it in every one of them is a denial in disguise.
  if (budget !== undefined && Decimal.parse(budget.max)?.equals(NOTHING) === true)
    add(['budget', 'max'], 'a budget of nothing lets nothing pass that costs', 'deny the tools, or give it something');
  return found;
}

/** Only of one agent: across agents another may be the one that is meant. */
function ofAgent({ rule, targets }: RulePlan): readonly Futile[] {
  const agent = rule.agent === undefined ? undefined : targets[0]?.agent;
  if (agent === undefined) return [];
  const { maxMs } = agent.sessions;
  const found: Futile[] = [];
  const age = rule.session?.maxAgeMs;
  if (age !== undefined && age > maxMs)
    found.push({
      steps: ['session', 'max_age'],
      message: `sessions of ${quote(agent.name)} end after ${formatSpan(maxMs)}, so \`max_age\` is never reached`,
      remedy: `less than ${formatSpan(maxMs)}, or leave it out`,
    });
  const possible = possibleRoots(agent);
  const wanted = rule.delegation?.roots;
  if (wanted !== undefined && !rootsMeant(wanted).some((root) => possible.has(root)))
    found.push({
      steps: ['delegation', 'roots'],
      message: `sessions of ${quote(agent.name)} are opened by ${[...possible].join(' or ')} alone, ${NEVER}`,
      remedy: 'mend the rule, or the agent’s `sessions`',
    });
  return found;
}

/** What sessions of an agent can begin with: what it opens itself, and what other agents may hand on to it. */
function possibleRoots({ sessions, delegation }: Agent): ReadonlySet<ChainRoot> {
  const from = delegation?.from.flatMap(({ roots }) => roots) ?? [];
  return new Set<ChainRoot>([...sessions.roots, ...from.map((root) => (root === 'human' ? 'operator' : root))]);
}

/** Filled by `join` alone; by agent and tool. */
interface Gathered {
  readonly demanded: Map<string, Demanded>;
  readonly work: Work;
}

type Words = 'task' | 'roots' | 'acr';

/** What all requirements of a tool, without `for` and `when`, leave. */
interface Demanded {
  readonly moments: Moments;
  readonly words: Readonly<Partial<Record<Words, ReadonlySet<string>>>>;
  /** The rule that said the last of it; for messages. */
  readonly by: Readonly<Partial<Record<Words | 'moments', string>>>;
  readonly count: number;
}

function keyOf({ name }: Agent, tool: ToolName): string {
  return `${name} ${tool}`;
}

function momentsOf({ valid, hours }: Pick<Rule, 'valid' | 'hours'>, inside: Moments = ALWAYS): Moments {
  return within(inside, { ...(valid === undefined ? {} : { valid }), ...(hours === undefined ? {} : { hours }) });
}

/** What one call has one of. A step-up that has a `when` is not always asked. */
function wordsOf({ task, delegation, stepUp }: Rule): Readonly<Partial<Record<Words, readonly string[]>>> {
  const [roots, acr] = [
    delegation?.roots === undefined ? undefined : rootsMeant(delegation.roots),
    stepUp?.when === undefined ? stepUp?.acr : undefined,
  ];
  return { ...(task === undefined ? {} : { task }), ...(roots === undefined ? {} : { roots }), ...(acr === undefined ? {} : { acr }) };
}

function join({ demanded, work }: Gathered, key: string, rule: Rule): void {
  const words = wordsOf(rule);
  const isTimed = rule.valid !== undefined || rule.hours !== undefined;
  if (!isTimed && Object.keys(words).length === 0) return;
  const known = demanded.get(key) ?? { moments: ALWAYS, words: {}, by: {}, count: 0 };
  if (known.count >= TOGETHER_MAX || !spend(work, stepsOf(words, known))) return;
  const both = Object.entries(words).map(([name, values]: [string, readonly string[]]) => {
    const before = known.words[name as Words];
    return [name, new Set(before === undefined ? values : values.filter((value) => before.has(value)))];
  });
  demanded.set(key, {
    moments: isTimed ? momentsOf(rule, known.moments) : known.moments,
    words: { ...known.words, ...(Object.fromEntries(both) as Demanded['words']) },
    by: {
      ...known.by,
      ...(isTimed ? { moments: rule.id } : {}),
      ...Object.fromEntries(Object.keys(words).map((name) => [name, rule.id])),
    },
    count: known.count + 1,
  });
}

const FIELDS: Readonly<Record<Words, string>> = { task: 'task', roots: 'delegation', acr: 'step_up' };

/** Days of a week, each in two where it passes midnight. */
const SPANS_OF_HOURS = 14;

function stepsOf(words: ReturnType<typeof wordsOf>, { moments }: Demanded): number {
  return Object.values(words).reduce((sum, values) => sum + values.length, moments.weekly.length * SPANS_OF_HOURS);
}

function clashWith(rule: Rule, demanded: Demanded | undefined, work: Work): { readonly field: string; readonly words: string } | undefined {
  if (demanded === undefined || !spend(work, stepsOf(wordsOf(rule), demanded))) return undefined;
  for (const [name, values] of Object.entries(wordsOf(rule)) as [Words, readonly string[]][]) {
    const left = demanded.words[name];
    if (left !== undefined && !values.some((value) => left.has(value)))
      return { field: FIELDS[name], words: `nothing fits this \`${FIELDS[name]}\` and that of rule ${quote(demanded.by[name] ?? '')}` };
  }
  if (demanded.by.moments === undefined || !areNone(momentsOf(rule, demanded.moments))) return undefined;
  const field = rule.hours !== undefined ? 'hours' : rule.valid !== undefined ? 'valid' : 'allow';
  return { field, words: `the windows of this rule and of rule ${quote(demanded.by.moments)} leave no moment` };
}
