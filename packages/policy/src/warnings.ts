/** What is not wrong but seldom meant: tools that no test calls, values that nothing reads. Warnings never fail a build. */

import type { Plan } from './analyse.ts';
import { untoldArguments } from './check-routes.ts';
import { placeAt } from './declared.ts';
import type { Declared } from './declared.ts';
import type { Problems } from './node.ts';
import { quote } from './node.ts';

/** Reports them as warnings. */
export function warn(declared: Declared, plan: Plan, problems: Problems): void {
  const called = new Set<string>(declared.tests.flatMap(({ value }) => [...value.cases, ...value.steps]).map(({ call }) => call));
  const granted = new Set<string>(
    plan.rules.filter(({ rule }) => rule.verb === 'allow').flatMap(({ tools }) => tools.map((tool) => tool.name)),
  );
  for (const { value, node } of declared.tools) {
    const place = placeAt(node, 'name');
    if (!granted.has(value.name))
      problems.add(place, `no rule allows ${quote(value.name)}`, { remedy: 'allow it, or remove it', severity: 'warning' });
    else if (!called.has(value.name))
      problems.add(place, `no test calls ${quote(value.name)}`, { remedy: 'add a case to a document of kind Test', severity: 'warning' });
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
  for (const { value, node } of declared.agents) {
    if (declared.rules.some(({ value: rule }) => rule.agent === value.name && rule.verb === 'allow')) continue;
    problems.add(placeAt(node, 'name'), `agent ${quote(value.name)} may do nothing`, { remedy: 'add an allow rule', severity: 'warning' });
  }
}
