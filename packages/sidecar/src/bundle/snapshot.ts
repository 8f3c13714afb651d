/** From the verified parts of a release to what calls are judged by: everything looked up by name, nothing computed later. */

import { headerMirrors } from '@sallyport/dialects';
import type { Digest, ReleaseSeq, Tool } from '@sallyport/model';
import { invariant, serverOf } from '@sallyport/model';
import type { CompiledPolicy, Parts } from '@sallyport/policy';
import { routeTable, routeTemplate } from '@sallyport/strict';
import type { Routes } from '../pipeline/mapped-call.ts';
import type { PinnedTool, Revocations, Snapshot } from '../pipeline/ports.ts';

export interface SnapshotOf {
  readonly generation: number;
  readonly releaseSeq: ReleaseSeq;
  readonly policyDigest: Digest;
  readonly parts: Parts;
  readonly policy: CompiledPolicy;
  readonly revocations: Revocations;
}

/** Every tool of a compiled policy has its compiled schema; one that has none is a bug. */
export function snapshotOf({ parts, ...rest }: SnapshotOf): Snapshot {
  const tools = parts.tools.map((tool): readonly [typeof tool.name, PinnedTool] => {
    const schema = rest.policy.argumentSchema(tool.name);
    invariant(schema !== undefined, `the schema of ${tool.name} is compiled`);
    return [tool.name, { tool, schema, mirrors: headerMirrors(tool.arguments) }];
  });
  return {
    ...rest,
    agents: byName(parts.agents),
    issuers: parts.issuers,
    servers: byName(parts.servers),
    tools: new Map(tools),
    destinations: new Map(parts.destinations.map((destination) => [destination.server, destination])),
    routes: routesOf(parts.tools),
  };
}

/** The reader of parts has refused routes that one request could fit and neither of which is the more exact. */
function routesOf(tools: readonly Tool[]): Routes {
  const byServer = Map.groupBy(tools, ({ name }) => serverOf(name));
  return new Map(
    [...byServer].map(([server, own]) => {
      const routes = own.flatMap(({ name, route }) => {
        const template = route === undefined ? undefined : routeTemplate(route.path);
        return route === undefined || template === undefined ? [] : [{ method: route.method, template, value: name }];
      });
      return [server, routeTable(routes)];
    }),
  );
}

function byName<N, T extends { readonly name: N }>(items: readonly T[]): ReadonlyMap<N, T> {
  return new Map(items.map((item) => [item.name, item]));
}
