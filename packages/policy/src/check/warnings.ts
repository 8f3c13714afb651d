/** What is not wrong but seldom meant: tools that no test calls, values that nothing reads. Warnings never fail a build. */

import { formatInstant, localNameOf, serverOf } from '@sallyport/model';
import type { Tool } from '@sallyport/model';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import type { Plan } from './analyse.ts';
import { warnOfDelegations } from './delegations.ts';
import { untoldArguments } from './routes.ts';

/** Reports them as warnings. */
export function warn(declared: Declared, plan: Plan, problems: Problems): void {
  const called = new Set<string>(declared.tests.flatMap(({ value }) => [...value.cases, ...value.steps]).map(({ call }) => call));
  const granted = new Set<string>(
    plan.rules
      .filter(({ rule }) => rule.verb === 'allow' && rule.shadow !== true)
      .flatMap(({ targets }) => targets.flatMap(({ tools }) => tools.map((tool) => tool.name))),
  );
  const unused = declared.tools.filter(({ value }) => !granted.has(value.name));
  for (const { value, node } of declared.servers) {
    const own = unused.filter((tool) => serverOf(tool.value.name) === value.name);
    const [only, ...more] = own;
    if (only === undefined) continue;
    // A server has many tools that nobody needs, and its list may be a generated file: that is one thing to say, not many.
    if (more.length > 0)
      problems.add(placeAt(node, 'name'), `no rule allows ${own.length} tools of ${quote(value.name)}: ${shortList(own)}`, {
        remedy: 'for agents they do not exist',
        severity: 'warning',
      });
    else
      problems.add(placeAt(only.node, 'name'), `no rule allows ${quote(only.value.name)}`, {
        remedy: 'allow it, or remove it',
        severity: 'warning',
      });
  }
  for (const { value, node } of declared.tools) {
    if (granted.has(value.name) && !called.has(value.name))
      problems.add(placeAt(node, 'name'), `no test calls ${quote(value.name)}`, {
        remedy: 'add a case to a document of kind Test',
        severity: 'warning',
      });
  }
  for (const { value, node } of declared.tools) {
    const schema = plan.schemas.get(value.name);
    for (const name of value.route === undefined || schema === undefined ? [] : untoldArguments(value.route, schema.type.properties)) {
      problems.add(
        placeAt(node, 'route'),
        `no text of a path or query tells ${quote(name)}, so that only calls by the tool’s name can give it`,
        {
          remedy: 'give it one type, or a route with a body',
          severity: 'warning',
        },
      );
    }
  }
  warnOfDelegations(declared, problems);
  for (const { value, node } of declared.observes)
    problems.add(placeAt(node, 'until'), `until ${formatInstant(value.until)} calls pass that rules refuse`, {
      remedy: 'the record says which: write rules for them, and take the Observe away',
      severity: 'warning',
    });
  for (const { value, node } of declared.agents) {
    if (declared.rules.some(({ value: rule }) => rule.agent === value.name && rule.verb === 'allow' && rule.shadow !== true)) continue;
    problems.add(placeAt(node, 'name'), `agent ${quote(value.name)} may do nothing`, { remedy: 'add an allow rule', severity: 'warning' });
  }
}

const NAMES_SHOWN = 5;

function shortList(tools: readonly Located<Tool>[]): string {
  const names = tools.slice(0, NAMES_SHOWN).map(({ value }) => localNameOf(value.name));
  return `${names.join(', ')}${tools.length > NAMES_SHOWN ? ', …' : ''}`;
}
