/** Whether a sidecar that enrols with these names will find anything: told when the token is made, not at another machine. */

import { nearest } from '@sallyport/model';
import type { AgentName, Problem } from '@sallyport/model';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import type { Place } from '../places.ts';
import { fetchAgents, fetchBundle } from './objects.ts';
import { readVersions } from './versions.ts';

/** Warnings; empty where all is well, or cannot be told. The token is good all the same: the policy may come later. */
export async function registrationWarnings(
  link: Link,
  { agent, place }: { readonly agent: AgentName; readonly place: Place },
  io: Io,
): Promise<readonly Problem[]> {
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return [];
  const warning = (message: string, remedy: string): Problem => ({ path: '', severity: 'warning', message, remedy });
  const [newest] = versions.value.bundles;
  const released = versions.value.releases[0]?.bundles.at(-1) ?? newest?.digest;
  if (newest === undefined || released === undefined)
    return [warning(`nothing is published in area ${place.area} yet`, 'a sidecar enrols once a bundle registers its agent')];
  const bundle = await fetchBundle(link, released, io);
  const agents = bundle === undefined ? undefined : await fetchAgents(link, bundle, io);
  const warnings: Problem[] = [];
  if (agents !== undefined && !agents.includes(agent)) {
    const near = nearest(agent, agents);
    const remedy = near === undefined ? `registered are ${agents.join(', ') || 'none'}` : `did you mean ${near}?`;
    warnings.push(warning(`no published bundle of area ${place.area} registers an agent ${agent}`, remedy));
  }
  if (versions.value.releases.length === 0)
    warnings.push(
      warning(
        `nothing is released to ring ${place.ring} of area ${place.area} yet`,
        'a sidecar there denies everything until something is',
      ),
    );
  return warnings;
}
