/** From the verified parts of a release to what calls are judged by: everything looked up by name, nothing computed later. */

import { headerMirrors } from '@sallyport/dialects';
import type { Digest, DirectoryReading, ReleaseSeq } from '@sallyport/model';
import { invariant } from '@sallyport/model';
import type { CompiledPolicy, Parts } from '@sallyport/policy';
import type { PinnedTool, Revocations, Snapshot } from '../pipeline/ports.ts';

export interface SnapshotOf {
  readonly generation: number;
  readonly releaseSeq: ReleaseSeq;
  readonly policyDigest: Digest;
  readonly parts: Parts;
  readonly policy: CompiledPolicy;
  readonly revocations: Revocations;
  readonly directory: DirectoryReading;
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
  };
}

function byName<N, T extends { readonly name: N }>(items: readonly T[]): ReadonlyMap<N, T> {
  return new Map(items.map((item) => [item.name, item]));
}
