/** What an agent says of the jobs that open its sessions has to be able to hold. Spec: policy-v1 section 18. */

import type { Agent } from '@sallyport/model';
import type { Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';

/** Reports jobs that could never open a session, and those that would open one as nobody. */
export function checkJobs({ value, node }: Located<Agent>, problems: Problems): void {
  const { roots, jobs = [] } = value.sessions;
  for (const [index, { name, root, as }] of jobs.entries()) {
    const place = placeAt(node, 'sessions', 'jobs', index);
    if (!roots.includes(root))
      problems.add(place, `the agent has no root ${quote(root)}, so that job ${quote(name)} never opens a session`, {
        remedy: `roots: [${[...roots, root].join(', ')}]`,
      });
    if (root === 'schedule' && as === undefined)
      problems.add(place, `nobody is there when a schedule begins job ${quote(name)}`, { remedy: 'as: { principal: …, tenant: … }' });
    if (as?.principal === 'anonymous')
      problems.add(place, '`anonymous` is whoever proved nothing, and a job is known', { remedy: 'give it a name of its own' });
  }
}
