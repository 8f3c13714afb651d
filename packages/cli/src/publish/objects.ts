/** What the control plane holds, fetched by digest and believed only where it has that digest. */

import { GetObjectRequestSchema, create } from '@sallyport/contract';
import { concatBytes } from '@sallyport/crypto';
import { PART_NAMES, isAgentName } from '@sallyport/model';
import type { AgentName, Digest, Json, JsonObject, PartName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { ENVELOPE_BYTES_MAX, PART_BYTES_MAX, digestOfPayload, parseEnvelope, readBundle } from '@sallyport/trust';
import type { Bundle } from '@sallyport/trust';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';

/** The manifest of a published bundle; `undefined` where it is not there, or is not what was asked for. */
export async function fetchBundle(link: Link, digest: Digest, io: Io): Promise<Bundle | undefined> {
  const bytes = await fetchObject(link, { digest, bytesMax: ENVELOPE_BYTES_MAX.Bundle }, io);
  const envelope = bytes === undefined ? undefined : parseEnvelope('Bundle', bytes);
  if (envelope?.ok !== true || digestOfPayload(envelope.value.payload) !== digest) return undefined;
  const bundle = readBundle(envelope.value.payload);
  return bundle.ok ? bundle.value : undefined;
}

/** The agents that a published bundle registers; `undefined` where that cannot be told. */
export async function fetchAgents(link: Link, { parts }: Bundle, io: Io): Promise<readonly AgentName[] | undefined> {
  const { digest } = parts.identity;
  const bytes = await fetchObject(link, { digest, bytesMax: PART_BYTES_MAX }, io);
  if (bytes === undefined || digestOfPayload(bytes) !== digest) return undefined;
  const judged = judge(bytes, { limits: { bytesMax: PART_BYTES_MAX } });
  const agents = judged.ok ? memberOf(judged.value.tree, 'agents') : undefined;
  if (!Array.isArray(agents)) return undefined;
  // Only names are taken, for a hint; what they may do is nobody's concern here.
  return (agents as readonly Json[])
    .map((agent) => memberOf(agent, 'name'))
    .filter((name) => typeof name === 'string')
    .filter(isAgentName);
}

function memberOf(json: Json, name: string): Json | undefined {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as JsonObject)[name] : undefined;
}

/** The parts of a published bundle; `undefined` where one is not there, or is not what the manifest names. */
export async function fetchParts(link: Link, { parts }: Bundle, io: Io): Promise<Record<PartName, Uint8Array> | undefined> {
  const fetched: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    const { digest } = parts[name];
    const bytes = await fetchObject(link, { digest, bytesMax: PART_BYTES_MAX }, io);
    if (bytes === undefined || digestOfPayload(bytes) !== digest) return undefined;
    fetched[name] = bytes;
  }
  return fetched as Record<PartName, Uint8Array>;
}

/** Two bundles with the same text are the same policy, whatever their revision, lineage and commit. */
export function policyOf(parts: Readonly<Record<PartName, { readonly digest: Digest }>>): string {
  return Object.entries(parts)
    .map(([name, { digest }]) => `${name} ${digest}`)
    .toSorted()
    .join('\n');
}

/** An object's bytes, unjudged; `undefined` where it is not there or is longer. */
export async function fetchObject(
  link: Link,
  { digest, bytesMax }: { readonly digest: Digest; readonly bytesMax: number },
  io: Io,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream = link.publish.getObject(create(GetObjectRequestSchema, { digest }), { signal: io.signal });
  for await (const { data } of stream) {
    bytes += data.byteLength;
    if (bytes > bytesMax) return undefined;
    chunks.push(data);
  }
  return (await stream.status).code === 'ok' ? concatBytes(...chunks) : undefined;
}
