/** Rules that can never come to anything: shadowed by an unconditional denial, or waiting for what can never complete. */

import type { ToolName } from '@sallyport/model';
import type { Step } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import type { RulePlan, Target } from './analyse.ts';

type PlaceOf = (plan: Pick<RulePlan, 'rule'>, ...steps: readonly Step[]) => Place;

/** A rule in the hands of one agent. */
type OfAgent = Pick<RulePlan, 'rule'> & Target;

/** Reports them, each agent by itself. Rules across agents deny like others, and may be about what some agent never does. */
export function checkReach(plans: readonly RulePlan[], placeOf: PlaceOf, problems: Problems): void {
  const pairs = plans.flatMap(({ rule, targets }) => (rule.shadow === true ? [] : targets).map((target): OfAgent => ({ rule, ...target })));
  for (const ofAgent of Map.groupBy(pairs, ({ agent }) => agent.name).values()) {
    const denied = deniedOutright(ofAgent);
    for (const plan of ofAgent) {
      const by = plan.tools.map((tool) => denied.get(tool.name));
      if (plan.rule.agent === undefined || plan.rule.verb === 'deny' || by.length === 0 || by.includes(undefined)) continue;
      problems.add(
        placeOf(plan, plan.rule.verb),
        `rule ${quote(by[0] ?? '')} denies ${plan.tools.length === 1 ? 'this tool' : 'all these tools'} to everyone, so this rule can never match`,
        {
          remedy: 'remove one of the two, or narrow the denial with `for` or `when`',
        },
      );
    }
    checkAfter(ofAgent, denied, placeOf, problems);
  }
}

/** Tools that a rule without `for` and `when` denies, with that rule. */
function deniedOutright(plans: readonly OfAgent[]): ReadonlyMap<ToolName, string> {
  const denied = new Map<ToolName, string>();
  for (const { rule, tools } of plans) {
    if (rule.verb !== 'deny' || rule.for !== undefined || rule.when !== undefined) continue;
    for (const tool of tools) if (!denied.has(tool.name)) denied.set(tool.name, rule.id);
  }
  return denied;
}

/** A tool can complete if some allow rule's own preconditions all can; cycles and refused tools never do. */
function checkAfter(plans: readonly OfAgent[], denied: ReadonlyMap<ToolName, string>, placeOf: PlaceOf, problems: Problems): void {
  const allows = plans.filter(({ rule }) => rule.verb === 'allow');
  const canComplete = new Set<ToolName>();
  let waiting: readonly OfAgent[] = allows;
  for (let before = -1; before !== canComplete.size;) {
    before = canComplete.size;
    const isReady = ({ rule }: OfAgent): boolean => (rule.after ?? []).every(({ tool }) => canComplete.has(tool));
    const { true: ready = [], false: still = [] } = Object.groupBy(waiting, (plan) => (isReady(plan) ? 'true' : 'false'));
    for (const { tools } of ready) for (const tool of tools) if (!denied.has(tool.name)) canComplete.add(tool.name);
    waiting = still;
  }
  for (const plan of plans.filter(({ rule }) => rule.agent !== undefined && rule.after !== undefined)) {
    const missing = (plan.rule.after ?? []).findIndex(({ tool }) => !canComplete.has(tool));
    if (missing === -1 || problems.hasAt(placeOf(plan, 'after', missing))) continue;
    const name = plan.rule.after?.[missing]?.tool ?? '';
    problems.add(placeOf(plan, 'after', missing), `${quote(name)} can never complete for this agent, so this rule can never match`, {
      remedy: 'allow it by a rule that does not wait for this one',
    });
  }
}
