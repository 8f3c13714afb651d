/** The register in words: a table of agents, and what nobody registered below it. */

import type { StatusResponse } from '@sallyport/contract';
import type { Parts } from '@sallyport/policy';
import { counted, table } from '../output.ts';
import { plain } from '../policy/decision-text.ts';
import type { Traffic } from './traffic.ts';

export function registerText({
  parts,
  fleet,
  traffic,
}: {
  readonly parts: Parts;
  readonly fleet: StatusResponse;
  readonly traffic: Traffic;
}): string {
  const registered = new Set<string>(parts.agents.map(({ name }) => name));
  const seen = traffic.agents();
  const rows = parts.agents.map(({ name, owner }) => [
    name,
    plain(owner),
    String(fleet.sidecars.filter(({ agent }) => agent === name).length),
    seen.find(({ agent }) => agent === name)?.last_seen ?? 'never',
  ]);
  const methods = parts.callerMethods ?? [];
  const credentials = parts.credentials ?? [];
  const others = seen.filter(({ agent }) => !registered.has(agent));
  return [
    rows.length === 0 ? 'no agent is registered' : table([['AGENT', 'OWNER', 'SIDECARS', 'LAST SEEN'], ...rows]),
    `${counted(parts.issuers.length, 'issuer')}, ${counted(methods.length, 'caller method')}, ${counted(credentials.length, 'credential')}`,
    ...(others.length === 0
      ? ['no agent in the record is unregistered']
      : [
          `UNREGISTERED: ${counted(others.length, 'agent')} in the record`,
          table(others.map((one) => [one.agent, one.seen_as.join(' and '), counted(one.records, 'record'), `last ${one.last_seen}`])),
        ]),
    ...(traffic.leftOut === 0 ? [] : ['more names were found than are kept: somebody makes them up']),
  ].join('\n');
}
